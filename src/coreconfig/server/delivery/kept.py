"""What was encoded is kept, as long as all large encodings together stay within their room."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

LARGE_BYTES = 16 * 1024
"""What is smaller goes with its view and is not counted."""
DEFAULT_ROOM_BYTES = 64 * 1024 * 1024


class Room:
    """How many bytes all large encodings of a store may take; the oldest give way."""

    def __init__(self, budget: int = DEFAULT_ROOM_BYTES) -> None:
        self._budget = budget
        self._used = 0
        self._entries: OrderedDict[tuple[int, object], tuple[Encodings, int]] = OrderedDict()

    @property
    def used(self) -> int:
        """The bytes that are taken now."""
        return self._used

    def enter(self, encodings: Encodings, name: object, size: int) -> None:
        """Count an encoding, and let older ones go if it does not fit; it stays itself."""
        self.leave(encodings, name)
        self._entries[id(encodings), name] = (encodings, size)
        self._used += size
        while self._used > self._budget and len(self._entries) > 1:
            (_, oldest), (owner, freed) = self._entries.popitem(last=False)
            self._used -= freed
            owner.forget(oldest)

    def leave(self, encodings: Encodings, name: object) -> None:
        """An encoding is gone."""
        entry = self._entries.pop((id(encodings), name), None)
        if entry is not None:
            self._used -= entry[1]


class Encodings(dict[object, Any]):
    """Encodings by name: bytes, or frames that are ready to be sent (small, and not counted)."""

    __slots__ = ("_room",)

    def __init__(self, room: Room | None = None) -> None:
        super().__init__()
        self._room = room

    def __setitem__(self, name: object, made: Any) -> None:
        super().__setitem__(name, made)
        if self._room is not None and isinstance(made, bytes) and len(made) >= LARGE_BYTES:
            self._room.enter(self, name, len(made))

    def forget(self, name: object) -> None:
        """Let go of one; the room has taken note already."""
        self.pop(name, None)

    def release(self) -> None:
        """Let go of all, and count nothing that may still be put here."""
        if self._room is not None:
            for name in self:
                self._room.leave(self, name)
            self._room = None
        self.clear()

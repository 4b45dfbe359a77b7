"""One state of a view with what has been encoded of it, and the few before it that deltas start from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from coreconfig.model.keys import Path
from coreconfig.model.snapshots import diff, digest_text
from coreconfig.model.trees import MISSING, Tree, flatten, get_at
from coreconfig.model.views import View
from coreconfig.server.delivery.encode import change_list
from coreconfig.server.delivery.kept import Encodings, Room
from coreconfig.server.delivery.keys import ViewKey
from coreconfig.wire.frames import At
from coreconfig.wire.json import encode

MAX_STATES = 64
"""How many states of a view are remembered; whoever holds an older one gets a snapshot."""


class State:
    """A view as it was from one revision on, until it moved.

    `timestamp` (UTC, ISO 8601) and `metadata` tell of the change that led here. Encodings are made when they
    are first asked for, and kept.
    """

    __slots__ = ("_encoded", "digest", "metadata", "timestamp", "view")

    def __init__(
        self, view: View, timestamp: str, metadata: dict[str, Any], room: Room | None = None
    ) -> None:
        self.view = view
        self.digest = digest_text(view.digest)
        self.timestamp = timestamp
        self.metadata = metadata
        self._encoded = Encodings(room)

    @property
    def tree(self) -> Tree:
        """What the view resolves to."""
        return self.view.tree

    @property
    def values(self) -> bytes:
        """The whole tree as JSON text."""
        return self.encoded("values", lambda: encode(self.tree))

    @property
    def flat(self) -> bytes:
        """The leaves by key as JSON text."""
        return self.encoded("flat", lambda: encode(flatten(self.tree)))

    @property
    def size(self) -> int:
        """The bytes that its encodings take."""
        return sum(map(len, self._encoded.values()))

    def changes_from(self, before: State) -> bytes:
        """The way here from an earlier state, as JSON text."""
        return self.encoded(before.digest, lambda: change_list(diff(before.tree, self.tree)))

    def encoded(self, name: object, make: Callable[[], bytes]) -> bytes:
        """What is kept under a name, made when it is first asked for."""
        made: bytes | None = self._encoded.get(name)
        if made is None:
            made = self._encoded[name] = make()
        return made

    def is_encoded(self, name: object) -> bool:
        """Whether an encoding is at hand."""
        return name in self._encoded

    def node(self, path: Path) -> Any:
        """What lies at a path; `MISSING` where nothing does."""
        return get_at(self.tree, path, MISSING)

    def forget_encodings(self) -> None:
        """The view has moved on: what was encoded of this state is not needed again."""
        self._encoded.release()


class Standing:
    """Where the world stands that all live views of a store are brought up to."""

    __slots__ = ("epoch", "revision")

    def __init__(self, epoch: int, revision: int) -> None:
        self.epoch = epoch
        self.revision = revision


class LiveView:
    """A view that is kept up to date: its newest state, and the states before it.

    `frames` keeps what was encoded for the position that the view stands at; it is emptied when that moves.
    """

    __slots__ = ("_position", "_room", "_standing", "frames", "history", "key", "pins", "state", "weight")

    def __init__(
        self, key: ViewKey, state: State, standing: Standing, weight: int, room: Room | None = None
    ) -> None:
        self.key = key
        self._room = room
        self.state = state
        self.weight = weight
        self.pins = 0
        self.history: dict[str, State] = {state.digest: state}
        self.frames = Encodings(room)
        self._standing = standing
        self._position = self._at()

    @property
    def position(self) -> At:
        """Where the view stands: the digest of its newest state, at the revision of the world."""
        position, standing = self._position, self._standing
        if position.revision != standing.revision or position.epoch != standing.epoch:
            self._renew_frames()
            self._position = position = self._at()
        return position

    @property
    def size(self) -> int:
        """The bytes it takes, estimated: its tree once, and what is encoded of it."""
        return self.weight + self.state.size

    def moved(self, state: State) -> None:
        """The view has another content from now on."""
        self.state.forget_encodings()
        self.state = state
        self.history.pop(state.digest, None)
        self.history[state.digest] = state
        while len(self.history) > MAX_STATES:
            del self.history[next(iter(self.history))]
        self._renew_frames()
        self._position = self._at()

    def forget_history(self) -> None:
        """Nothing before the newest state can be continued from any more."""
        self.history = {self.state.digest: self.state}
        self._renew_frames()

    def let_go(self) -> None:
        """The view is no longer kept: what was encoded of it makes room."""
        self.state.forget_encodings()
        self.frames.release()

    def _renew_frames(self) -> None:
        self.frames.release()
        self.frames = Encodings(self._room)

    def _at(self) -> At:
        return At(self._standing.epoch, self._standing.revision, self.state.digest, self.key.overlay)

"""Worlds of the past that somebody asked for lately."""

from __future__ import annotations

from collections import OrderedDict

from coreconfig.server.revisions.world import World

_NEAR = 200  # rows that are applied faster than a checkpoint is decoded


class Past:
    """The few worlds that were used last, by revision. A revision of the past never changes."""

    def __init__(self, size: int = 24) -> None:
        self._size = size
        self._worlds: OrderedDict[int, World] = OrderedDict()

    def get(self, revision: int) -> World | None:
        """The world at exactly this revision, if it is held."""
        world = self._worlds.get(revision)
        if world is not None:
            self._worlds.move_to_end(revision)
        return world

    def nearest(self, revision: int) -> World | None:
        """The newest that is held at most some rows before a revision."""
        before = [held for held in self._worlds if revision - _NEAR <= held < revision]
        return self._worlds[max(before)] if before else None

    def keep(self, world: World) -> None:
        """Hold this one, and let go of the one that was not used for longest."""
        self._worlds[world.revision] = world
        self._worlds.move_to_end(world.revision)
        while len(self._worlds) > self._size:
            self._worlds.popitem(last=False)

    def forget_before(self, floor: int) -> None:
        """Let go of what the log does not reach back to any more."""
        for revision in [held for held in self._worlds if held < floor]:
            del self._worlds[revision]

"""Which movements may be forgotten without any answer about a key becoming another one. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from coreconfig.server.revisions.movements import Movement


def forgettable(newest_first: Iterable[tuple[int, Movement]]) -> Iterator[int]:
    """The revisions whose movements at one key are not the last one for any view and any layer.

    `newest_first` are the movements at this key of one environment with their revisions.
    """
    later = _Later()
    for revision, movement in newest_first:
        if later.covers(movement):
            yield revision
        later.add(movement)


class _Later:
    """For which names something later is known: some by themselves, and perhaps all but a few.

    A movement of the base is one of every service, also of those that nobody declared yet, unless it names
    the service as unmoved.
    """

    def __init__(self) -> None:
        self._named: set[str] = set()
        self._but: set[str] | None = None
        """With a later movement of the base: the services that none of them moved."""

    def covers(self, movement: Movement) -> bool:
        """Whether each name that it moves has a later movement."""
        if not all(self._knows(name) for name in _named(movement)):
            return False
        if "" not in movement.services:
            return True
        return self._but is not None and self._but - self._named <= set(movement.unmoved)

    def add(self, movement: Movement) -> None:
        """From here on it is a later one."""
        self._named |= _named(movement)
        if "" in movement.services:
            unmoved = set(movement.unmoved)
            self._but = unmoved if self._but is None else self._but & unmoved

    def _knows(self, name: str) -> bool:
        return name in self._named or (self._but is not None and name not in self._but)


def _named(movement: Movement) -> set[str]:
    """Views and layers alike: entity tags and guards ask whether either was moved."""
    return {*movement.services, *movement.entries}

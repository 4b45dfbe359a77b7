"""Typed reads: converted once, and from then on as cheap as a look-up and a copy.

There are two memories. Each state of the client has a memo of what was read from exactly it, which answers
without looking at the tree. `TypedReads` outlives the states: where a new state has the very same node at a
key, nothing is converted again.

An instance that nobody can change (a number, a frozen dataclass of texts) is handed to everybody; of any
other each reader gets a copy, so that nobody can spoil what the next one gets.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Lock
from typing import Any, TypeVar, overload

from coreconfig.client.typed.conversion import convert
from coreconfig.client.typed.copies import plan_copies
from coreconfig.client.typed.copies_of_instances import NoPlan
from coreconfig.model.schemas import schema_text

T = TypeVar("T")

Make = Callable[[], Any]
"""Gives an instance that is the reader's own, or one that nobody can change."""
Memo = dict[str, dict[Any, tuple[Make, Any]]]
"""What was read from one state: by key, then by `memo_name` of the target. The target is held beside it, so
that no other one can get its id meanwhile."""

LIMIT = 1024
_TARGETS = 32
"""So many targets of one key are in a memo at most: a schema written into the call is a new one each time."""


def memo_name(target: Any) -> Any:
    """How a memo calls a target: itself; a schema by its id, so it must not change once it was used."""
    return id(target) if type(target) is dict else target


class TypedReads:
    """Instances by key and target, at most `limit`, the oldest dropped; safe for any number of threads."""

    __slots__ = ("_kept", "_limit", "_lock")

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._lock = Lock()
        self._kept: dict[tuple[str, Any], tuple[Any, Make]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    @overload
    def read(self, memo: Memo, node: Any, key: str, target: type[T]) -> T: ...
    @overload
    def read(self, memo: Memo, node: Any, key: str, target: Any) -> Any: ...
    def read(self, memo: Memo, node: Any, key: str, target: Any) -> Any:
        """The node at a key as the target demands it, put into the memo of its state as well.

        Raises what `convert` raises.
        """
        make = self.copies(node, key, target)
        if _is_hashable(name := memo_name(target)):
            self._remember(memo, key, name, (make, target))
        return make()

    def copies(self, node: Any, key: str, target: Any) -> Make:
        """What gives instances of the target made of this node, which must never change in place.

        Raises what `convert` raises.
        """
        name = ("schema", schema_text(target)) if type(target) is dict else target
        if not _is_hashable(name):
            return partial(convert, node, target, key)
        known = self._kept.get((key, name))
        if known is not None and known[0] is node:
            return known[1]
        make = _make(node, key, target)
        self._keep((key, name), (node, make))
        return make

    def drop_stale(self, node_at: Callable[[str], Any]) -> None:
        """Forget what was made of nodes that are gone; `node_at` gives the present node of a key."""
        with self._lock:
            stale = [entry for entry, (node, _) in self._kept.items() if node_at(entry[0]) is not node]
            for entry in stale:
                del self._kept[entry]

    def _remember(self, memo: Memo, key: str, name: Any, made: tuple[Make, Any]) -> None:
        if len(memo) >= self._limit:
            memo.clear()
        by_name = memo.setdefault(key, {})
        if len(by_name) >= _TARGETS:
            by_name.clear()
        by_name[name] = made

    def _keep(self, entry: tuple[str, Any], kept: tuple[Any, Make]) -> None:
        with self._lock:
            self._kept.pop(entry, None)
            while len(self._kept) >= self._limit:
                del self._kept[next(iter(self._kept))]
            self._kept[entry] = kept


def _make(node: Any, key: str, target: Any) -> Make:
    instance = convert(node, target, key)
    try:
        copier = plan_copies(instance)
    except NoPlan:
        return partial(convert, node, target, key)
    return (lambda: instance) if copier is None else copier


def _is_hashable(target: Any) -> bool:
    try:
        hash(target)
    except TypeError:
        return False
    return True

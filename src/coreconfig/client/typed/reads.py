"""Typed reads: converted once, and from then on as cheap as a look-up and a copy.

There are two memories. Each state of the client has a memo of what was read from exactly it, which answers
without looking at the tree. `TypedReads` outlives the states: where a new state has the very same node at a
key, nothing is converted again.

An instance that nobody can change (a number, a frozen dataclass of texts) is handed to everybody. Of a
pydantic model everybody gets the same instance until somebody has changed it, and then another one (see
`sharing`). Of anything else each reader gets a copy. So nobody can spoil what the next one gets.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Lock
from typing import Any, NamedTuple, TypeVar, overload

from coreconfig.client.typed.conversion import convert
from coreconfig.client.typed.copies import plan_copies
from coreconfig.client.typed.copies_of_instances import NoPlan
from coreconfig.client.typed.sharing import NotShared, is_shared, shared
from coreconfig.model.schemas import schema_text

T = TypeVar("T")

Make = Callable[[], Any]
"""Gives an instance equal to the one that was converted."""
Memo = dict[str, dict[Any, tuple[Make, Any]]]
"""What was read from one state: by key, then by `memo_name` of the target. The target is held beside it, so
that no other one can get its id meanwhile."""


class _Kept(NamedTuple):
    """What was made of a node."""

    node: Any
    copies: Make
    """Gives an instance that is the caller's own, or one that nobody can change."""
    reads: Make
    """The same, but for models, of which it gives one that nobody has changed."""


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
        self._kept: dict[tuple[str, Any], _Kept] = {}

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
        make = self._made(node, key, target).reads
        if _is_hashable(name := memo_name(target)):
            self._remember(memo, key, name, (make, target))
        return make()

    def copies(self, node: Any, key: str, target: Any) -> Make:
        """What gives independent instances of the target made of this node, which must never change in place.

        Raises what `convert` raises.
        """
        return self._made(node, key, target).copies

    def drop_stale(self, node_at: Callable[[str], Any]) -> None:
        """Forget what was made of nodes that are gone; `node_at` gives the present node of a key."""
        with self._lock:
            stale = [entry for entry, kept in self._kept.items() if node_at(entry[0]) is not kept.node]
            for entry in stale:
                del self._kept[entry]

    def _made(self, node: Any, key: str, target: Any) -> _Kept:
        name = ("schema", schema_text(target)) if type(target) is dict else target
        if not _is_hashable(name):
            return _converting(node, key, target)
        kept = self._kept.get((key, name))
        if kept is None or kept.node is not node:
            kept = _converted(node, key, target)
            self._keep((key, name), kept)
        return kept

    def _remember(self, memo: Memo, key: str, name: Any, made: tuple[Make, Any]) -> None:
        if len(memo) >= self._limit:
            memo.clear()
        by_name = memo.setdefault(key, {})
        if len(by_name) >= _TARGETS:
            by_name.clear()
        by_name[name] = made

    def _keep(self, entry: tuple[str, Any], kept: _Kept) -> None:
        with self._lock:
            self._kept.pop(entry, None)
            while len(self._kept) >= self._limit:
                del self._kept[next(iter(self._kept))]
            self._kept[entry] = kept


def _converting(node: Any, key: str, target: Any) -> _Kept:
    again = partial(convert, node, target, key)
    return _Kept(node, again, again)


def _converted(node: Any, key: str, target: Any) -> _Kept:
    instance = convert(node, target, key)
    try:
        copier = plan_copies(instance)
    except NoPlan:
        return _converting(node, key, target)
    if copier is None:
        return _Kept(node, lambda: instance, lambda: instance)
    return _Kept(node, copier, _reads(instance, copier))


def _reads(instance: Any, copier: Make) -> Make:
    if not is_shared(instance):
        return copier
    try:
        return shared(copier)
    except NotShared:
        return copier


def _is_hashable(target: Any) -> bool:
    try:
        hash(target)
    except TypeError:
        return False
    return True

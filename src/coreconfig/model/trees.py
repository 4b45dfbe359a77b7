"""Persistent trees: JSON objects that share what two versions of them have in common.

A node is a ``dict``, or `Wide` where an object has many members; everything else is a leaf. Nobody changes
a node that somebody else may hold: `set_at` and `delete_at` copy the nodes along one path and share the rest,
so keeping an old version costs nothing and comparing two versions skips what they share.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, Final, TypeGuard

from coreconfig.model.keys import Path, format_key, parse_key

Tree = Mapping[str, Any]


class _Missing:
    """The one value that means "nothing is here"; ``null`` is a value."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False


MISSING: Final = _Missing()

_WIDE_FROM = 512
_SHARDS = 256


class Wide(Mapping[str, Any]):
    """An object with many members, kept in shards so that replacing one member copies a shard only.

    Without it a change to one of 100,000 members of one object would copy all of them.
    """

    __slots__ = ("_shards", "_size")

    def __init__(self, shards: tuple[dict[str, Any], ...], size: int) -> None:
        self._shards = shards
        self._size = size

    @classmethod
    def of(cls, members: Mapping[str, Any]) -> Wide:
        """The same members in shards."""
        shards: tuple[dict[str, Any], ...] = tuple({} for _ in range(_SHARDS))
        for name, value in members.items():
            shards[hash(name) % _SHARDS][name] = value
        return cls(shards, len(members))

    def __getitem__(self, name: str) -> Any:
        return self._shards[hash(name) % _SHARDS][name]

    def get(self, name: str, default: Any = None) -> Any:
        """The member's value, or `default`."""
        return self._shards[hash(name) % _SHARDS].get(name, default)

    def __contains__(self, name: object) -> bool:
        return name in self._shards[hash(name) % _SHARDS]

    def items(self) -> _WideItems:
        """The members with their values, in no particular order."""
        return _WideItems(self)

    def __iter__(self) -> Iterator[str]:
        for shard in self._shards:
            yield from shard

    def __len__(self) -> int:
        return self._size

    def __repr__(self) -> str:
        return f"Wide({self._size} members)"

    def with_members(self, changed: Mapping[str, Any]) -> Wide:
        """A version in which these members have these values; `MISSING` takes one out."""
        shards = list(self._shards)
        mine: set[int] = set()
        for name, value in changed.items():
            at = hash(name) % _SHARDS
            if at not in mine:
                shards[at] = dict(shards[at])
                mine.add(at)
            if value is MISSING:
                shards[at].pop(name, None)
            else:
                shards[at][name] = value
        grown = sum(len(shards[at]) - len(self._shards[at]) for at in mine)
        return Wide(tuple(shards), self._size + grown)

    def shards(self) -> tuple[dict[str, Any], ...]:
        """The shards themselves, to be read only."""
        return self._shards

    def unshared_with(self, other: Wide) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """Both versions' shards, only where they are not shared."""
        for mine, its in zip(self._shards, other._shards, strict=True):
            if mine is not its:
                yield mine, its


class _WideItems(ItemsView[str, Any]):
    """Items read shard by shard, which is several times faster than name by name."""

    def __init__(self, wide: Wide) -> None:
        super().__init__(wide)
        self._wide = wide

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return chain.from_iterable([shard.items() for shard in self._wide.shards()])


def is_object(node: Any) -> TypeGuard[Tree]:
    """Whether a node is an object (and not a leaf)."""
    return type(node) is dict or type(node) is Wide


def as_node(members: dict[str, Any]) -> Tree:
    """The node for these members: the dict itself, or `Wide` where they are many."""
    return Wide.of(members) if len(members) > _WIDE_FROM else members


def with_member(node: Tree, name: str, value: Any) -> Tree:
    """A version of the object in which `name` has `value`."""
    if type(node) is Wide:
        return node.with_members({name: value})
    return as_node({**node, name: value})


def without_member(node: Tree, name: str) -> Tree:
    """A version of the object without `name`."""
    if type(node) is Wide:
        return node.with_members({name: MISSING})
    return {k: v for k, v in node.items() if k != name}


def with_members(node: Tree, changed: Mapping[str, Any]) -> Tree:
    """A version of the object in which these members have these values; `MISSING` takes one out."""
    if type(node) is Wide:
        return node.with_members(changed)
    merged = {**node, **changed}
    if any(value is MISSING for value in changed.values()):
        merged = {name: value for name, value in merged.items() if value is not MISSING}
    return as_node(merged)


def get_at(tree: Any, path: Path, default: Any = MISSING) -> Any:
    """What lies at the path, or `default`."""
    node = tree
    for segment in path:
        if not is_object(node):
            return default
        node = node.get(segment, MISSING)
        if node is MISSING:
            return default
    return node


def set_at(tree: Tree, path: Path, value: Any) -> Tree:
    """A version with `value` at the path; what stands in the way above it gives way to an object."""
    if not path:
        return as_node(value) if type(value) is dict else value
    name, rest = path[0], path[1:]
    child = tree.get(name, MISSING)
    if rest:
        value = set_at(child if is_object(child) else {}, rest, value)
    elif type(value) is dict:
        value = shared(value)
    return with_member(tree, name, value)


def delete_at(tree: Tree, path: Path, *, prune: bool) -> Tree:
    """A version without what lies at the path; with `prune` also without objects that became empty by it."""
    name, rest = path[0], path[1:]
    child = tree.get(name, MISSING)
    if child is MISSING or (rest and not is_object(child)):
        return tree
    if not rest:
        return without_member(tree, name)
    smaller = delete_at(child, rest, prune=prune)
    if smaller is child:
        return tree
    if prune and not smaller:
        return without_member(tree, name)
    return with_member(tree, name, smaller)


def leaves(tree: Any, prefix: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every leaf below a node with its path: scalars, arrays and empty objects."""
    for name, child in tree.items():
        if is_object(child) and child:
            yield from leaves(child, (*prefix, name))
        else:
            yield (*prefix, name), child


def count_leaves(tree: Any) -> int:
    """How many leaves lie below a node."""
    return sum(count_leaves(child) if is_object(child) and child else 1 for child in tree.values())


def flatten(tree: Tree) -> dict[str, Any]:
    """The leaves by canonical key."""
    return {format_key(path): leaf for path, leaf in leaves(tree)}


def unflatten(flat: Mapping[str, Any]) -> dict[str, Any]:
    """The nested object whose `flatten` this is; a later key replaces what an earlier one put in its way."""
    nested: dict[str, Any] = {}
    for key, leaf in flat.items():
        *above, last = parse_key(key)
        node = nested
        for segment in above:
            child = node.get(segment)
            if type(child) is not dict:
                child = node[segment] = {}
            node = child
        node[last] = leaf
    return nested


def plain(node: Any) -> Any:
    """An independent copy made of dicts and lists alone."""
    if is_object(node):
        return {name: plain(child) for name, child in node.items()}
    if type(node) is list:
        return [plain(item) for item in node]
    return node


def shared(value: Any) -> Any:
    """The value as a persistent node: the same dicts, with `Wide` in place of those with many members."""
    if type(value) is not dict:
        return value
    changed = {name: node for name, child in value.items() if (node := shared(child)) is not child}
    return as_node({**value, **changed} if changed else value)


def restricted(tree: Tree, paths: Iterable[Path]) -> Tree:
    """Only what lies at these paths."""
    kept: Tree = {}
    for path in paths:
        if (node := get_at(tree, path)) is not MISSING:
            kept = set_at(kept, path, node)
    return kept

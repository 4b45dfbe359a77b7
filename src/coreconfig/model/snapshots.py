"""What a view holds at a revision, the difference between two such states, and their digest.

The digest is the sum modulo 2^128 of a 128-bit BLAKE2b (RFC 7693) over each leaf ``key NUL canonical JSON``
and each secret version, so that both sides keep it in proportion to a change. It finds faults, not forgers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal

from coreconfig.model.canonical import canonical, quote_string, same
from coreconfig.model.keys import Path, format_key
from coreconfig.model.keys import quote as quote_segment
from coreconfig.model.trees import (
    MISSING,
    Tree,
    Wide,
    delete_at,
    get_at,
    is_object,
    set_at,
)

Operation = Literal["SET", "DELETE"]
_MODULUS = 1 << 128


@dataclass(frozen=True, slots=True)
class Position:
    """A state: `order` compares, `digest` identifies, `overlay` names what lies on top."""

    epoch: int
    revision: int
    digest: str
    overlay: str | None = None

    @property
    def order(self) -> tuple[int, int]:
        """(epoch, revision): the order of all states of an installation."""
        return (self.epoch, self.revision)


@dataclass(frozen=True, slots=True)
class TreeChange:
    """One node that differs: ``SET`` puts `value` at `path`, ``DELETE`` takes the node away, and only it."""

    path: Path
    operation: Operation
    value: Any = None


def diff(before: Tree, after: Tree) -> list[TreeChange]:
    """The fewest changes that turn one tree into the other, ordered by path; what is shared costs nothing."""
    return sorted(_differences(before, after, ()), key=lambda change: change.path)


def apply(tree: Tree, changes: Iterable[TreeChange]) -> Tree:
    """The tree after the changes: ``apply(a, diff(a, b)) == b``."""
    for change in changes:
        if change.operation == "SET":
            tree = set_at(tree, change.path, change.value)
        else:
            tree = delete_at(tree, change.path, prune=False)
    return tree


def digest_text(digest: int) -> str:
    """The digest as 32 hexadecimal digits."""
    return f"{digest:032x}"


def digest_of(tree: Tree, secrets: Mapping[str, int] | None = None) -> int:
    """The digest of a whole view: its leaves, and the version of each secret that it refers to."""
    total = _digest_below(tree, "")
    for name, version in (secrets or {}).items():
        total += _hash(f"${{vault:{name}}}\0{version}")
    return total % _MODULUS


def digest_after(digest: int, before: Tree, after: Tree, changes: Iterable[TreeChange]) -> int:
    """The digest after changes, from that before them; in proportion to what changed."""
    settled = sorted({_settled(before, after, change.path) for change in changes})
    counted: Path | None = None
    for path in settled:
        if counted is None or path[: len(counted)] != counted:
            digest += _digest_at(after, path) - _digest_at(before, path)
            counted = path
    return digest % _MODULUS


def moved_nodes(before: Tree, after: Tree) -> Iterator[tuple[Path, Any, Any]]:
    """Every node that differs, above and below leaves alike: (path, old, new), a parent before its members.

    An absent node is `MISSING`. The root itself is not reported.
    """
    for name, old, new in _unequal_members(before, after):
        yield from _moved_below((name,), old, new)


def _differences(before: Tree, after: Tree, at: Path) -> Iterator[TreeChange]:
    for name, old, new in _unequal_members(before, after):
        here = (*at, name)
        if new is MISSING:
            yield TreeChange(here, "DELETE")
        elif is_object(old) and is_object(new):
            yield from _differences(old, new, here)
        else:
            yield TreeChange(here, "SET", new)


def _unequal_members(before: Tree, after: Tree) -> Iterator[tuple[str, Any, Any]]:
    """Members that may differ, with both values; `MISSING` where there is none. Equal leaves are left out."""
    if type(before) is Wide and type(after) is Wide:
        for mine, its in before.unshared_with(after):
            yield from _unequal_members(mine, its)
        return
    for name, old in before.items():
        new = after.get(name, MISSING)
        if old is not new and not _equal_leaves(old, new):
            yield name, old, new
    for name, new in after.items():
        if name not in before:
            yield name, MISSING, new


def _equal_leaves(old: Any, new: Any) -> bool:
    """Whether these are leaves with one canonical form; two objects are for the caller to go into."""
    if new is MISSING or is_object(old) or is_object(new):
        return is_object(old) and is_object(new) and not old and not new
    return same(old, new)


def _moved_below(at: Path, old: Any, new: Any) -> Iterator[tuple[Path, Any, Any]]:
    olds: Tree = old if is_object(old) else {}
    news: Tree = new if is_object(new) else {}
    below = [
        moved
        for name, its_old, its_new in _unequal_members(olds, news)
        for moved in _moved_below((*at, name), its_old, its_new)
    ]
    if below or not (is_object(old) and is_object(new)):
        yield at, old, new
        yield from below


def _settled(before: Tree, after: Tree, path: Path) -> Path:
    """The lowest node at or above the path whose members are objects' members before and after.

    A member that comes into an empty object, or the last one that goes, makes a leaf of its parent or
    unmakes it, so the parent is what has to be counted anew.
    """
    while len(path) > 1:
        above = path[:-1]
        old, new = get_at(before, above), get_at(after, above)
        if is_object(old) and is_object(new) and old and new:
            return path
        path = above
    return path


def _digest_at(tree: Tree, path: Path) -> int:
    node = get_at(tree, path)
    if node is MISSING:
        return 0
    key = format_key(path)
    if is_object(node) and node:
        return _digest_below(node, key + ".")
    return _hash(f"{key}\0{canonical(node)}")


def _digest_below(node: Tree, prefix: str) -> int:
    total = 0
    for name, child in node.items():
        key = prefix + quote_segment(name)
        kind = type(child)
        if kind is str:
            text = quote_string(child)
        elif (kind is dict or kind is Wide) and child:
            total += _digest_below(child, key + ".")
            continue
        else:
            text = canonical(child)
        total += int.from_bytes(blake2b(f"{key}\0{text}".encode(), digest_size=16).digest(), "big")
    return total


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=16).digest(), "big")

"""One immutable state of what a client reads, and how it follows from what the server sent.

Three trees share their nodes: ``raw`` is what the server sent (references in place: it is what deltas,
digests and the cache file are about), ``finished`` has ``${env:...}`` filled in, ``tree`` has the defaults
under it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from coreconfig.errors import Issue
from coreconfig.model.canonical import same
from coreconfig.model.keys import Path, format_key, is_related, parse_key, quote
from coreconfig.model.references import resolve_environment
from coreconfig.model.snapshots import TreeChange, apply, diff
from coreconfig.model.trees import MISSING, Tree, get_at, is_object, set_at, with_member
from coreconfig.wire.frames import At

Source = Literal["defaults", "file", "service", "memory"]
"""Where the content came from: memory is what a forked process inherited."""


@dataclass(frozen=True, slots=True)
class Finish:
    """What turns the server's tree into the one that is read: this process's variables and defaults."""

    variables: Mapping[str, str]
    allowed: tuple[str, ...]
    defaults: Tree


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """A snapshot as it is read. Nothing in it is ever changed, except `instances`, a memo."""

    at: At | None
    """Its position; None when there are only defaults."""
    raw: Tree
    finished: Tree
    tree: Tree
    flat: Mapping[str, Any]
    """Strings, numbers, booleans and nulls by canonical key: what may be handed out as it is."""
    source: Source
    secrets: Mapping[str, int] = field(default_factory=dict)
    timestamp: str = ""
    installation: str = ""
    issues: tuple[Issue, ...] = ()
    """References that could not be filled in."""
    instances: dict[str, dict[Any, tuple[Callable[[], Any], Any]]] = field(default_factory=dict)
    """Typed reads of exactly this state by key and type: what gives an instance, and the type."""

    @property
    def order(self) -> tuple[int, int]:
        """(epoch, revision), less than any other when there are only defaults."""
        return (self.at.epoch, self.at.revision) if self.at else (-1, -1)

    @property
    def revision(self) -> int:
        """The revision, 0 when there are only defaults."""
        return self.at.revision if self.at else 0

    def moved_to(self, at: At, source: Source, installation: str) -> State:
        """The same content at another position, as a bookmark says."""
        return replace(self, at=at, source=source, installation=installation)


def only_defaults(finish: Finish) -> State:
    """What is read before there is any snapshot."""
    defaults = finish.defaults
    return State(None, {}, {}, defaults, scalars_of(defaults), "defaults")


def advanced(
    state: State,
    raw: Tree,
    changes: Iterable[TreeChange],
    finish: Finish,
    *,
    at: At,
    source: Source,
    secrets: Mapping[str, int],
    timestamp: str,
    installation: str,
) -> State:
    """The state after `changes` led from ``state.raw`` to `raw`; in proportion to what changed."""
    changes = list(changes)
    completed, issues = _finished(changes, finish)
    finished = apply(state.finished, completed)
    tree = laid_over(finish.defaults, finished)
    return State(
        at=at,
        raw=raw,
        finished=finished,
        tree=tree,
        flat=_flat_after(state, tree),
        source=source,
        secrets=secrets,
        timestamp=timestamp,
        installation=installation,
        issues=(*_untouched(state.issues, changes), *issues),
    )


def laid_over(under: Tree, over: Tree) -> Tree:
    """`over` with the members that only `under` has; in proportion to `under`."""
    for name, low in under.items():
        high = over.get(name, MISSING)
        if high is MISSING:
            over = with_member(over, name, low)
        elif is_object(low) and is_object(high):
            both = laid_over(low, high)
            over = over if both is high else with_member(over, name, both)
    return over


def scalars_of(tree: Tree) -> dict[str, Any]:
    """Every scalar leaf by canonical key."""
    flat: dict[str, Any] = {}
    _collect(tree, "", flat)
    return flat


def moves(before: State, after: State) -> list[tuple[Path, Any, Any]]:
    """The fewest nodes that differ, with old and new (`MISSING` where there is none), in order of path."""
    return [
        (change.path, get_at(before.tree, change.path), get_at(after.tree, change.path))
        for change in diff(before.tree, after.tree)
    ]


def differs(before: Any, after: Any) -> bool:
    """Whether two nodes are different values; shared nodes are recognised at once."""
    if before is after:
        return False
    if before is MISSING or after is MISSING:
        return True
    return not same(before, after)


def _collect(node: Tree, prefix: str, flat: dict[str, Any]) -> None:
    for name, child in node.items():
        key = prefix + quote(name)
        if is_object(child):
            _collect(child, key + ".", flat)
        elif type(child) is not list:
            flat[key] = child


def _finished(changes: list[TreeChange], finish: Finish) -> tuple[list[TreeChange], list[Issue]]:
    """The changes with references filled in: each leaf is finished for itself, so only these have to be."""
    completed: list[TreeChange] = []
    issues: list[Issue] = []
    for change in changes:
        if change.operation == "DELETE":
            completed.append(change)
            continue
        part, found = resolve_environment(
            set_at({}, change.path, change.value), finish.variables, finish.allowed
        )
        completed.append(TreeChange(change.path, "SET", get_at(part, change.path)))
        issues += found
    return completed, issues


def _untouched(issues: Iterable[Issue], changes: list[TreeChange]) -> list[Issue]:
    return [
        issue
        for issue in issues
        if not any(is_related(parse_key(issue.key or "_"), change.path) for change in changes)
    ]


def _flat_after(state: State, tree: Tree) -> dict[str, Any]:
    flat = dict(state.flat)
    for change in diff(state.tree, tree):
        key = format_key(change.path)
        _drop(get_at(state.tree, change.path), key, flat)
        if change.operation == "SET":
            _put(change.value, key, flat)
    return flat


def _drop(node: Any, key: str, flat: dict[str, Any]) -> None:
    if is_object(node):
        gone: dict[str, Any] = {}
        _collect(node, key + ".", gone)
        for name in gone:
            del flat[name]
    else:
        flat.pop(key, None)


def _put(node: Any, key: str, flat: dict[str, Any]) -> None:
    if is_object(node):
        _collect(node, key + ".", flat)
    elif type(node) is not list:
        flat[key] = node

"""What a change moves: which views, which keys in them, from which value to which."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from coreconfig.model.canonical import canonical
from coreconfig.model.edits import Touch
from coreconfig.model.environments import Environments, descendants, known_services, linearise
from coreconfig.model.keys import Path, format_key
from coreconfig.model.resolution import Layer, layers_of, resolve
from coreconfig.model.snapshots import diff
from coreconfig.model.trees import MISSING, Tree, get_at, plain
from coreconfig.model.views import View, build_view, resolved_at

Pair = tuple[str, str | None]
"""An environment and a service in it; None stands for the base view."""


@dataclass(frozen=True, slots=True)
class Move:
    """One key that moves in the same way in some views; `MISSING` stands for absent."""

    path: Path
    old: Any
    new: Any
    pairs: tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class Impact:
    """The effective difference of a change: all moves, and the views that had to be built to find them.

    `reached` are all pairs in which something could have moved.
    """

    moves: tuple[Move, ...]
    views: tuple[tuple[View | None, View | None], ...] = ()
    reached: tuple[Pair, ...] = ()

    @property
    def affected(self) -> list[Pair]:
        """The pairs in which something moves, each once."""
        found = {pair for move in self.moves for pair in move.pairs}
        return sorted(found, key=lambda pair: (pair[0], pair[1] or ""))


def impact_of(before: Environments, after: Environments, touches: Sequence[Touch]) -> Impact:
    """The difference that edits make to what every environment and every service in it resolves."""
    moved: dict[tuple[Path, str, str], tuple[Any, Any, list[Pair]]] = {}
    built: list[tuple[View | None, View | None]] = []
    reached: list[Pair] = []
    for pair, near in _touched_pairs(before, after, touches):
        reached.append(pair)
        for path, old, new in _moves_of(before, after, pair, near, built):
            signature = (path, _signature(old), _signature(new))
            moved.setdefault(signature, (old, new, []))[2].append(pair)
    moves = [Move(path, old, new, tuple(pairs)) for (path, _, _), (old, new, pairs) in moved.items()]
    return Impact(tuple(sorted(moves, key=lambda move: move.path)), tuple(built), tuple(reached))


def pair_json(pair: Pair) -> dict[str, str | None]:
    """A pair as answers show it."""
    return {"environment": pair[0], "service": pair[1]}


def move_json(move: Move) -> dict[str, Any]:
    """A move as answers show it; an absent side is left out."""
    shown: dict[str, Any] = {"key": format_key(move.path)}
    if move.old is not MISSING:
        shown["old"] = plain(move.old)
    if move.new is not MISSING:
        shown["new"] = plain(move.new)
    shown["views"] = [pair_json(pair) for pair in move.pairs]
    return shown


def _signature(value: Any) -> str:
    return "" if value is MISSING else canonical(plain(value))


def _touched_pairs(
    before: Environments, after: Environments, touches: Sequence[Touch]
) -> Iterator[tuple[Pair, list[Touch]]]:
    """Every pair that a touch can move, with the touches that can."""
    for environment in sorted(_reached(before, after, touches)):
        lineage = _lineage(before, environment) | _lineage(after, environment)
        near = [touch for touch in touches if touch.environment in lineage]
        services = _services(before, environment) | _services(after, environment)
        for service in [None, *sorted(services)]:
            mine = [touch for touch in near if touch.service in (None, service)]
            if mine:
                yield (environment, service), mine


def _reached(before: Environments, after: Environments, touches: Iterable[Touch]) -> set[str]:
    touched = {touch.environment for touch in touches}
    return {name for world in (before, after) for start in touched for name in _descendants(world, start)}


def _descendants(environments: Environments, start: str) -> set[str]:
    return descendants(environments, start) if start in environments else set()


def _lineage(environments: Environments, environment: str) -> set[str]:
    return set(linearise(environments, environment)) if environment in environments else set()


def _services(environments: Environments, environment: str) -> set[str]:
    return known_services(environments, environment) if environment in environments else set()


def _moves_of(
    before: Environments,
    after: Environments,
    pair: Pair,
    touches: Sequence[Touch],
    built: list[tuple[View | None, View | None]],
) -> Iterator[tuple[Path, Any, Any]]:
    old_layers, new_layers = _layers(before, pair), _layers(after, pair)
    refers = _refers(before, old_layers) or _refers(after, new_layers)
    if not refers and all(touch.path for touch in touches):
        yield from _moves_at(old_layers, new_layers, {touch.path for touch in touches})
        return
    if not refers:
        yield from _moves_between(resolve(old_layers), resolve(new_layers))
        return
    old, new = _view(before, pair), _view(after, pair)
    built.append((old, new))
    yield from _moves_between(old.tree if old else {}, new.tree if new else {})


def _moves_at(
    old_layers: Sequence[Layer], new_layers: Sequence[Layer], paths: set[Path]
) -> Iterator[tuple[Path, Any, Any]]:
    for path in sorted(paths):
        if any(path[:length] in paths for length in range(1, len(path))):
            continue  # a touch above it covers this one
        old, new = resolved_at(old_layers, path), resolved_at(new_layers, path)
        for below, was, will in _moves_between(_member(old), _member(new)):
            yield (*path, *below[1:]), was, will


def _member(node: Any) -> Tree:
    return {} if node is MISSING else {"": node}


def _moves_between(old: Tree, new: Tree) -> Iterator[tuple[Path, Any, Any]]:
    for change in diff(old, new):
        yield change.path, get_at(old, change.path), get_at(new, change.path)


def _layers(environments: Environments, pair: Pair) -> list[Layer]:
    if pair[0] not in environments:
        return []
    return layers_of(environments, *pair, must_know=False)


def _refers(environments: Environments, layers: Sequence[Layer]) -> bool:
    return any(environments[layer.environment].weight(layer.service).referring for layer in layers)


def _view(environments: Environments, pair: Pair) -> View | None:
    environment, service = pair
    if environment not in environments:
        return None
    if service is not None and service not in known_services(environments, environment):
        service = None
    return build_view(environments, environment, service)

"""One left fold over layers: what an environment, or a service in it, resolves to, and why.

The step: an object goes into an object member by member; anything else replaces what lies there; an empty
object over an object changes nothing; ``$unset`` removes. Layers are ordered weakest first, all base layers
before all service layers, so a service value of a parent beats a base value of a child.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from coreconfig.errors import NotFound
from coreconfig.model.environments import Environments, known_services, linearise
from coreconfig.model.keys import Path
from coreconfig.model.trees import (
    MISSING,
    Tree,
    get_at,
    is_object,
    with_member,
    with_members,
    without_member,
)
from coreconfig.model.values import is_unset

Origins = Any
"""Which layer gave the leaves of a node: one index for all of them, or a dict of origins by member."""

Operation = Literal["SET", "MERGE", "UNSET"]


@dataclass(frozen=True, slots=True)
class Layer:
    """One level's own values: an environment's base layer, or a service's layer in it."""

    environment: str
    service: str | None
    tree: Tree


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one layer says about a path, and whether any of it is left in the result."""

    layer: Layer
    operation: Operation
    value: Any
    at: Path
    effective: bool


def layers_of(
    environments: Environments, environment: str, service: str | None, *, must_know: bool = True
) -> list[Layer]:
    """The layers of a view, weakest first: base layers in linearisation order, then the service's.

    Raises `NotFound` with ``unknown_environment``, or ``unknown_service`` where no environment of the line
    declares the service (unless it need not be known).
    """
    lineage = [environments[name] for name in linearise(environments, environment)]
    layers = [Layer(e.id, None, e.base) for e in lineage]
    if service is None:
        return layers
    own = [Layer(e.id, service, e.services[service].layer) for e in lineage if service in e.services]
    if not own and must_know:
        raise _unknown_service(environments, environment, service)
    return layers + own


def _unknown_service(environments: Environments, environment: str, service: str) -> NotFound:
    known = ", ".join(sorted(known_services(environments, environment))) or "none"
    return NotFound(
        f"the environment {environment!r} knows no service {service!r} (it knows: {known});"
        f" declare it under 'services', or set a first value for it",
        code="unknown_service",
    )


def resolve(layers: Sequence[Layer]) -> Tree:
    """The result of the fold over all layers, weakest first."""
    return fold([layer.tree for layer in layers])


def fold(trees: Sequence[Tree]) -> Tree:
    """The fold over the root objects of layers."""
    result: Tree = {}
    for tree in trees:
        result = fold_onto(result, tree)
    return result


def fold_onto(tree: Tree, layer: Tree) -> Tree:
    """One step of the fold: `layer` over what lies there already; neither is changed."""
    if not layer:
        return tree
    if not tree:
        return _without_markers(layer)
    changed: dict[str, Any] = {}
    for name, over in layer.items():
        under = tree.get(name, MISSING)
        folded = _fold_member(under, over) if is_object(over) else over
        if folded is not under:
            changed[name] = folded
    return with_members(tree, changed) if changed else tree


def _fold_member(under: Any, over: Tree) -> Any:
    if is_unset(over):
        return MISSING
    return fold_onto(under, over) if is_object(under) else _without_markers(over)


def refold(tree: Tree, layers: Sequence[Layer], path: Path) -> Tree:
    """The result of the fold after one layer changed at `path`: only what can move is folded again.

    `tree` is the result for the layers as they were, which differ from `layers` at or below `path` alone.
    """
    trees = [layer.tree for layer in layers]
    return _refold(tree, trees, path) if path else fold(trees)


def resolve_with_origins(layers: Sequence[Layer]) -> tuple[Tree, Origins]:
    """The result of the fold, and for every leaf the index of the layer that gave it."""
    result: Tree = {}
    origins: Origins = {}
    for index, layer in enumerate(layers):
        result, origins = _fold_with_origins(result, origins, layer.tree, index)
    return result, origins


def origin_at(origins: Origins, path: Path) -> int | None:
    """The index of the layer that gave the leaf at a path; None where several layers gave parts of it."""
    for segment in path:
        if not isinstance(origins, dict):
            break
        origins = origins.get(segment)
    return origins if isinstance(origins, int) else None


def explain(layers: Sequence[Layer], path: Path) -> list[Contribution]:
    """What each layer says at, above or below a path, strongest first.

    Where nothing is left at the path, the strongest is what decided that.
    """
    on_the_way = [replace(layer, tree=narrowed(layer.tree, path)) for layer in layers]
    tree, origins = resolve_with_origins(on_the_way)
    winners = _indices_below(_origins_at(origins, path))
    spoken = [(index, *said) for index, layer in enumerate(layers) for said in _spoken(layer.tree, path)]
    if spoken and get_at(tree, path) is MISSING:
        winners = {spoken[-1][0]}
    said = [
        Contribution(layers[index], *_said(node, at, path), at=at, effective=index in winners)
        for index, at, node in spoken
    ]
    return said[::-1]


def narrowed(tree: Tree, path: Path) -> Tree:
    """The layer with nothing in it but what lies on the way to a path, and at it."""
    name, rest = path[0], path[1:]
    child = tree.get(name, MISSING)
    if child is MISSING:
        return {}
    if not rest or not is_object(child) or is_unset(child):
        return {name: child}
    return {name: narrowed(child, rest)}


def _without_markers(node: Tree) -> Tree:
    """The object as it is when nothing lies below it: ``$unset`` removes nothing and is gone itself."""
    cleaned: dict[str, Any] = {}
    for name, child in node.items():
        if is_object(child):
            kept = MISSING if is_unset(child) else _without_markers(child)
            if kept is not child:
                cleaned[name] = kept
    return with_members(node, cleaned) if cleaned else node


def _refold(node: Any, contributions: Sequence[Any], path: Path) -> Any:
    """The fold of what the layers hold at one node, of which only the part below `path` can have moved."""
    alive = _alive(contributions)
    if not path or not is_object(node) or not alive or not merges(alive[0]):
        return _fold_values(contributions)
    name = path[0]
    below = [child for c in alive if (child := c.get(name, MISSING)) is not MISSING]
    old = node.get(name, MISSING)
    new = _refold(old, below, path[1:])
    if new is old:
        return node
    return without_member(node, name) if new is MISSING else with_member(node, name, new)


def _alive(contributions: Sequence[Any]) -> Sequence[Any]:
    """The contributions from the last that replaced everything before it."""
    for index in range(len(contributions) - 1, -1, -1):
        if not merges(contributions[index]):
            return contributions[index + 1 :] or contributions[index:]
    return contributions


def merges(contribution: Any) -> bool:
    """Whether this goes into what lies there, member by member."""
    return is_object(contribution) and not is_unset(contribution)


def _fold_values(contributions: Sequence[Any]) -> Any:
    """The fold of values at one path; `MISSING` where nothing is left."""
    result: Any = MISSING
    for value in contributions:
        if not is_object(value):
            result = value
        elif is_unset(value):
            result = MISSING
        else:
            result = fold_onto(result, value) if is_object(result) else _without_markers(value)
    return result


def _fold_with_origins(tree: Tree, origins: Origins, layer: Tree, index: int) -> tuple[Tree, Origins]:
    if not layer:
        return tree, origins
    if not tree:
        return _without_markers(layer), index
    changed: dict[str, Any] = {}
    given: dict[str, Origins] = dict.fromkeys(tree, origins) if isinstance(origins, int) else dict(origins)
    for name, over in layer.items():
        under = tree.get(name, MISSING)
        if is_object(over) and is_object(under) and not is_unset(over):
            changed[name], given[name] = _fold_with_origins(under, given[name], over, index)
        elif (folded := _fold_member(under, over) if is_object(over) else over) is not MISSING:
            changed[name], given[name] = folded, index
        elif under is not MISSING:
            changed[name] = MISSING
            del given[name]
    merged = with_members(tree, changed) if changed else tree
    # an object that lost its last member is a leaf now, and this layer made it so
    return merged, given if merged else index


def _origins_at(origins: Origins, path: Path) -> Origins:
    for segment in path:
        if not isinstance(origins, dict):
            return origins
        origins = origins.get(segment)
    return origins


def _indices_below(origins: Origins) -> set[int]:
    if isinstance(origins, dict):
        return set().union(*map(_indices_below, origins.values())) if origins else set()
    return set() if origins is None else {origins}


def _spoken(tree: Tree, path: Path) -> list[tuple[Path, Any]]:
    """What a layer says about a path: the node there, or what stands in its way above; nothing if neither."""
    for length in range(1, len(path)):
        above = get_at(tree, path[:length])
        if above is MISSING:
            return []
        if not is_object(above) or is_unset(above):
            return [(path[:length], above)]
    node = get_at(tree, path)
    return [] if node is MISSING else [(path, node)]


def _said(node: Any, at: Path, path: Path) -> tuple[Operation, Any]:
    if is_object(node) and is_unset(node):
        return "UNSET", None
    return ("MERGE" if is_object(node) and at == path else "SET"), node

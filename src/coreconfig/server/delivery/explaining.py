"""Why a key has its value: what each layer says, which chain of references it follows. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from coreconfig.errors import Invalid
from coreconfig.model.canonical import canonical
from coreconfig.model.environments import Environments
from coreconfig.model.keys import Path, format_key
from coreconfig.model.references import MAX_REFERENCE_DEPTH, config_references
from coreconfig.model.resolution import (
    Contribution,
    Layer,
    explain,
    fold,
    layers_of,
    narrowed,
    origin_at,
    resolve_with_origins,
)
from coreconfig.model.trees import MISSING, Tree, is_object, leaves, plain
from coreconfig.server.access.caller import Caller
from coreconfig.server.access.decisions import WITHHELD
from coreconfig.server.delivery.keys import ViewKey


@dataclass(frozen=True, slots=True)
class Link:
    """One reference that was followed: the key that holds it, the key it leads to, and what lies there."""

    key: Path
    target: Path
    value: Any


def demand_view(environments: Environments, key: ViewKey) -> None:
    """Raise `NotFound` (``unknown_environment``, ``unknown_service``) unless there is such a view."""
    layers_of(environments, key.environment, key.service)


def contributions(environments: Environments, key: ViewKey, path: Path) -> list[Contribution]:
    """What each layer of a view says about a key, strongest first. Raises `NotFound`."""
    return explain(layers_of(environments, key.environment, key.service), path)


def provenance(environments: Environments, key: ViewKey, tree: Tree) -> dict[str, dict[str, str | None]]:
    """The layer that gave each leaf of the (cut) tree of a view, by canonical key."""
    layers = layers_of(environments, key.environment, key.service)
    _, origins = resolve_with_origins(layers)
    given = ((path, origin_at(origins, path)) for path, _ in leaves(tree))
    return {format_key(path): layer_json(layers[index]) for path, index in given if index is not None}


def reference_chain(environments: Environments, key: ViewKey, path: Path) -> list[Link]:
    """Every ``${config:...}`` between a key and its value, in the order in which they are followed."""
    layers = layers_of(environments, key.environment, key.service)
    return list(_links(layers, path, MAX_REFERENCE_DEPTH))


def value_at(environments: Environments, key: ViewKey, path: Path) -> tuple[Any, bool]:
    """What the layers fold to at a key, `MISSING` where nothing is; and whether a reference is in play.

    References are as they are written. One that stands above the key decides what is at it, too.
    """
    if key.environment not in environments:
        return MISSING, False
    at, value = _standing(layers_of(environments, key.environment, key.service, must_know=False), path)
    return (value if at == path else MISSING), is_referring(value)


def _standing(layers: Sequence[Layer], path: Path) -> tuple[Path, Any]:
    """What the fold gives at a path, or the leaf above it that stands in its way, with its own path."""
    node: Any = fold([narrowed(layer.tree, path) for layer in layers])
    for length, segment in enumerate(path):
        if not is_object(node):
            return path[:length], node
        node = node.get(segment, MISSING)
    return path, node


def layer_json(layer: Layer) -> dict[str, str | None]:
    """A layer as answers name it."""
    return {"environment": layer.environment, "service": layer.service}


def contribution_json(caller: Caller, one: Contribution) -> dict[str, Any]:
    """What a layer says as a caller may see it; a foreign layer's value only where it is his own too."""
    shown: dict[str, Any] = {
        **layer_json(one.layer),
        "operation": one.operation,
        "at": format_key(one.at),
        "effective": one.effective,
    }
    if one.operation != "UNSET":
        shown["value"] = plain(one.value) if _is_open(caller, one) else WITHHELD
    return shown


def differ(old: Any, new: Any) -> bool:
    """Whether two values, or `MISSING`, are not the same by their canonical form."""
    if old is MISSING or new is MISSING:
        return old is not new
    return canonical(plain(old)) != canonical(plain(new))


def is_referring(value: Any) -> bool:
    """Whether a folded value still has to have ``${config:...}`` followed."""
    try:
        return bool(config_references(value))
    except Invalid:  # a reference to something that is no key is none that could be followed
        return False


def _is_open(caller: Caller, one: Contribution) -> bool:
    if caller.kind != "service" and not caller.covers(one.at):
        return False
    return caller.in_scope(one.layer.environment) or (one.effective and one.operation == "SET")


def _links(layers: Sequence[Layer], path: Path, depth: int) -> Iterator[Link]:
    at, value = _standing(layers, path)
    if depth == 0 or not is_referring(value):
        return
    for target in dict.fromkeys(config_references(value)):
        there, found = _standing(layers, target)
        yield Link(at, target, found if there == target else MISSING)
        yield from _links(layers, target + path[len(at) :], depth - 1)

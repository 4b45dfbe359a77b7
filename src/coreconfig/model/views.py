"""Views: what an environment, or a service in it, resolves to, kept up to date in proportion to a change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from coreconfig.errors import Issue
from coreconfig.model.edits import Touch
from coreconfig.model.environments import Environments, linearise
from coreconfig.model.keys import Path
from coreconfig.model.references import referring_leaves, resolve_config
from coreconfig.model.resolution import Layer, fold, fold_onto, layers_of, narrowed, refold
from coreconfig.model.snapshots import TreeChange, diff, digest_after, digest_of
from coreconfig.model.trees import MISSING, Tree, get_at
from coreconfig.model.values import MAX_VIEW_BYTES
from coreconfig.model.weights import weigh, weigh_layer


@dataclass(frozen=True, slots=True)
class View:
    """The resolved tree of (environment, service), or of an environment's base layers where service is None.

    `folded` is the result of the fold, in which `referring` leaves still hold their ``${config:...}``; `tree`
    has them resolved. `issues` are the references that cannot be; such a leaf keeps its text. `heaviest` is
    how many bytes the tree can take as JSON at most.
    """

    environment: str
    service: str | None
    folded: Tree
    referring: Mapping[Path, Any]
    tree: Tree
    digest: int
    heaviest: int = 0
    issues: tuple[Issue, ...] = ()


def build_view(
    environments: Environments, environment: str, service: str | None, *, base: View | None = None
) -> View:
    """The view, resolved from its layers; over the environment's `base` view where that is at hand.

    Raises `NotFound` with ``unknown_environment`` or ``unknown_service``.
    """
    layers = layers_of(environments, environment, service)
    folded = _folded(layers, base)
    if base is None:
        view = _resolved(environment, service, folded)
    else:
        paths = [change.path for change in diff(base.folded, folded)]
        view = _compared(base, _with_folded(replace(base, service=service), folded, paths))[0]
    return replace(view, heaviest=_heaviest(environments, layers, view))


def advance_view(
    view: View, environments: Environments, touches: Sequence[Touch], *, base: View | None = None
) -> tuple[View, list[TreeChange]]:
    """The view after a change that touched these places, and how it differs; itself where nothing moved.

    Raises `NotFound` where the environment or the service is gone.
    """
    lineage = set(linearise(environments, view.environment))
    near = [t for t in touches if t.environment in lineage and t.service in (None, view.service)]
    if any(not t.path for t in touches if t.environment in lineage):
        after = build_view(environments, view.environment, view.service, base=base)
        return _compared(view, after)
    layers = layers_of(environments, view.environment, view.service)
    folded = view.folded
    for touch in near:
        folded = refold(folded, layers, touch.path)
    if folded is view.folded:
        return view, []
    after = _with_folded(view, folded, [touch.path for touch in near])
    return _compared(view, replace(after, heaviest=_heaviest(environments, layers, after)))


def resolved_at(layers: Sequence[Layer], path: Path) -> Any:
    """What the fold gives at one path (references unresolved); `MISSING` where nothing is."""
    if not path:
        return fold([layer.tree for layer in layers])
    return get_at(fold([narrowed(layer.tree, path) for layer in layers]), path)


def check_view_size(
    environments: Environments, environment: str, service: str | None, *, view: View | None = None
) -> list[Issue]:
    """Whether a view is over its limit (``view_too_large``); exact work only where it could be."""
    layers = layers_of(environments, environment, service, must_know=False)
    heaviest = sum(environments[layer.environment].weight(layer.service).bytes for layer in layers)
    if view is None and heaviest <= MAX_VIEW_BYTES:
        return []
    size = weigh_layer(view.tree if view else fold([layer.tree for layer in layers])).bytes
    if size <= MAX_VIEW_BYTES:
        return []
    whose = f"{environment}/{service}" if service else environment
    text = f"{whose} would resolve to {size} bytes, at most {MAX_VIEW_BYTES} are allowed"
    return [Issue("view_too_large", text)]


def _heaviest(environments: Environments, layers: Sequence[Layer], view: View) -> int:
    """What the layers weigh together, and what references bring in beside."""
    written = sum(environments[layer.environment].weight(layer.service).bytes for layer in layers)
    return written + sum(weigh(get_at(view.tree, path)).bytes for path in view.referring)


def _folded(layers: Sequence[Layer], base: View | None) -> Tree:
    if base is None:
        return fold([layer.tree for layer in layers])
    tree = base.folded
    for layer in layers:
        if layer.service is not None:
            tree = fold_onto(tree, layer.tree)
    return tree


def _resolved(environment: str, service: str | None, folded: Tree) -> View:
    referring = referring_leaves(folded)
    tree, issues = resolve_config(folded, referring) if referring else (folded, [])
    return View(environment, service, folded, referring, tree, digest_of(tree), issues=tuple(issues))


def _with_folded(view: View, folded: Tree, paths: Sequence[Path]) -> View:
    """The view with a folded tree that differs at these paths; its digest is still that of before."""
    referring = _referring_after(view.referring, folded, paths)
    tree, issues = resolve_config(folded, referring) if referring else (folded, [])
    return replace(view, folded=folded, referring=referring, tree=tree, issues=tuple(issues))


def _compared(before: View, after: View) -> tuple[View, list[TreeChange]]:
    changes = diff(before.tree, after.tree)
    digest = digest_after(before.digest, before.tree, after.tree, changes)
    return replace(after, digest=digest), changes


def _referring_after(
    referring: Mapping[Path, Any], folded: Tree, touched: Sequence[Path]
) -> Mapping[Path, Any]:
    """The referring leaves after the folded tree moved at some paths."""
    kept = {
        path: leaf
        for path, leaf in referring.items()
        if not any(path[: len(moved)] == moved for moved in touched)
    }
    for moved in touched:
        node = get_at(folded, moved)
        if node is not MISSING:
            wrapped: Tree = {"": node}
            kept |= {(*moved, *path[1:]): leaf for path, leaf in referring_leaves(wrapped).items()}
    return referring if kept == referring else kept

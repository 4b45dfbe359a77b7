"""Seals: leaves that an ancestor has decided for every environment below it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from coreconfig.errors import Issue
from coreconfig.model.canonical import same
from coreconfig.model.environments import Environments, linearise
from coreconfig.model.keys import Path, Pattern, format_key, parse_pattern
from coreconfig.model.references import referring_leaves, resolve_config
from coreconfig.model.resolution import Layer, explain, layers_of, resolve
from coreconfig.model.trees import MISSING, Tree, get_at, leaves, set_at
from coreconfig.model.views import resolved_at


def sealing_ancestors(environments: Environments, environment: str) -> list[tuple[str, list[Pattern]]]:
    """The ancestors that seal something, with their patterns."""
    lineage = linearise(environments, environment)[:-1]
    return [
        (name, [parse_pattern(text) for text in environments[name].sealed])
        for name in lineage
        if environments[name].sealed
    ]


def broken_seals(
    environments: Environments,
    environment: str,
    services: Iterable[str | None],
    paths: Sequence[Path] | None = None,
) -> Iterator[Issue]:
    """Every sealed leaf that this environment resolves otherwise, and the layers in the way (``sealed``).

    With `paths` only what lies at or below these is looked at, unless references may carry a difference from
    one key to another.
    """
    ancestors = sealing_ancestors(environments, environment)
    if not ancestors:
        return
    for service in services:
        for ancestor, patterns in ancestors:
            own, theirs = _both(environments, environment, ancestor, service, paths)
            for path in sorted(_differing(own, theirs, patterns)):
                yield _broken(environments, environment, service, ancestor, path)


def _both(
    environments: Environments,
    environment: str,
    ancestor: str,
    service: str | None,
    paths: Sequence[Path] | None,
) -> tuple[Tree, Tree]:
    """What a view of an environment and the same view of its ancestor resolve to."""
    layers = [layers_of(environments, name, service, must_know=False) for name in (environment, ancestor)]
    refers = any(environments[one.environment].weight(one.service).referring for one in layers[0])
    if paths is not None and not refers:
        own, theirs = (_at_paths(each, paths) for each in layers)
    else:
        own, theirs = (resolve_config(tree, referring_leaves(tree))[0] for tree in map(resolve, layers))
    return own, theirs


def _at_paths(layers: Sequence[Layer], paths: Sequence[Path]) -> Tree:
    tree: Tree = {}
    for path in paths:
        if (node := resolved_at(layers, path)) is not MISSING:
            tree = set_at(tree, path, node)
    return tree


def _differing(own: Tree, theirs: Tree, patterns: list[Pattern]) -> set[Path]:
    """The leaves under a seal that are there on one side only, or not the same on both."""
    if own is theirs:
        return set()
    sealed = {
        path
        for tree in (own, theirs)
        for path, _ in leaves(tree)
        if any(pattern.matches(path[:length]) for pattern in patterns for length in range(1, len(path) + 1))
    }
    return {path for path in sealed if not _agree(get_at(own, path), get_at(theirs, path))}


def _agree(mine: object, its: object) -> bool:
    if mine is MISSING or its is MISSING:
        return mine is its
    return same(mine, its)


def _broken(
    environments: Environments, environment: str, service: str | None, ancestor: str, path: Path
) -> Issue:
    above = set(linearise(environments, ancestor))
    layers = layers_of(environments, environment, service, must_know=False)
    blockers = [_name(c.layer) for c in explain(layers, path) if c.layer.environment not in above]
    whose = f"{environment}/{service}" if service else environment
    return Issue(
        "sealed",
        f"{ancestor!r} seals this key, and {whose} would resolve it otherwise"
        f" because of {', '.join(blockers) or 'a layer between them'}; take the value out there",
        key=format_key(path),
    )


def _name(layer: Layer) -> str:
    return f"{layer.environment}/{layer.service}" if layer.service else layer.environment

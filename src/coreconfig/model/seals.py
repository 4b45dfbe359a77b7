"""Seals: leaves that an ancestor has decided for every environment below it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from coreconfig.errors import Issue
from coreconfig.model.canonical import same
from coreconfig.model.environments import Environments, linearise
from coreconfig.model.keys import Path, Pattern, format_key, parse_pattern
from coreconfig.model.resolution import Layer, explain, layers_of, resolve
from coreconfig.model.trees import MISSING, Tree, get_at, leaves


def sealing_ancestors(environments: Environments, environment: str) -> list[tuple[str, list[Pattern]]]:
    """The ancestors that seal something, with their patterns."""
    lineage = linearise(environments, environment)[:-1]
    return [
        (name, [parse_pattern(text) for text in environments[name].sealed])
        for name in lineage
        if environments[name].sealed
    ]


def broken_seals(
    environments: Environments, environment: str, services: Iterable[str | None]
) -> Iterator[Issue]:
    """Every sealed leaf that this environment resolves otherwise, and the layers in the way (``sealed``)."""
    ancestors = sealing_ancestors(environments, environment)
    if not ancestors:
        return
    for service in services:
        own = resolve(layers_of(environments, environment, service))
        for ancestor, patterns in ancestors:
            theirs = resolve(layers_of(environments, ancestor, service, must_know=False))
            for path in sorted(_differing(own, theirs, patterns)):
                yield _broken(environments, environment, service, ancestor, path)


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
    layers = layers_of(environments, environment, service)
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

"""Plans: the fewest edits that turn one environment into another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from coreconfig.model.canonical import same
from coreconfig.model.documents import service_document, to_document
from coreconfig.model.edits import Edit, EnvironmentEdit, ValueEdit
from coreconfig.model.environments import Environment, ServiceEntry
from coreconfig.model.keys import Path
from coreconfig.model.resolution import merges
from coreconfig.model.trees import MISSING, Tree, plain

_ATTRIBUTES = ("name", "type", "inherits", "properties", "infrastructure", "sealed", "local", "expires_at")


def plan(current: Environment | None, wanted: Environment) -> list[Edit]:
    """The edits that turn `current` into `wanted`; none where they are the same."""
    if current is None:
        return [EnvironmentEdit(wanted.id, "create", to_document(wanted))]
    edits: list[Edit] = []
    if update := _update(current, wanted):
        edits.append(EnvironmentEdit(wanted.id, "update", update))
    edits += _layer_edits(wanted.id, None, current.base, wanted.base)
    for service, entry in wanted.services.items():
        there = current.services.get(service, ServiceEntry())
        edits += _layer_edits(wanted.id, service, there.layer, entry.layer)
    return edits


def _update(current: Environment, wanted: Environment) -> dict[str, Any]:
    """The attributes and facts that differ, as they are wanted."""
    before, after = to_document(current), to_document(wanted)
    update = {name: after[name] for name in _ATTRIBUTES if not same(before[name], after[name])}
    if services := dict(_service_updates(current, wanted)):
        update["services"] = services
    return update


def _service_updates(current: Environment, wanted: Environment) -> Iterator[tuple[str, Any]]:
    for service, entry in wanted.services.items():
        there = current.services.get(service)
        if there is None or not same(_facts(there), _facts(entry)):
            yield service, _facts(entry)
    for service in current.services:
        if service not in wanted.services:
            yield service, None


def _facts(entry: ServiceEntry) -> dict[str, Any]:
    said = service_document(entry)
    del said["configuration"]
    return said


def _layer_edits(environment: str, service: str | None, before: Tree, after: Tree) -> Iterator[Edit]:
    for path, value in _differences(before, after, ()):
        if value is MISSING:
            yield ValueEdit(environment, service, path, "delete")
        else:
            yield ValueEdit(environment, service, path, "set", plain(value))


def _differences(before: Tree, after: Tree, at: Path) -> Iterator[tuple[Path, Any]]:
    """The paths at which two layers differ, with what is wanted there; a marker is a leaf of its layer."""
    for name in before:
        if name not in after:
            yield (*at, name), MISSING
    for name, new in after.items():
        old = before.get(name, MISSING)
        if old is not new and not (old is not MISSING and same(old, new)):
            if merges(old) and merges(new) and old and new:
                yield from _differences(old, new, (*at, name))
            else:
                yield (*at, name), new

"""Which keys a change moved where, as the log keeps it for guards and histories."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from coreconfig.model.edits import Edit, ValueEdit
from coreconfig.model.environments import Environment, Environments
from coreconfig.model.keys import Path, format_key
from coreconfig.model.snapshots import diff
from coreconfig.server.changes.impact import Impact, Pair
from coreconfig.server.revisions.movements import Movement


def movements_of(
    impact: Impact, edits: Iterable[Edit], before: Environments, after: Environments
) -> list[Movement]:
    """One movement for each key in each environment: in which views it moved, whose own entry was edited.

    The base view and the base layer are spelt "".
    """
    moved: dict[tuple[str, str], tuple[set[str], set[str]]] = {}
    for move in impact.moves:
        for environment, service in move.pairs:
            moved.setdefault((environment, format_key(move.path)), (set(), set()))[0].add(service or "")
    for environment, service, path in _edited_entries(edits, before, after):
        moved.setdefault((environment, format_key(path)), (set(), set()))[1].add(service or "")
    declared = _declared(impact.reached)
    return [
        Movement(
            environment,
            key,
            sorted(services),
            sorted(entries),
            sorted(declared[environment] - services) if "" in services else [],
        )
        for (environment, key), (services, entries) in sorted(moved.items())
    ]


def _edited_entries(
    edits: Iterable[Edit], before: Environments, after: Environments
) -> Iterator[tuple[str, str | None, Path]]:
    """Where layers were edited: as value edits say, and by whatever comes or goes with an environment."""
    for edit in edits:
        if isinstance(edit, ValueEdit):
            yield edit.environment, edit.service, edit.path
        else:
            old, new = before.get(edit.environment), after.get(edit.environment)
            for service in [None, *_services(old), *_services(new)]:
                layers = (one.layer(service) if one else {} for one in (old, new))
                yield from ((edit.environment, service, change.path) for change in diff(*layers))


def _services(environment: Environment | None) -> Iterable[str]:
    return environment.services if environment else ()


def _declared(reached: Iterable[Pair]) -> dict[str, set[str]]:
    services: dict[str, set[str]] = defaultdict(set)
    for environment, service in reached:
        if service is not None:
            services[environment].add(service)
    return services

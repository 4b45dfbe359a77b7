"""Which keys a change moved where, as the log keeps it for guards and histories."""

from __future__ import annotations

from collections.abc import Iterable

from coreconfig.model.edits import Edit, ValueEdit
from coreconfig.model.keys import format_key
from coreconfig.server.changes.impact import Impact
from coreconfig.server.revisions.movements import Movement


def movements_of(impact: Impact, edits: Iterable[Edit]) -> list[Movement]:
    """One movement for each key in each environment: in which views it moved, whose own entry was edited.

    The base view and the base layer are spelt "".
    """
    moved: dict[tuple[str, str], tuple[set[str], set[str]]] = {}
    for move in impact.moves:
        for environment, service in move.pairs:
            moved.setdefault((environment, format_key(move.path)), (set(), set()))[0].add(service or "")
    for edit in edits:
        if isinstance(edit, ValueEdit):
            place = (edit.environment, format_key(edit.path))
            moved.setdefault(place, (set(), set()))[1].add(edit.service or "")
    return [
        Movement(environment, key, sorted(services), sorted(entries))
        for (environment, key), (services, entries) in sorted(moved.items())
    ]

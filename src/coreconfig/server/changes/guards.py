"""Conditions under which an author wants a change: nobody else has been at the same keys meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import Connection

from coreconfig.errors import Conflict, Issue
from coreconfig.model.canonical import canonical
from coreconfig.model.edits import Edit, EnvironmentEdit, Touch, ValueEdit
from coreconfig.model.environments import Environments, linearise
from coreconfig.model.keys import format_key, is_related, parse_key
from coreconfig.model.references import references_in
from coreconfig.model.resolution import layers_of
from coreconfig.model.trees import MISSING, plain
from coreconfig.model.views import resolved_at
from coreconfig.server.changes.model import Guard
from coreconfig.server.revisions.log import last_shaped, row_at
from coreconfig.server.revisions.rows import LogRow
from coreconfig.server.revisions.stamps import key_etag, moved_at
from coreconfig.server.revisions.world import World
from coreconfig.server.web.preconditions import Precondition

_SHOWN: Final = 200
"""How many characters of a value a message shows."""


def unmoved_since(tx: Connection, edits: Iterable[Edit], revision: int, environments: Environments) -> None:
    """Raise `Conflict` if an edited path has moved after `revision`, naming path, revision and author.

    With what the layers give there in the `environments` as they are now. What an edit of an environment
    itself is made for has moved when another one came in between.
    """
    issues: list[Issue] = []
    latest = 0
    for edit in edits:
        at = _moved_after(tx, edit, revision)
        if at is not None:
            latest = max(latest, at)
            issues.append(_moved(tx, edit, at, environments))
    if issues:
        raise Conflict(
            f"the change was made for revision {revision}, and something in it has moved since;"
            " read it again and decide anew",
            issues=issues,
            revision=latest,
        )


def demand_known(revision: int, newest: int) -> None:
    """Raise `Conflict` for a revision that the log does not have: its author saw one that is gone.

    So it is after an older database was restored; what moved in the meantime cannot be told then.
    """
    if revision > newest:
        raise Conflict(
            f"the change was made for revision {revision}, and the newest is {newest}: the log was taken back"
            " since; read again and decide anew",
            revision=newest,
        )


def key_matches(edit: ValueEdit, precondition: Precondition) -> Guard:
    """The guard of ``If-Match`` for one key: its state must be one of those that the caller names.

    ``*`` names any, as long as there is a value.
    """

    def demand(tx: Connection, world: World) -> None:
        etag = key_etag(tx, world.epoch, edit.environment, edit.service, edit.path)
        there = not precondition.any or _now(edit, world.environments) is not MISSING
        revision = int(etag.partition("-")[2])
        precondition.demand(etag if there else None, f"the key {format_key(edit.path)}", revision)

    return demand


def meets(rows: Iterable[LogRow], environments: Environments, touches: Iterable[Touch]) -> bool:
    """Whether what was committed meanwhile may bear on a change that was judged before it.

    `environments` are those after the change, as it was judged.
    """
    mine = list(touches)
    lineages = [set(linearise(environments, name)) for name in environments] if mine else []
    entangled = [_entangled(environments, lineage) for lineage in lineages]
    views = list(zip(lineages, entangled, strict=True))
    return any(
        edit["kind"] != "value" or any(_bears_on(edit, touch, views) for touch in mine)
        for row in rows
        for edit in row.edits
    )


def _bears_on(edit: dict[str, Any], touch: Touch, views: Sequence[tuple[set[str], bool]]) -> bool:
    both = {edit["environment"], touch.environment}
    shared = [entangled for lineage, entangled in views if both <= lineage]
    if not shared or not (edit["service"] is None or touch.service in (None, edit["service"])):
        return False
    return any(shared) or is_related(parse_key(edit["key"]), touch.path) or _carries_on(edit)


def _carries_on(edit: dict[str, Any]) -> bool:
    return any(reference.scheme == "config" for reference in references_in(edit.get("value")))


def _entangled(environments: Environments, lineage: Iterable[str]) -> bool:
    """Whether one key of a view can bear on another there: by a reference, or by a seal over both."""
    for environment in map(environments.__getitem__, lineage):
        if environment.sealed or any(
            environment.weight(service).referring for service in (None, *environment.services)
        ):
            return True
    return False


def _moved_after(tx: Connection, edit: Edit, revision: int) -> int | None:
    if isinstance(edit, EnvironmentEdit):
        return last_shaped(tx, edit.environment, revision)
    stamp = moved_at(tx, edit.environment, edit.service, edit.path)
    return stamp[1] if stamp is not None and stamp[1] > revision else None


def _moved(tx: Connection, edit: Edit, revision: int, environments: Environments) -> Issue:
    row = row_at(tx, revision)
    author = row.author if row else "somebody"
    if isinstance(edit, EnvironmentEdit):
        text = f"the environment was changed at revision {revision} by {author}"
        return Issue("moved_since", text, key=edit.environment)
    text = f"moved at revision {revision} by {author}, to {_shown(edit, environments)}"
    return Issue("moved_since", text, key=format_key(edit.path))


def _shown(edit: ValueEdit, environments: Environments) -> str:
    """What is there now, short enough for a message."""
    value = _now(edit, environments)
    if value is MISSING:
        return "nothing"
    text = canonical(plain(value))
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _now(edit: ValueEdit, environments: Environments) -> Any:
    """What the layers give at the edited key, references as they are written."""
    if edit.environment not in environments:
        return MISSING
    layers = layers_of(environments, edit.environment, edit.service, must_know=False)
    return resolved_at(layers, edit.path)

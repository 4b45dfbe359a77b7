"""Conditions under which an author wants a change: nobody else has been at the same keys meanwhile."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection

from coreconfig.errors import Conflict, Issue
from coreconfig.model.edits import Edit, Touch, ValueEdit
from coreconfig.model.environments import Environments, linearise
from coreconfig.model.keys import format_key, is_related, parse_key
from coreconfig.server.changes.model import Guard
from coreconfig.server.revisions.log import row_at
from coreconfig.server.revisions.rows import LogRow
from coreconfig.server.revisions.stamps import key_etag, moved_at
from coreconfig.server.web.preconditions import Precondition


def unmoved_since(tx: Connection, edits: Iterable[Edit], revision: int) -> None:
    """Raise `Conflict` if an edited path has moved after `revision`, naming path, revision and author."""
    issues: list[Issue] = []
    latest = 0
    for edit in edits:
        if not isinstance(edit, ValueEdit):
            continue
        stamp = moved_at(tx, edit.environment, edit.service, edit.path)
        if stamp is not None and stamp[1] > revision:
            latest = max(latest, stamp[1])
            issues.append(_moved(tx, edit, stamp[1]))
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
    """The guard of ``If-Match`` for one key: its state must be one of those that the caller names."""

    def demand(tx: Connection, epoch: int) -> None:
        etag = key_etag(tx, epoch, edit.environment, edit.service, edit.path)
        precondition.demand(etag, f"the key {format_key(edit.path)}", int(etag.partition("-")[2]))

    return demand


def meets(rows: Iterable[LogRow], environments: Environments, touches: Iterable[Touch]) -> bool:
    """Whether what was committed meanwhile may bear on a change that was judged before it."""
    mine = list(touches)
    for row in rows:
        for edit in row.edits:
            if edit["kind"] != "value" or any(_bears_on(edit, touch, environments) for touch in mine):
                return True
    return False


def _bears_on(edit: dict[str, object], touch: Touch, environments: Environments) -> bool:
    related = is_related(parse_key(edit["key"]), touch.path)
    return related and _share_a_view(str(edit["environment"]), touch.environment, environments)


def _share_a_view(one: str, other: str, environments: Environments) -> bool:
    """Whether some environment inherits from both."""
    for name in environments:
        lineage = linearise(environments, name)
        if one in lineage and other in lineage:
            return True
    return False


def _moved(tx: Connection, edit: ValueEdit, revision: int) -> Issue:
    row = row_at(tx, revision)
    author = row.author if row else "somebody"
    return Issue("moved_since", f"moved at revision {revision} by {author}", key=format_key(edit.path))

"""Who last edited what a layer says: the revision and author beside each line of an explanation."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, and_, or_, select

from coreconfig.model.keys import Path, format_key
from coreconfig.server.revisions.tables import log, movement


class LastEdit(NamedTuple):
    """The revision of an edit, and who made it."""

    revision: int
    author: str


def last_edit(
    tx: Connection, environment: str, service: str | None, path: Path, until: int
) -> LastEdit | None:
    """The newest edit, up to a revision, of what a layer itself says at, above or below a key.

    An environment that was created from a document had all of its layers edited by that.
    """
    key = format_key(path)
    above = [format_key(path[:length]) for length in range(len(path))]
    # no key that lies below has a character smaller than "." or larger than "/" after this one
    below = and_(movement.c.key > f"{key}.", movement.c.key < f"{key}/")
    related = or_(movement.c.key.in_([*above, key]), below)
    # edits are canonical JSON, in which this text is a creation and nothing else
    created = f'"environment":"{environment}","kind":"environment","operation":"create"'
    found = tx.execute(
        select(log.c.revision, log.c.author)
        .join(movement, movement.c.revision == log.c.revision)
        .where(
            movement.c.environment == environment,
            movement.c.revision <= until,
            related,
            or_(movement.c.entries.like(f'%"{service or ""}"%'), log.c.edits.like(f"%{created}%")),
        )
        .order_by(log.c.revision.desc())
        .limit(1)
    ).first()
    return None if found is None else LastEdit(*found)

"""Where the log begins: what lies before was dropped by compaction."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from coreconfig.errors import NotFound
from coreconfig.server.revisions import tables
from coreconfig.server.revisions.log import read_head

_FIRST = select(
    func.min(tables.log.c.revision), select(func.min(tables.checkpoint.c.revision)).scalar_subquery()
)


def floor_of(tx: Connection) -> int:
    """The newest revision that was dropped; 0 when the log is whole.

    The world at exactly that revision is kept, as the oldest checkpoint. Rows before it that are still there
    are those that an interrupted compaction has yet to take away.
    """
    first, oldest = tx.execute(_FIRST).one()
    if first is None:
        return read_head(tx).revision
    if first == 1:
        return 0
    return int(first) - 1 if oldest is None else max(int(first) - 1, int(oldest))


def absent(tx: Connection, revision: int) -> NotFound:
    """Why there is no row of a revision: ``revision_compacted`` or ``unknown_revision``."""
    floor = floor_of(tx)
    if 0 < revision <= floor:
        return compacted(revision, floor)
    newest = read_head(tx).revision
    return NotFound(
        f"there is no revision {revision}; the newest is {newest}", code="unknown_revision", revision=newest
    )


def compacted(revision: int, floor: int) -> NotFound:
    """The answer about a revision that is not kept any more."""
    return NotFound(
        f"revision {revision} was dropped by compaction; the log begins after revision {floor}",
        code="revision_compacted",
    )

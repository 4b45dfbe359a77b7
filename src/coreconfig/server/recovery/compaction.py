"""Compaction: rows of the log that nobody needs any more make room, up to a checkpoint.

It works beside running servers: in short transactions, each of which leaves a database that is right. First
the world at the end of what goes is kept as a checkpoint in the place of older ones, then rows go from the
oldest on. Whoever interrupts it can begin it again.

Movements outlive their rows as far as entity tags and guards of writes need them: of each key the last one
for each view and each layer stays, and so the answer to "when did this last move" stays what it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import groupby

from sqlalchemy import Connection, delete, func, select

from coreconfig.errors import Invalid, NotFound
from coreconfig.server.changes.tables import idempotency
from coreconfig.server.db.database import Database
from coreconfig.server.db.dialects import dialect_of
from coreconfig.server.db.dialects.sqlite import SQLite
from coreconfig.server.db.dialects.sqlite_file import SQLiteFile
from coreconfig.server.db.migrations import ensure_schema
from coreconfig.server.recovery.forgetting import forgettable
from coreconfig.server.recovery.pins import Bound, bounded
from coreconfig.server.recovery.verify import verify
from coreconfig.server.revisions import tables
from coreconfig.server.revisions.checkpoints import Checkpoint, load_start, save_checkpoint
from coreconfig.server.revisions.floor import floor_of
from coreconfig.server.revisions.log import read_head
from coreconfig.server.revisions.movements import stored

KEEP_DAYS = 400
ANSWERS_KEPT = timedelta(hours=24)
"""A write that was repeated within this time is recognised, whatever is dropped."""
BATCH = 500

_log, _movement, _checkpoint = tables.log.c, tables.movement.c, tables.checkpoint.c


@dataclass(frozen=True, slots=True)
class Compacted:
    """What was dropped: rows up to `floor`, movements, and answers kept for repeated writes."""

    floor: int
    rows: int
    movements: int
    answers: int
    held_by: str | None


def compact(
    url: str, *, before: int | None = None, keep_days: int | None = None, now: datetime | None = None
) -> Compacted:
    """Drop rows of revisions below `before` and older than `keep_days`, as far as no pin holds them.

    Without either, what is older than 400 days. Raises `StoreIntegrity` for a log that is damaged (it is
    evidence then), `Invalid` (``database_older``, ``bad_bound``) and `NotFound` (``no_database``).
    """
    dialect = dialect_of(url)
    if isinstance(dialect, SQLite):
        SQLiteFile(dialect.path).demand()
    database = Database(dialect, ExitStack())  # beside a server that may hold it
    try:
        return _compacted(database, before, keep_days, now or datetime.now(UTC))
    finally:
        database.close()


def _compacted(database: Database, before: int | None, keep_days: int | None, now: datetime) -> Compacted:
    database.read(lambda tx: ensure_schema(tx, migrate=False))
    database.read(verify)
    bound = database.read(lambda tx: _bound(tx, before, keep_days, now))
    floor = database.read(floor_of)
    if bound.last > floor:
        made = database.read(lambda tx: _checkpoint_at(tx, bound.last, now))
        database.write(lambda tx: _keep(tx, made, bound.last))
        floor = bound.last
    if floor == 0:
        return Compacted(0, 0, 0, 0, bound.held_by)
    # also where there is nothing new to drop: an earlier one may have been interrupted
    kept_since = database.read(lambda tx: _committed_at(tx, floor + 1))
    answers = database.write(lambda tx: _drop_answers(tx, min(kept_since, _text(now - ANSWERS_KEPT))))
    movements = _drop_movements(database, floor)
    return Compacted(floor, _drop_rows(database, floor), movements, answers, bound.held_by)


def _bound(tx: Connection, before: int | None, keep_days: int | None, now: datetime) -> Bound:
    """The revision up to which rows may go, by what was asked for and by what is pinned."""
    newest = read_head(tx).revision
    if before is not None and not 1 <= before <= max(1, newest):
        raise Invalid(f"there is no revision {before} to keep from; the newest is {newest}", code="bad_bound")
    days = KEEP_DAYS if before is None and keep_days is None else keep_days
    wanted = newest if before is None else before - 1
    if days is not None:
        wanted = min(wanted, _older_than(tx, now - timedelta(days=days), newest))
    return bounded(tx, wanted)


def _older_than(tx: Connection, moment: datetime, newest: int) -> int:
    """The newest revision before all that were committed since a moment."""
    young = select(func.min(_log.revision)).where(_log.committed_at >= _text(moment))
    oldest = tx.execute(young).scalar()
    return newest if oldest is None else int(oldest) - 1


def _text(moment: datetime) -> str:
    """A moment as rows carry it, so that texts compare like times."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _committed_at(tx: Connection, revision: int) -> str:
    found = tx.execute(select(_log.committed_at).where(_log.revision == revision)).scalar()
    if found is None:
        raise NotFound(f"there is no revision {revision}", code="unknown_revision")
    return str(found)


def _checkpoint_at(tx: Connection, revision: int, now: datetime) -> Checkpoint:
    world, rows = load_start(tx, revision)
    for row in rows:
        world = world.advanced(row)
    return Checkpoint.of(world, now)


def _keep(tx: Connection, made: Checkpoint, revision: int) -> None:
    """Have this checkpoint, and none before it; one of the same revision may be damaged."""
    tx.execute(delete(tables.checkpoint).where(_checkpoint.revision <= revision))
    save_checkpoint(tx, made)


def _drop_answers(tx: Connection, before: str) -> int:
    return tx.execute(delete(idempotency).where(idempotency.c.created_at < before)).rowcount


def _drop_rows(database: Database, last: int) -> int:
    """From the oldest on, so that what is left is one piece at every moment."""
    dropped = 0
    while (first := database.read(_first)) <= last:
        dropped += database.write(partial(_drop_until, min(last, first + BATCH - 1)))
    return dropped


def _first(tx: Connection) -> int:
    return int(tx.execute(select(func.min(_log.revision))).scalar_one())


def _drop_until(revision: int, tx: Connection) -> int:
    return tx.execute(delete(tables.log).where(_log.revision <= revision)).rowcount


def _drop_movements(database: Database, last: int) -> int:
    covered = database.read(lambda tx: list(_covered(tx, last)))
    for start in range(0, len(covered), BATCH):
        database.write(partial(_drop_each, covered[start : start + BATCH]))
    return len(covered)


def _drop_each(movements: list[tuple[str, str, int]], tx: Connection) -> None:
    for environment, key, revision in movements:
        same = (_movement.environment == environment, _movement.key == key, _movement.revision == revision)
        tx.execute(delete(tables.movement).where(*same))


def _covered(tx: Connection, last: int) -> Iterator[tuple[str, str, int]]:
    """Movements of what goes that no answer needs; what is asked about a kept revision stays the same too."""
    ordered = (
        select(tables.movement)
        .where(_movement.revision <= last)
        .order_by(_movement.environment, _movement.key, _movement.revision.desc())
    )
    for place, rows in groupby(tx.execute(ordered), key=lambda row: (row.environment, row.key)):
        for revision in forgettable((row.revision, stored(row)) for row in rows):
            yield (*place, revision)

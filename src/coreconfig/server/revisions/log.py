"""The append-only log: append a revision, read revisions. Every row is verified when it is read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, insert, select, update

from coreconfig.errors import StoreIntegrity
from coreconfig.model.canonical import canonical
from coreconfig.server.db.notices import notify
from coreconfig.server.revisions import tables
from coreconfig.server.revisions.movements import Movement, history, last_moved, record
from coreconfig.server.revisions.rows import (
    FIRST_EPOCH,
    GENESIS,
    Head,
    LogRow,
    chained,
    damaged,
    decode,
    hash_of,
    row_from,
    went_back,
)

__all__ = [
    "Head",
    "LogRow",
    "Movement",
    "append",
    "chain_after",
    "hash_at",
    "history",
    "last_moved",
    "lock_head",
    "read_head",
    "row_at",
    "rows_after",
    "rows_newest_first",
]

_head, _log, _checkpoint = tables.head.c, tables.log.c, tables.checkpoint.c

# Statements are built once: SQLAlchemy then finds their compiled form by identity.
_READ_HEAD = select(_head.epoch, _head.revision, _head.hash, _head.installation).where(_head.id == 1)
_LOCK_HEAD = (
    select(_head.epoch, _head.revision, _head.hash, _head.installation, _log.hash, _log.epoch)
    .join_from(tables.head, tables.log, _log.revision == _head.revision, isouter=True)
    .where(_head.id == 1)
    .with_for_update(of=tables.head)
)
_MOVE_HEAD = (
    update(tables.head)
    .where(_head.id == 1, _head.revision == bindparam("expected"))
    .values(epoch=bindparam("to_epoch"), revision=bindparam("to_revision"), hash=bindparam("to_hash"))
)
_APPEND = insert(tables.log).inline()
_ROWS: Select[Any] = select(tables.log)
_ROWS_AFTER = _ROWS.where(_log.revision > bindparam("after")).order_by(_log.revision).limit(bindparam("most"))
_ROW_AT = _ROWS.where(_log.revision == bindparam("at"))
_HASH_AT = select(_log.hash).where(_log.revision == bindparam("at"))
_CHECKPOINT_HASH_AT = select(_checkpoint.hash).where(_checkpoint.revision == bindparam("at"))
_EPOCH_AT = select(_log.epoch).where(_log.revision == bindparam("at"))
_CHECKPOINT_EPOCH_AT = select(_checkpoint.epoch).where(_checkpoint.revision == bindparam("at"))
_LAST_SHAPED = select(func.max(_log.revision)).where(
    _log.revision > bindparam("after"), _log.edits.like(bindparam("shaping"))
)
_NEWEST = _ROWS.order_by(_log.revision.desc()).limit(bindparam("most"))
_NEWEST_BEFORE = _NEWEST.where(_log.revision < bindparam("before"))


def read_head(tx: Connection) -> Head:
    """Where the log ends, in this transaction."""
    row = tx.execute(_READ_HEAD).first()
    if row is None:
        raise _headless()
    return _head_of(*row)


def lock_head(tx: Connection) -> Head:
    """The head, which nobody else can move until this transaction ends.

    Raises `StoreIntegrity` if the last row is not the one that the head names: nothing may follow it then.
    (SQLite has one writer at a time, so that the transaction itself is the lock. PostgreSQL shows the head as
    it is once the lock was waited for, but joins it with rows as they were before: hence the second look.)
    """
    row = tx.execute(_LOCK_HEAD).first()
    if row is None:
        raise _headless()
    *facts, hashed, epoch = row
    head = _head_of(*facts)
    last = (hashed, epoch) if hashed else (hash_at(tx, head.revision), epoch_at(tx, head.revision))
    if (head.hash, head.epoch) != last:
        raise damaged(head.revision, "is not the one that the head of the log names")
    return head


def append(
    tx: Connection,
    head: Head,
    *,
    kind: str,
    change_id: str,
    author: str,
    reason: str | None,
    committed_at: str,
    edits: list[dict[str, Any]],
    movements: Iterable[Movement],
    epoch: int | None = None,
) -> LogRow:
    """Add the revision after the locked head and move the head there. `epoch` begins a greater one."""
    facts: dict[str, Any] = {
        "epoch": head.epoch if epoch is None else epoch,
        "revision": head.revision + 1,
        "kind": kind,
        "change_id": change_id,
        "author": author,
        "reason": reason,
        "committed_at": committed_at,
        "edits": canonical(edits),
    }
    hashed = hash_of(head.hash, **facts)
    tx.execute(_APPEND, {**facts, "previous": head.hash, "hash": hashed})
    record(tx, facts["epoch"], facts["revision"], movements)
    _move_head(tx, head, facts["epoch"], facts["revision"], hashed)
    notify(tx, facts["revision"])
    # what was written is what is handed out: the canonical form may have changed a number's type
    return LogRow(**{**facts, "edits": decode(facts["edits"])}, hash=hashed, previous=head.hash)


def _move_head(tx: Connection, head: Head, epoch: int, revision: int, hashed: str) -> None:
    place = {"expected": head.revision, "to_epoch": epoch, "to_revision": revision, "to_hash": hashed}
    if tx.execute(_MOVE_HEAD, place).rowcount != 1:
        raise RuntimeError(f"the head was moved from revision {head.revision} although it was locked")


def rows_after(tx: Connection, revision: int, limit: int) -> list[LogRow]:
    """At most `limit` rows that follow a revision, ascending. Raises `StoreIntegrity` if one is damaged."""
    rows, problem = chain_after(tx, revision, hash_at(tx, revision), limit)
    if problem is not None:
        raise problem
    return rows


def chain_after(
    tx: Connection, revision: int, previous: str | None, limit: int
) -> tuple[list[LogRow], StoreIntegrity | None]:
    """The rows after a revision with this hash up to the first damaged one, and what is wrong with that.

    When all rows there are fit within the limit, the last of them also has to be what the head names.
    """
    if previous is None:
        return [], damaged(revision, "is missing")
    stored = tx.execute(_ROWS_AFTER, {"after": revision, "most": limit}).all()
    rows: list[LogRow] = []
    try:
        for row in chained(stored, revision=revision, previous=previous):
            rows.append(row)  # noqa: PERF402  # rows before a damaged one are kept
        if len(stored) < limit:
            last = rows[-1].revision if rows else revision
            _check_end(read_head(tx), last, rows[-1].hash if rows else previous, epoch_at(tx, last))
    except StoreIntegrity as problem:
        return rows, problem
    return rows, None


def _check_end(head: Head, revision: int, hashed: str, epoch: int | None) -> None:
    if head.revision < revision:
        raise went_back(head, revision)
    if head.revision > revision:
        raise damaged(revision + 1, f"is missing: the head is at {head.revision}")
    if head.hash != hashed or head.epoch != epoch:
        raise damaged(revision, "is not the one that the head of the log names")


def row_at(tx: Connection, revision: int) -> LogRow | None:
    """One row; None if there is no such revision, or it was dropped by compaction."""
    stored = tx.execute(_ROW_AT, {"at": revision}).first()
    return None if stored is None else row_from(stored)


def last_shaped(tx: Connection, environment: str, after: int) -> int | None:
    """The last revision after another that edited the environment itself, not only values in it."""
    # edits are canonical JSON, in which this text is an edit of an environment and nothing else
    shaping = f'%"environment":"{environment}","kind":"environment"%'
    found = tx.execute(_LAST_SHAPED, {"after": after, "shaping": shaping}).scalar()
    return None if found is None else int(found)


def rows_newest_first(tx: Connection, *, before: int | None, limit: int) -> list[LogRow]:
    """At most `limit` rows below a revision (or from the newest), descending."""
    if before is None:
        stored = tx.execute(_NEWEST, {"most": limit}).all()
    else:
        stored = tx.execute(_NEWEST_BEFORE, {"most": limit, "before": before}).all()
    if not stored:
        return []
    oldest = row_from(stored[-1])
    rows = [oldest, *chained(reversed(stored[:-1]), revision=oldest.revision, previous=oldest.hash)]
    return rows[::-1]


def hash_at(tx: Connection, revision: int) -> str | None:
    """The hash that the row after a revision has to follow; None if nothing is kept of that revision."""
    if revision == 0:
        return GENESIS
    found = tx.execute(_HASH_AT, {"at": revision}).scalar()
    found = found or tx.execute(_CHECKPOINT_HASH_AT, {"at": revision}).scalar()
    return None if found is None else str(found)


def epoch_at(tx: Connection, revision: int) -> int | None:
    """The epoch to which a revision belongs, as it is stored; None if nothing is kept of it."""
    if revision == 0:
        return FIRST_EPOCH
    found = tx.execute(_EPOCH_AT, {"at": revision}).scalar()
    return tx.execute(_CHECKPOINT_EPOCH_AT, {"at": revision}).scalar() if found is None else found


def _head_of(epoch: Any, revision: Any, hashed: Any, installation: Any) -> Head:
    if type(epoch) is not int or type(revision) is not int:
        raise StoreIntegrity("the head row of the log is damaged; restore the database from a backup")
    return Head(epoch, revision, hashed, installation)


def _headless() -> StoreIntegrity:
    return StoreIntegrity("the log has no head row; restore the database from a backup", revision=0)

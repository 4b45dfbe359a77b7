"""Checkpoints: worlds kept whole, so that any revision is at most some rows away from one."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, bindparam, desc, func, select

from coreconfig.errors import CoreConfigError, NotFound
from coreconfig.model.canonical import canonical
from coreconfig.server.db.replacing import insert_missing
from coreconfig.server.revisions import tables
from coreconfig.server.revisions.log import chain_after, read_head
from coreconfig.server.revisions.rows import LogRow, chained, damaged, decode
from coreconfig.server.revisions.world import World

EVERY = 1_000
"""Revisions after which the next checkpoint is due."""
AT_LEAST_EACH = timedelta(days=1)

_checkpoint, _log = tables.checkpoint.c, tables.log.c
_ROWS_BETWEEN = (
    select(tables.log)
    .where(_log.revision > bindparam("after"), _log.revision <= bindparam("last"))
    .order_by(_log.revision)
)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A world in the form in which it is stored; making one takes long and needs no transaction."""

    row: dict[str, Any]

    @classmethod
    def of(cls, world: World, at: datetime) -> Checkpoint:
        """The compressed canonical JSON of a world, and what shows later that it is still that."""
        content = zlib.compress(canonical(world.to_json()).encode(), 6)
        facts = {"revision": world.revision, "epoch": world.epoch, "hash": world.hash}
        checksum = _checksum(world.revision, world.epoch, world.hash, content)
        return cls({**facts, "taken_at": at.isoformat(), "checksum": checksum, "world": content})


def is_due(revision: int, last_revision: int, since_last: timedelta) -> bool:
    """Whether a world deserves a checkpoint: a thousand revisions after the last, or a day and one."""
    moved = revision - last_revision
    return moved >= EVERY or (moved > 0 and since_last >= AT_LEAST_EACH)


def save_checkpoint(tx: Connection, world: World | Checkpoint) -> None:
    """Keep a world; one that is kept already stays as it is."""
    made = world if isinstance(world, Checkpoint) else Checkpoint.of(world, datetime.now(UTC))
    insert_missing(tx, tables.checkpoint, made.row)


def newest_checkpoint(tx: Connection) -> tuple[int, datetime] | None:
    """Revision and time of the newest one; a time that cannot be read was very long ago."""
    query = (
        select(_checkpoint.revision, _checkpoint.taken_at)
        .where(_checkpoint.revision <= read_head(tx).revision)
        .order_by(desc(_checkpoint.revision))
        .limit(1)
    )
    found = tx.execute(query).first()
    return None if found is None else (found.revision, _time(found.taken_at))


def _time(text: Any) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return datetime.min.replace(tzinfo=UTC)
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def load_start(tx: Connection, at: int | None = None) -> tuple[World, list[LogRow]]:
    """The newest sound checkpoint (not after `at`) and the rows that lead from there to `at`, or to the end.

    Raises `StoreIntegrity` at a damaged row and `NotFound` (``unknown_revision``, ``revision_compacted``).
    """
    head = read_head(tx)
    last = head.revision if at is None else at
    if not 0 <= last <= head.revision:
        raise NotFound(f"there is no revision {last}; the newest is {head.revision}", code="unknown_revision")
    world = load_checkpoint(tx, last)
    return world, rows_between(tx, world, last)


def load_newest(tx: Connection) -> World:
    """The newest sound checkpoint, or the empty beginning. Raises `StoreIntegrity` if there is neither."""
    try:
        return load_checkpoint(tx, read_head(tx).revision)
    except NotFound as error:
        raise damaged(read_head(tx).revision, "cannot be reached: no checkpoint is sound") from error


def load_checkpoint(tx: Connection, at: int) -> World:
    """The newest sound checkpoint that is not after a revision, or the empty beginning."""
    query = select(tables.checkpoint).where(_checkpoint.revision <= at).order_by(desc(_checkpoint.revision))
    with tx.execute(query) as found:
        for stored in found:
            world = _decoded(stored)
            if world is not None:
                return world
    first = tx.execute(select(func.min(_log.revision))).scalar()
    if at > 0 and first is not None and first > 1:
        raise NotFound(
            f"revision {at} was dropped by compaction; the log begins with {first}", code="revision_compacted"
        )
    return World()


def rows_between(tx: Connection, world: World, last: int) -> list[LogRow]:
    """The rows that lead from a world to a revision, verified."""
    stored = tx.execute(_ROWS_BETWEEN, {"after": world.revision, "last": last}).all()
    rows = list(chained(stored, revision=world.revision, previous=world.hash))
    if len(rows) < last - world.revision:
        _, problem = chain_after(tx, world.revision + len(rows), (rows[-1] if rows else world).hash, 1)
        raise problem or AssertionError("rows of one transaction appeared in the middle of it")
    return rows


def _decoded(stored: Sequence[Any]) -> World | None:
    """None for one that is damaged: an older one and more rows lead to the same world."""
    revision, epoch, hashed, _, checksum, content = stored
    if type(content) is not bytes or checksum != _checksum(revision, epoch, hashed, content):
        return None
    try:
        return World.from_json(decode(zlib.decompress(content).decode()))
    except (CoreConfigError, ValueError, LookupError, TypeError, AttributeError, zlib.error):
        return None


def _checksum(revision: int, epoch: int, hashed: str, content: bytes) -> str:
    return sha256(f"{revision} {epoch} {hashed} ".encode() + content).hexdigest()

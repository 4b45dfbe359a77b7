"""Whether a database holds what was written: every row of the chain, and every world kept beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, select

from coreconfig.errors import Invalid, NotFound
from coreconfig.model.canonical import canonical
from coreconfig.server.db.database import Database
from coreconfig.server.db.dialects.sqlite import SQLite
from coreconfig.server.db.dialects.sqlite_file import SQLiteFile
from coreconfig.server.db.migrations import SCHEMA, ensure_schema, schema_of
from coreconfig.server.revisions import tables
from coreconfig.server.revisions.checkpoints import load_checkpoint
from coreconfig.server.revisions.floor import floor_of
from coreconfig.server.revisions.log import read_head
from coreconfig.server.revisions.rows import Head, damaged
from coreconfig.server.revisions.steps import steps_after
from coreconfig.server.revisions.world import World


@dataclass(frozen=True, slots=True)
class Verified:
    """A log of which every row fits: where it ends, and the revision before its first row."""

    head: Head
    floor: int


def verify_file(path: Path) -> Verified:
    """Check a file that nobody writes: its pages, its schema, its whole log.

    Raises `NotFound` (``no_database``), `StoreIntegrity` (``database_corrupt``, ``store_integrity``) and
    `Invalid` (``database_foreign``, ``database_newer``).
    """
    SQLiteFile(path).check()
    with opened(path) as database:
        database.read(_demand_schema)
        return database.read(verify)


def verify(tx: Connection) -> Verified:
    """Go through the log from where it begins to its head. Raises `StoreIntegrity` at the first fault.

    A checkpoint that is damaged itself is passed over, as it is when a server starts: an earlier one and more
    rows lead to the same world. One that is sound and another world than its rows lead to is a fault.
    """
    head, floor = read_head(tx), floor_of(tx)
    kept = set(tx.execute(select(tables.checkpoint.c.revision)).scalars())
    world = _beginning(tx, floor)
    more = True
    while more:
        steps = steps_after(tx, world)
        for _, world in steps.taken:
            if world.revision in kept:
                _demand_same(load_checkpoint(tx, world.revision), world)
        if steps.problem is not None:
            raise steps.problem
        more = steps.more
    return Verified(head, floor)


@contextmanager
def opened(path: Path) -> Iterator[Database]:
    """A file that belongs to this process alone, or is only read, as a database; nothing is migrated."""
    database = Database(SQLite(path), ExitStack())
    try:
        yield database
    finally:
        database.close()


def _demand_schema(tx: Connection) -> None:
    found = schema_of(tx)
    if found is None:
        raise Invalid("the file is an empty database, not one of CoreConfig", code="database_foreign")
    if found > SCHEMA:
        ensure_schema(tx)  # which says what to do about it


def _beginning(tx: Connection, floor: int) -> World:
    if floor == 0:
        return World()
    try:
        world = load_checkpoint(tx, floor)
    except NotFound:
        world = World()
    if world.revision != floor:
        raise damaged(floor, "is where the log begins, and no sound checkpoint of it is there")
    return world


def _demand_same(kept: World, replayed: World) -> None:
    if kept.revision != replayed.revision:
        return  # the checkpoint is damaged, and an earlier one was found in its place
    if canonical(kept.to_json()) != canonical(replayed.to_json()):
        raise damaged(kept.revision, "has a checkpoint that is another world than the log leads to")

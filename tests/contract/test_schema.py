"""The schema through time: migrations that run once, programs of several versions on one database."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, select, text, update
from tests.contract.conftest import Product

import coreconfig.server
from coreconfig.errors import Conflict, Invalid
from coreconfig.server.audit.tables import audit
from coreconfig.server.db.database import Database
from coreconfig.server.db.dialects import dialect_of
from coreconfig.server.db.metadata import metadata
from coreconfig.server.db.migrations import SCHEMA, configuration, schema_of, upgrade
from coreconfig.server.db.tables import compatibility
from coreconfig.server.revisions.log import append, lock_head, read_head, rows_after


@contextmanager
def untouched(url: str) -> Iterator[Database]:
    """A database to which nothing has been done yet."""
    database = Database(dialect_of(url), ExitStack())
    yield database
    database.close()


def set_schema(tx: Connection, version: str, oldest: str) -> None:
    """As if a program of this schema had migrated the database."""
    tx.execute(text("UPDATE alembic_version SET version_num = :version"), {"version": version})
    tx.execute(update(compatibility).values(oldest=oldest))


def test_the_migrations_make_exactly_the_tables_that_the_program_uses(database: Database) -> None:
    """What the tables say and what the migrations made do not drift apart."""
    folder = Path(next(iter(coreconfig.server.__path__)))
    for found in folder.glob("*/tables.py"):  # by their name, so that a new one cannot be forgotten here
        importlib.import_module(f"coreconfig.server.{found.parent.name}.tables")
    options = {"compare_type": True, "compare_server_default": True}
    assert (
        database.read(lambda tx: compare_metadata(MigrationContext.configure(tx, opts=options), metadata))
        == []
    )


def test_the_schema_that_the_program_names_is_the_last_of_its_migrations(database: Database) -> None:
    """A migration that nobody runs would be found here."""
    script = database.read(lambda tx: ScriptDirectory.from_config(configuration(tx)))
    assert script.get_heads() == [SCHEMA]
    numbers = [one.revision for one in script.walk_revisions()]
    assert sorted(numbers, reverse=True) == numbers


def test_an_older_database_is_upgraded_and_keeps_what_it_holds(database_url: str) -> None:
    """Every migration runs on a database that the first schema made."""
    with untouched(database_url) as first:
        first.write(lambda tx: upgrade(tx, "0001"))
        before = first.read(read_head)
    again = Database.open(database_url)
    assert again.read(schema_of) == SCHEMA
    assert again.read(read_head) == before
    again.close()


def test_an_older_database_is_left_alone_if_that_was_asked_for(database_url: str) -> None:
    """Without the right to migrate the command that migrates is named."""
    with pytest.raises(Invalid) as caught:
        Database.open(database_url, migrate=False)
    assert caught.value.code == "database_older"
    assert "coreconfig migrate" in caught.value.message
    Database.open(database_url).close()
    Database.open(database_url, migrate=False).close()


def test_a_migration_that_fails_leaves_the_schema_as_it_was(database_url: str) -> None:
    """Schema and data move in one transaction."""

    def interrupted(tx: Connection) -> None:
        upgrade(tx)
        raise LookupError("power failed here")

    with untouched(database_url) as database:
        with pytest.raises(LookupError):
            database.write(interrupted)
        assert database.read(schema_of) is None


def test_several_who_migrate_at_once_make_one_installation(database_url: str, product: Product) -> None:
    """Who comes second waits, and finds everything done; of an SQLite file only one is the server."""
    found: list[str] = []
    refused: list[str] = []

    def begin() -> None:
        try:
            database = Database.open(database_url)
        except Conflict as error:
            refused.append(error.code)
        else:
            found.append(database.read(read_head).installation)
            database.close()

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(found) + len(refused) == 4
    assert set(refused) <= ({"database_in_use"} if product.name == "sqlite" else set())


def test_a_newer_database_that_left_this_program_behind_is_refused_and_left_alone(database_url: str) -> None:
    """The message says what the database has, what this program knows, and what to do."""
    Database.open(database_url).close()
    with untouched(database_url) as database:
        database.write(lambda tx: set_schema(tx, "9999", oldest="9998"))
    for _ in range(2):
        with pytest.raises(Invalid) as caught:
            Database.open(database_url)
        assert caught.value.code == "database_newer"
    assert "schema 9999" in caught.value.message
    assert f"up to {SCHEMA}" in caught.value.message
    with untouched(database_url) as database:
        assert database.read(schema_of) == "9999"
        database.write(lambda tx: set_schema(tx, SCHEMA, oldest=SCHEMA))
    Database.open(database_url).close()


def grow(tx: Connection) -> None:
    """What the next version may do: a new table, and a new column in every table that there is."""
    for table in inspect(tx).get_table_names():
        if table != "alembic_version":
            tx.execute(text(f"ALTER TABLE {table} ADD COLUMN of_the_next_version TEXT"))
            tx.execute(text(f"ALTER TABLE {table} ADD COLUMN with_default INTEGER NOT NULL DEFAULT 7"))
    tx.execute(text("CREATE TABLE of_the_next_version (id INTEGER PRIMARY KEY)"))
    set_schema(tx, "9999", oldest=SCHEMA)


TEXTS = ("at", "principal", "action", "target", "detail")


def commit(tx: Connection) -> int:
    facts = {"kind": "k", "change_id": "c", "author": "a", "reason": None, "committed_at": ""}
    tx.execute(
        audit.insert(),
        {**dict.fromkeys(("at", "principal", "action", "target", "detail"), ""), "allowed": True},
    )
    return append(tx, lock_head(tx), **facts, edits=[], movements=[]).revision  # type: ignore[arg-type]  # one mapping for brevity


def test_a_program_works_on_the_schema_that_its_successor_grew(database_url: str, product: Product) -> None:
    """Opened before or after the growth it reads and writes, without migrating back and without noticing."""
    running = Database.open(database_url)
    assert [running.write(commit) for _ in range(8)] == list(range(1, 9))  # drivers prepare what is repeated
    running.write(grow)
    assert running.write(commit) == 9
    assert len(running.read(lambda tx: rows_after(tx, 0, 100))) == 9
    if product.name == "sqlite":
        running.close()
    started_later = Database.open(database_url)
    assert started_later.write(commit) == 10
    assert started_later.read(schema_of) == "9999"
    assert len(started_later.read(lambda tx: tx.execute(select(audit)).all())) == 10
    started_later.close()
    running.close()

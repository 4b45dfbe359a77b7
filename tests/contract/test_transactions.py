"""Transactions: all or nothing, one writer at a time, one state for a reader."""

from __future__ import annotations

import asyncio
import threading

import pytest
from sqlalchemy import Connection, insert, select, text
from tests.contract.conftest import Product

from coreconfig.errors import CoreConfigError, Unavailable
from coreconfig.server.audit.tables import audit
from coreconfig.server.db.database import Database
from coreconfig.server.revisions.log import append, lock_head, read_head

ENTRY = {"at": "", "principal": "p", "action": "a", "target": "t", "allowed": True, "detail": "{}"}


def bump(tx: Connection) -> int:
    """Lock, read, compute, write: the next revision."""
    facts = {"kind": "k", "change_id": "c", "author": "a", "reason": None, "committed_at": ""}
    return append(tx, lock_head(tx), **facts, edits=[], movements=[]).revision  # type: ignore[arg-type]  # one mapping for brevity


async def test_no_update_is_lost_between_concurrent_writers(database: Database) -> None:
    """Read-modify-writes from many tasks and threads at once count every one of them."""
    foreign = [threading.Thread(target=lambda: [database.write(bump) for _ in range(25)]) for _ in range(2)]
    for thread in foreign:
        thread.start()
    await asyncio.gather(*(database.writing(bump) for _ in range(100)))
    for thread in foreign:
        thread.join()
    assert database.read(read_head).revision == 150


async def test_writes_at_once_take_one_number_each(database: Database, product: Product) -> None:
    """No number twice, none left out; with a single writer also in the order of the calls."""
    taken = await asyncio.gather(*(database.writing(bump) for _ in range(20)))
    assert sorted(taken) == list(range(1, 21))
    if product.name == "sqlite":
        assert taken == sorted(taken)


def test_what_raises_stores_nothing(database: Database) -> None:
    """An exception takes the whole transaction back, and the next one works."""

    def fail(tx: Connection) -> None:
        bump(tx)
        raise LookupError("later in the same transaction")

    with pytest.raises(LookupError):
        database.write(fail)
    assert database.read(read_head).revision == 0
    assert database.write(bump) == 1


def test_a_reader_sees_one_state_from_its_first_statement_to_its_last(database: Database) -> None:
    """A commit in between does not show in the middle of a read."""

    def read_twice(tx: Connection) -> tuple[int, int]:
        first = read_head(tx).revision
        writer = threading.Thread(target=database.write, args=(bump,))
        writer.start()
        writer.join()
        return first, read_head(tx).revision

    assert database.read(read_twice) == (0, 0)
    assert database.read(read_head).revision == 1


def test_a_read_cannot_write(database: Database) -> None:
    """Reads run on connections that refuse to change anything."""
    with pytest.raises((CoreConfigError, Exception), match=r"read.?only"):
        database.read(bump)
    assert database.read(read_head).revision == 0


async def test_reads_go_on_while_a_write_is_running(database: Database) -> None:
    """A writer does not hold up readers."""
    inside, leave = threading.Event(), threading.Event()

    def slow(tx: Connection) -> None:
        bump(tx)
        inside.set()
        assert leave.wait(10)

    writing = asyncio.ensure_future(database.writing(slow))
    assert await asyncio.to_thread(inside.wait, 10)
    assert (await asyncio.wait_for(database.reading(read_head), 5)).revision == 0
    leave.set()
    await writing
    assert (await database.reading(read_head)).revision == 1


def test_after_close_it_says_that_it_is_closed(database: Database) -> None:
    """Nothing waits for a database that is gone."""
    database.close()
    with pytest.raises(Unavailable) as caught:
        database.read(read_head)
    assert caught.value.code == "database_closed"


def test_an_installation_keeps_its_id_and_its_rows_when_it_is_opened_again(database_url: str) -> None:
    """Opening a database that exists changes nothing in it."""
    first = Database.open(database_url)
    before = first.read(read_head)
    first.write(lambda tx: tx.execute(insert(audit), ENTRY))
    first.close()
    second = Database.open(database_url)
    try:
        assert second.read(read_head) == before
        assert second.read(lambda tx: tx.execute(select(audit.c.principal)).scalars().all()) == ["p"]
    finally:
        second.close()


def test_two_installations_are_told_apart(database: Database, product: Product) -> None:
    """Every new database draws an id of its own."""
    with product.empty() as url:
        other = Database.open(url)
        try:
            assert other.read(read_head).installation != database.read(read_head).installation
        finally:
            other.close()


def test_a_commit_is_durable_at_once(database: Database, product: Product) -> None:
    """The product is told to write through to the disk before it answers."""
    wanted = {
        "sqlite": {"PRAGMA synchronous": 2, "PRAGMA journal_mode": "wal", "PRAGMA foreign_keys": 1},
        "postgresql": {"SHOW fsync": "on", "SHOW synchronous_commit": "on"},
    }
    for question, answer in wanted[product.name].items():
        assert database.write(lambda tx, q=question: tx.execute(text(q)).scalar()) == answer

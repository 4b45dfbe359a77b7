"""A replica's world follows the log: in order, at once, and never past a damaged row."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from time import monotonic, sleep
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection, delete, func, select, update

from coreconfig.errors import NotFound, StoreIntegrity, Unavailable
from coreconfig.model.canonical import same
from coreconfig.server.db.database import Database
from coreconfig.server.revisions import tables
from coreconfig.server.revisions.checkpoints import EVERY
from coreconfig.server.revisions.log import LogRow, append, lock_head, row_at
from coreconfig.server.revisions.replica import Replica
from coreconfig.server.revisions.standstill import LIMIT
from coreconfig.server.revisions.world import World

T = TypeVar("T")
LONG = 3600.0


def commit(tx: Connection, *values: Any) -> LogRow:
    """The next revision: the environment first, then a value."""
    head = lock_head(tx)
    create = {
        "kind": "environment",
        "environment": "e",
        "operation": "create",
        "document": {"id": "e", "type": "development"},
    }
    value = {"kind": "value", "environment": "e", "service": None, "key": "a", "operation": "set"}
    return append(
        tx,
        head,
        kind="values_committed",
        change_id=f"chg-{head.revision + 1}",
        author="ada",
        reason=None,
        committed_at="2026-03-01T12:00:00Z",
        edits=[{**value, "value": values[0] if values else head.revision + 1} if head.revision else create],
        movements=[],
    )


def value_in(world: World) -> Any:
    return world.environments["e"].base["a"]


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database.open(f"sqlite:///{tmp_path}/store.db")
    for _ in range(3):
        database.write(commit)
    yield database
    database.close()


class Slowed:
    """A database whose reads can be held up, and which counts them."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.reads = 0
        self.open = asyncio.Event()
        self.open.set()

    async def reading(self, fn: Callable[[Connection], T]) -> T:
        self.reads += 1
        await self.open.wait()
        return await self.database.reading(fn)

    async def writing(self, fn: Callable[[Connection], T]) -> T:
        return await self.database.writing(fn)


@pytest.fixture
async def slowed(database: Database) -> Slowed:
    return Slowed(database)


@pytest.fixture
async def replica(slowed: Slowed) -> AsyncIterator[Replica]:
    """One that learns of rows by notices and questions alone; its polling is too slow to matter."""
    replica = Replica(slowed, poll_interval=LONG)
    await replica.start()
    yield replica
    await replica.stop()


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.005)


async def test_a_replica_starts_with_everything_that_is_committed(replica: Replica) -> None:
    """The world after the start is that of the last row."""
    assert (replica.world.revision, value_in(replica.world), replica.problem) == (3, 3, None)


async def test_a_notice_brings_the_rows_at_once_and_in_order(database: Database, replica: Replica) -> None:
    """Each row is told once, with the world before and after it."""
    seen: list[tuple[int, int, int]] = []
    replica.on_advance(
        lambda before, after, row: seen.append((before.revision, after.revision, row.revision))
    )
    for _ in range(5):
        await database.writing(commit)
    await asyncio.to_thread(replica.notice)
    await until(lambda: replica.world.revision == 8)
    assert seen == [(n - 1, n, n) for n in range(4, 9)]


async def test_a_notice_during_a_round_is_not_lost(
    database: Database, replica: Replica, slowed: Slowed
) -> None:
    """A row that is committed while the log is being read is found by the next look."""
    await database.writing(commit)
    slowed.open.clear()
    reads = slowed.reads
    replica.notice()
    await until(lambda: slowed.reads > reads)
    await database.writing(commit)
    replica.notice()
    slowed.open.set()
    await until(lambda: replica.world.revision == 5)


async def test_without_any_notice_polling_finds_the_rows(database: Database) -> None:
    """Notices are hints; a lost one costs one interval."""
    replica = Replica(database, poll_interval=0.02)
    await replica.start()
    await database.writing(commit)
    await until(lambda: replica.world.revision == 4)
    await replica.stop()


async def test_catching_up_sees_what_is_committed_when_it_is_asked(
    database: Database, replica: Replica
) -> None:
    """Without a minimum the answer is at least as new as the question."""
    for n in range(4, 30):
        await database.writing(commit)
        assert (await replica.catch_up()).revision == n


async def test_many_who_ask_at_once_share_the_looks(
    database: Database, replica: Replica, slowed: Slowed
) -> None:
    """A thousand questions are not a thousand reads."""
    await until(lambda: slowed.reads >= 3)
    before = slowed.reads
    await database.writing(commit)
    worlds = await asyncio.gather(*(replica.catch_up() for _ in range(1000)))
    assert {world.revision for world in worlds} == {4}
    assert slowed.reads - before <= 3


async def test_a_minimum_that_is_there_costs_no_read(replica: Replica, slowed: Slowed) -> None:
    """What is known needs no question."""
    await replica.catch_up()
    before = slowed.reads
    assert (await replica.catch_up(3)).revision == 3
    assert slowed.reads == before


async def test_a_minimum_in_the_future_is_waited_for(database: Database, replica: Replica) -> None:
    """Whoever asks for a revision that is on its way gets it."""
    asking = asyncio.ensure_future(replica.catch_up(4, timeout=10))
    await asyncio.sleep(0)
    await database.writing(commit)
    assert (await asking).revision == 4


async def test_a_minimum_that_does_not_come_is_answered_behind(replica: Replica) -> None:
    """Never something older: 503 with the time after which to ask again."""
    with pytest.raises(Unavailable) as caught:
        await replica.catch_up(4, timeout=0.05)
    assert (caught.value.code, caught.value.retry_after, caught.value.revision) == ("behind", 1, 3)


async def test_a_minimum_is_answered_behind_in_time_also_when_the_database_hangs(
    replica: Replica, slowed: Slowed
) -> None:
    """The time-out holds whatever the database does."""
    slowed.open.clear()
    started = monotonic()
    with pytest.raises(Unavailable, match="revision 4"):
        await replica.catch_up(4, timeout=0.1)
    assert monotonic() - started < 5
    slowed.open.set()


async def test_any_revision_of_the_past_can_be_read(database: Database, replica: Replica) -> None:
    """Each is what it was; the one before the first is empty."""
    for _ in range(40):
        await database.writing(commit)
    await replica.catch_up()
    for n in (43, 2, 17, 16, 3, 42, 43):
        world = await replica.at(n)
        assert (world.revision, value_in(world)) == (n, n)
        row = await database.reading(lambda tx, n=n: row_at(tx, n))
        assert row is not None
        assert world.hash == row.hash
    assert not (await replica.at(0)).environments
    assert not (await replica.at(1)).environments["e"].base


async def test_the_past_is_read_once(database: Database, slowed: Slowed, replica: Replica) -> None:
    """A page of history, newest first, does not rebuild the world for each of its lines."""
    fresh = Replica(slowed, poll_interval=LONG)
    for _ in range(40):
        await database.writing(commit)
    await fresh.start()
    await fresh.catch_up()
    before = slowed.reads
    for n in range(42, 26, -1):
        assert value_in(await fresh.at(n)) == n
    assert slowed.reads - before <= 3
    await fresh.stop()


@pytest.mark.parametrize("revision", [-1, 4])
async def test_a_revision_that_is_not_there_is_not_found(replica: Replica, revision: int) -> None:
    """The answer names the newest."""
    with pytest.raises(NotFound, match="newest is 3") as caught:
        await replica.at(revision)
    assert caught.value.code == "unknown_revision"


async def test_at_finds_a_revision_that_was_committed_a_moment_ago(
    database: Database, replica: Replica
) -> None:
    """What a caller saw committed exists, whether or not it has arrived here."""
    await database.writing(commit)
    assert value_in(await replica.at(4)) == 4


async def test_a_damaged_row_stops_the_world_before_it(
    database: Database, replica: Replica, tmp_path: Path
) -> None:
    """Rows before it are applied, it and later ones are not; reads go on; the problem names the revision."""
    for _ in range(4):
        await database.writing(commit)
    tamper(tmp_path, "UPDATE log SET edits = replace(edits, '5', '6') WHERE revision = 5")
    assert (await replica.catch_up()).revision == 4
    assert isinstance(replica.problem, StoreIntegrity)
    assert replica.problem.revision == 5
    assert (await replica.catch_up(4)).revision == 4
    with pytest.raises(StoreIntegrity):
        await replica.catch_up(6)
    assert value_in(await replica.at(2)) == 2


async def test_a_damaged_row_that_is_restored_lets_the_world_go_on(
    database: Database, replica: Replica, tmp_path: Path
) -> None:
    """Nobody has to restart the server after the repair."""
    await database.writing(commit)
    tamper(tmp_path, "UPDATE log SET author = 'eve' WHERE revision = 4")
    await replica.catch_up()
    assert replica.problem is not None
    tamper(tmp_path, "UPDATE log SET author = 'ada' WHERE revision = 4")
    assert (await replica.catch_up()).revision == 4
    assert replica.problem is None


async def test_a_replica_that_starts_on_a_damaged_log_serves_what_is_sound(
    database: Database, tmp_path: Path
) -> None:
    """The revision before the damage is better than nothing."""
    tamper(tmp_path, "UPDATE log SET hash = 'x' WHERE revision = 3")
    replica = Replica(database, poll_interval=LONG)
    await replica.start()
    assert (replica.world.revision, value_in(replica.world)) == (2, 2)
    assert isinstance(replica.problem, StoreIntegrity)
    with pytest.raises(StoreIntegrity):
        await replica.at(3)  # it is there, and cannot be read
    await replica.stop()


async def test_a_row_that_fits_the_chain_and_cannot_be_applied_stops_the_world_too(
    database: Database, replica: Replica
) -> None:
    """For instance one that a newer program wrote."""

    def unknown(tx: Connection) -> None:
        edits = [{"kind": "value", "environment": "nowhere", "key": "a", "operation": "set", "value": 1}]
        facts = {"kind": "values_committed", "change_id": "c", "author": "a", "reason": None}
        append(tx, lock_head(tx), **facts, committed_at="", edits=edits, movements=[])  # type: ignore[arg-type]  # one mapping for brevity

    await database.writing(unknown)
    assert (await replica.catch_up()).revision == 3
    assert isinstance(replica.problem, StoreIntegrity)
    assert replica.problem.revision == 4


async def test_a_log_that_goes_back_is_a_problem_and_not_followed(
    database: Database, replica: Replica
) -> None:
    """A world never goes to a lower revision by itself."""

    def lose(tx: Connection) -> None:
        row = row_at(tx, 2)
        assert row is not None
        tx.execute(delete(tables.log).where(tables.log.c.revision == 3))
        tx.execute(update(tables.head).values(revision=2, hash=row.hash))

    await database.writing(lose)
    assert (await replica.catch_up()).revision == 3
    assert isinstance(replica.problem, StoreIntegrity)


async def test_a_follower_that_raises_disturbs_nobody(
    database: Database, replica: Replica, caplog: pytest.LogCaptureFixture
) -> None:
    """The world and the other followers go on, and the fault is on record."""
    seen: list[int] = []

    def broken(before: World, after: World, row: LogRow) -> None:
        raise LookupError("a fault in a follower")

    replica.on_advance(broken)
    replica.on_advance(lambda before, after, row: seen.append(row.revision))
    await database.writing(commit)
    with caplog.at_level(logging.ERROR):
        assert (await replica.catch_up()).revision == 4
    assert seen == [4]
    assert "a fault in a follower" in caplog.text


async def test_a_database_that_fails_is_a_problem_until_it_works_again(database: Database) -> None:
    """Nothing has to be restarted after an outage."""

    class Failing(Slowed):
        broken = False

        async def reading(self, fn: Callable[[Connection], T]) -> T:
            if self.broken:
                raise Unavailable("the disk is away", code="storage_failed")
            return await super().reading(fn)

    failing = Failing(database)
    replica = Replica(failing, poll_interval=0.02)
    await replica.start()
    failing.broken = True
    await until(lambda: replica.problem is not None)
    await database.writing(commit)
    assert (await replica.catch_up()).revision == 3
    failing.broken = False
    await until(lambda: replica.world.revision == 4)
    assert replica.problem is None
    await replica.stop()


async def test_a_checkpoint_is_kept_every_thousand_revisions_and_used_by_the_next_start(
    database: Database, replica: Replica
) -> None:
    """A start then reads some rows, not all; the world is the same."""

    def many(tx: Connection) -> None:
        for _ in range(EVERY + 5):
            commit(tx)

    await database.writing(many)
    await replica.catch_up()
    await until(lambda: database.read(count_checkpoints) == 1)
    for _ in range(3):
        await database.writing(commit)
    await database.writing(lambda tx: tx.execute(delete(tables.log).where(tables.log.c.revision < 900)))
    fresh = Replica(database, poll_interval=LONG)
    await fresh.start()
    assert fresh.problem is None
    assert fresh.world.revision == EVERY + 11
    await replica.catch_up()
    assert same(fresh.world.to_json(), replica.world.to_json())
    with pytest.raises(NotFound) as caught:
        await fresh.at(100)
    assert caught.value.code == "revision_compacted"
    await fresh.stop()


async def test_after_a_standstill_the_first_read_looks_at_the_log(
    database: Database, replica: Replica, slowed: Slowed
) -> None:
    """A process that was stopped answers nobody with what it knew before; the next reads ask nobody."""
    await database.writing(commit)
    assert (await replica.fresh()).revision == 3
    stand_still()
    assert (await replica.fresh()).revision == 4
    before = slowed.reads
    assert [(await replica.fresh()).revision for _ in range(10)] == [4] * 10
    assert slowed.reads == before


async def test_after_a_standstill_a_database_that_hangs_delays_reads_once(
    replica: Replica, slowed: Slowed
) -> None:
    """What is known is served, a second later at most, and then at once."""
    slowed.open.clear()
    stand_still()
    assert (await replica.fresh()).revision == 3
    started = monotonic()
    assert (await replica.fresh()).revision == 3
    assert monotonic() - started < 0.5
    slowed.open.set()


async def test_after_stop_the_world_stays_readable_and_notices_do_nothing(
    database: Database, replica: Replica
) -> None:
    """Shutting down is no error for whoever still holds the replica."""
    await replica.stop()
    replica.notice()
    await database.writing(commit)
    assert replica.world.revision == 3


def stand_still() -> None:
    """Nothing runs on the loop for a while, as if the process were stopped."""
    sleep(LIMIT * 1.5)


def count_checkpoints(tx: Connection) -> int:
    return tx.execute(select(func.count()).select_from(tables.checkpoint)).scalar() or 0


def tamper(folder: Path, statement: str) -> None:
    """Change the file behind the server's back."""
    with sqlite3.connect(folder / "store.db", timeout=10) as connection:
        connection.execute(statement)
    connection.close()

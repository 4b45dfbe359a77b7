"""Epochs in the log itself: one that began is followed, also by who had served what the log has lost."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, delete, update
from tests.contract.test_compaction import commit, filled

from coreconfig.errors import Conflict, StoreIntegrity
from coreconfig.server.db.database import Database
from coreconfig.server.revisions import tables
from coreconfig.server.revisions.epochs import begin_epoch
from coreconfig.server.revisions.log import LogRow, read_head, row_at
from coreconfig.server.revisions.replica import Replica

LONG = 3600.0


def lose(tx: Connection, last: int) -> None:
    """As a database that failed over to a replica which had not heard of the newest revisions."""
    row = row_at(tx, last)
    assert row is not None
    tx.execute(delete(tables.log).where(tables.log.c.revision > last))
    tx.execute(update(tables.head).values(revision=last, hash=row.hash, epoch=row.epoch))


def begin(tx: Connection, epoch: int) -> LogRow:
    return begin_epoch(
        tx, epoch, kind="epoch_begun", author="ada", reason="a test", committed_at="2030-01-01T00:00:00.000Z"
    )


def test_the_row_of_an_epoch_follows_the_others_and_moves_nothing(database: Database) -> None:
    """Revisions go on without a gap; what comes after it belongs to the epoch."""
    filled(database, 3)
    row = database.write(lambda tx: begin(tx, 5))
    assert (row.epoch, row.revision, row.edits) == (5, 4, [])
    database.write(commit)
    head = database.read(read_head)
    assert (head.epoch, head.revision) == (5, 5)


@pytest.mark.parametrize("epoch", [0, 4, 5])
def test_an_epoch_never_comes_twice(database: Database, epoch: int) -> None:
    """Whoever saw it once would take the second one for the first."""
    filled(database, 1)
    database.write(lambda tx: begin(tx, 5))
    with pytest.raises(Conflict) as caught:
        database.write(lambda tx: begin(tx, epoch))
    assert caught.value.code == "epoch_too_low"


async def test_a_server_that_had_served_what_was_lost_follows_a_new_epoch_and_nothing_before(
    database: Database,
) -> None:
    """Not even a log that has grown beyond it again; one that had not served it goes on all the while."""
    filled(database, 5)
    ahead, fresh = Replica(database, poll_interval=LONG), Replica(database, poll_interval=LONG)
    await ahead.start()
    await database.writing(lambda tx: lose(tx, 3))
    await fresh.start()
    assert (await ahead.catch_up()).revision == 5
    assert isinstance(ahead.problem, StoreIntegrity)
    assert "epoch new" in str(ahead.problem)
    for _ in range(4):
        await database.writing(lambda tx: commit(tx, by="bob"))
    assert (await ahead.catch_up()).revision == 5
    assert isinstance(ahead.problem, StoreIntegrity)
    assert ((await fresh.catch_up()).revision, fresh.problem) == (7, None)
    told: list[tuple[tuple[int, int], tuple[int, int]]] = []
    ahead.on_advance(
        lambda before, after, row: told.append(((before.epoch, before.revision), (row.epoch, row.revision)))
    )
    row = await database.writing(lambda tx: begin(tx, 2))
    await ahead.follow(row)
    await fresh.follow(row)
    assert told == [((1, 5), (2, 8))]
    assert ahead.world.to_json() == fresh.world.to_json()
    assert (ahead.problem, fresh.problem) == (None, None)
    assert (await ahead.at(4)).hash == (await fresh.at(4)).hash
    await ahead.stop()
    await fresh.stop()

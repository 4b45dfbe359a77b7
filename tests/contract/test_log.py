"""The append-only log: gap-free revisions in one chain that shows every change made behind its back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, select, update

from coreconfig.errors import NotFound, StoreIntegrity
from coreconfig.model.canonical import same
from coreconfig.server.db.database import Database
from coreconfig.server.revisions import tables
from coreconfig.server.revisions.checkpoints import is_due, load_start, newest_checkpoint, save_checkpoint
from coreconfig.server.revisions.log import (
    LogRow,
    append,
    lock_head,
    read_head,
    row_at,
    rows_after,
    rows_newest_first,
)
from coreconfig.server.revisions.rows import GENESIS
from coreconfig.server.revisions.world import World

CREATE = {
    "kind": "environment",
    "environment": "demo",
    "operation": "create",
    "document": {"id": "demo", "type": "development"},
}


def set_edit(key: str, value: Any) -> dict[str, Any]:
    return {
        "kind": "value",
        "environment": "demo",
        "service": None,
        "key": key,
        "operation": "set",
        "value": value,
    }


def commit(tx: Connection, *edits: dict[str, Any], epoch: int | None = None) -> LogRow:
    return append(
        tx,
        lock_head(tx),
        kind="values_committed",
        change_id="chg-1",
        author="ada",
        reason=None,
        committed_at="2026-03-01T12:00:00.000Z",
        edits=list(edits),
        movements=[],
        epoch=epoch,
    )


@pytest.fixture
def filled(database: Database) -> Database:
    """Five revisions: an environment and four values."""
    database.write(lambda tx: commit(tx, CREATE))
    for number in range(2, 6):
        database.write(lambda tx, n=number: commit(tx, set_edit("a.b", n)))
    return database


def test_revisions_have_no_gaps_and_follow_one_another(filled: Database) -> None:
    """Each row names the one before it; the head names the last."""
    rows = filled.read(lambda tx: rows_after(tx, 0, 100))
    assert [row.revision for row in rows] == [1, 2, 3, 4, 5]
    assert [row.previous for row in rows[1:]] == [row.hash for row in rows[:-1]]
    head = filled.read(read_head)
    assert (head.revision, head.hash, head.epoch) == (5, rows[-1].hash, 1)


def test_a_transaction_that_fails_takes_no_number(filled: Database) -> None:
    """A revision exists when it is committed, not when it is tried."""

    def fail(tx: Connection) -> None:
        commit(tx, set_edit("a.b", 6))
        raise LookupError

    with pytest.raises(LookupError):
        filled.write(fail)
    assert filled.write(lambda tx: commit(tx, set_edit("a.b", 7))).revision == 6


def test_what_append_returns_is_what_is_read_later(filled: Database) -> None:
    """Nobody works with another row than the log holds."""
    row = filled.write(lambda tx: commit(tx, set_edit("a", {"b": 1.0, "big": 1e20, "text": "\u2028 ü"})))
    assert filled.read(lambda tx: row_at(tx, row.revision)) == row
    assert filled.read(lambda tx: rows_after(tx, 5, 10)) == [row]


def test_pages_go_backwards_from_the_newest(filled: Database) -> None:
    """`before` continues where the last page ended."""
    newest = filled.read(lambda tx: rows_newest_first(tx, before=None, limit=2))
    assert [row.revision for row in newest] == [5, 4]
    older = filled.read(lambda tx: rows_newest_first(tx, before=4, limit=9))
    assert [row.revision for row in older] == [3, 2, 1]
    assert filled.read(lambda tx: rows_newest_first(tx, before=1, limit=9)) == []
    assert filled.read(lambda tx: row_at(tx, 6)) is None


def test_a_new_epoch_goes_on_with_the_next_revision(filled: Database) -> None:
    """Numbers go on; the order is (epoch, revision)."""
    row = filled.write(lambda tx: commit(tx, set_edit("a.b", 1), epoch=2))
    assert (row.epoch, row.revision) == (2, 6)
    assert filled.read(read_head).epoch == 2


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("edits", "[]"),
        ("author", "eve"),
        ("reason", "because"),
        ("committed_at", "2020-01-01T00:00:00Z"),
        ("epoch", 2),
        ("kind", "environment_changed"),
        ("change_id", "chg-2"),
        ("previous", "1" * 64),
        ("hash", "1" * 64),
    ],
)
def test_any_column_changed_behind_its_back_is_found_and_named(
    filled: Database, column: str, value: object
) -> None:
    """Every way of reading a row refuses one that is not what was written."""
    filled.write(
        lambda tx: tx.execute(update(tables.log).where(tables.log.c.revision == 3).values({column: value}))
    )
    for read in (
        lambda tx: rows_after(tx, 0, 100),
        lambda tx: rows_after(tx, 2, 1),
        lambda tx: row_at(tx, 3),
        lambda tx: rows_newest_first(tx, before=5, limit=2),
        lambda tx: load_start(tx, 4),
    ):
        with pytest.raises(StoreIntegrity) as caught:
            filled.read(read)
        assert caught.value.revision == 3
        assert "revision 3" in caught.value.message


def test_rows_before_the_damaged_one_are_still_readable(filled: Database) -> None:
    """Damage does not reach backwards."""
    filled.write(
        lambda tx: tx.execute(update(tables.log).where(tables.log.c.revision == 3).values(author="eve"))
    )
    assert [row.revision for row in filled.read(lambda tx: rows_after(tx, 0, 2))] == [1, 2]
    assert filled.read(lambda tx: load_start(tx, 2))[1][-1].revision == 2


@pytest.mark.parametrize("gone", [1, 3, 5])
def test_a_missing_row_is_found(filled: Database, gone: int) -> None:
    """A row taken out, also the last one, leaves a gap that is named."""
    filled.write(lambda tx: tx.execute(delete(tables.log).where(tables.log.c.revision == gone)))
    with pytest.raises(StoreIntegrity) as caught:
        filled.read(lambda tx: rows_after(tx, 0, 100))
    assert caught.value.revision == gone


def test_nothing_is_appended_to_a_log_whose_last_row_is_another(filled: Database) -> None:
    """The writer refuses where a reader would."""
    filled.write(
        lambda tx: tx.execute(update(tables.log).where(tables.log.c.revision == 5).values(hash="0" * 64))
    )
    with pytest.raises(StoreIntegrity):
        filled.write(lambda tx: commit(tx, set_edit("a.b", 6)))
    filled.write(lambda tx: tx.execute(delete(tables.log).where(tables.log.c.revision == 5)))
    with pytest.raises(StoreIntegrity):
        filled.write(lambda tx: commit(tx, set_edit("a.b", 6)))


def test_a_replaced_tail_is_found_by_the_head(filled: Database) -> None:
    """Rows that fit each other but are not those that the head names are refused."""
    honest = filled.read(lambda tx: tx.execute(select(tables.log).where(tables.log.c.revision == 5)).one())
    filled.write(lambda tx: tx.execute(delete(tables.log).where(tables.log.c.revision == 5)))

    def forge(tx: Connection) -> None:
        four = row_at(tx, 4)
        assert four is not None
        tx.execute(update(tables.head).values(revision=4, hash=four.hash))
        commit(tx, set_edit("a.b", "forged"))
        tx.execute(update(tables.head).values(revision=5, hash=honest.hash))

    filled.write(forge)
    with pytest.raises(StoreIntegrity) as caught:
        filled.read(lambda tx: rows_after(tx, 0, 100))
    assert caught.value.revision == 5


def test_an_epoch_that_the_last_row_does_not_have_is_found_in_the_head(filled: Database) -> None:
    """No row began it, so that nothing may be written or served in it."""
    filled.write(lambda tx: tx.execute(update(tables.head).values(epoch=3)))
    with pytest.raises(StoreIntegrity):
        filled.read(lambda tx: rows_after(tx, 5, 100))
    with pytest.raises(StoreIntegrity):
        filled.write(lambda tx: commit(tx, set_edit("a.b", 6)))


@pytest.mark.parametrize("change", [{"taken_at": "2026-13-01"}, {"revision": 900}])
def test_a_checkpoint_that_cannot_be_placed_makes_the_next_one_due(
    filled: Database, change: dict[str, Any]
) -> None:
    """It neither keeps the server from starting nor from keeping checkpoints."""
    at_3 = replay(World(), filled.read(lambda tx: rows_after(tx, 0, 3)))
    filled.write(lambda tx: save_checkpoint(tx, at_3))
    filled.write(lambda tx: tx.execute(update(tables.checkpoint).values(change)))
    newest = filled.read(newest_checkpoint)
    assert newest is None or is_due(5, newest[0], datetime.now(UTC) - newest[1])


def test_a_start_is_a_checkpoint_and_the_rows_after_it(filled: Database) -> None:
    """The world from a checkpoint and its rows is the world from all rows."""
    at_3 = replay(World(), filled.read(lambda tx: rows_after(tx, 0, 3)))
    filled.write(lambda tx: save_checkpoint(tx, at_3))
    filled.write(lambda tx: save_checkpoint(tx, at_3))  # once more is no fault
    world, rows = filled.read(load_start)
    assert (world.revision, [row.revision for row in rows]) == (3, [4, 5])
    assert same(world.to_json(), at_3.to_json())
    earlier, rows = filled.read(lambda tx: load_start(tx, 2))
    assert (earlier.revision, [row.revision for row in rows]) == (0, [1, 2])


@pytest.mark.parametrize("column", ["world", "hash", "epoch"])
def test_a_damaged_checkpoint_is_passed_over(filled: Database, column: str) -> None:
    """The log is the truth: an older start leads to the same world."""
    at_3 = replay(World(), filled.read(lambda tx: rows_after(tx, 0, 3)))
    filled.write(lambda tx: save_checkpoint(tx, at_3))
    value = {"world": b"x", "hash": "1" * 64, "epoch": 9}[column]
    filled.write(lambda tx: tx.execute(update(tables.checkpoint).values({column: value})))
    world, rows = filled.read(load_start)
    assert (world.revision, len(rows)) == (0, 5)


@pytest.mark.parametrize("at", [-1, 6])
def test_a_revision_that_never_was_is_not_found(filled: Database, at: int) -> None:
    """There is nothing before the beginning and after the head."""
    with pytest.raises(NotFound) as caught:
        filled.read(lambda tx: load_start(tx, at))
    assert caught.value.code == "unknown_revision"


def test_what_compaction_dropped_is_answered_as_such(filled: Database) -> None:
    """Before the oldest checkpoint nothing can be rebuilt; from it on everything can."""
    at_3 = replay(World(), filled.read(lambda tx: rows_after(tx, 0, 3)))
    filled.write(lambda tx: save_checkpoint(tx, at_3))
    filled.write(lambda tx: tx.execute(delete(tables.log).where(tables.log.c.revision <= 3)))
    with pytest.raises(NotFound) as caught:
        filled.read(lambda tx: load_start(tx, 2))
    assert caught.value.code == "revision_compacted"
    world, rows = filled.read(load_start)
    assert replay(world, rows).revision == 5
    assert [row.revision for row in filled.read(lambda tx: rows_after(tx, 3, 9))] == [4, 5]


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(values=st.lists(json_values, min_size=1, max_size=4))
def test_every_world_that_was_written_can_be_read_again(shared: Database, values: list[Any]) -> None:
    """Whatever JSON goes through the log comes out as the same value, also by way of a checkpoint."""
    shared.write(begin_again)
    shared.write(lambda tx: commit(tx, CREATE, *(set_edit(f"k{n}", value) for n, value in enumerate(values))))
    world = replay(*shared.read(load_start))
    assert same(dict(world.environments["demo"].base), {f"k{n}": value for n, value in enumerate(values)})
    shared.write(lambda tx: save_checkpoint(tx, world))
    again, rows = shared.read(load_start)
    assert not rows
    assert same(again.to_json(), world.to_json())


def begin_again(tx: Connection) -> None:
    """An empty log, as in a new database."""
    for table in (tables.log, tables.checkpoint):
        tx.execute(delete(table))
    tx.execute(update(tables.head).values(epoch=1, revision=0, hash=GENESIS))


def replay(world: World, rows: list[LogRow]) -> World:
    for row in rows:
        world = world.advanced(row)
    return world

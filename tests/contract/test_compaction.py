"""Compaction drops what nobody needs: no answer about what is kept becomes another one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, func, insert, select, update
from tests.contract.conftest import Product

from coreconfig.errors import Invalid, NotFound, StoreIntegrity
from coreconfig.model.canonical import canonical
from coreconfig.model.keys import format_key
from coreconfig.server.changes.tables import idempotency
from coreconfig.server.db.database import Database
from coreconfig.server.recovery import compaction
from coreconfig.server.recovery.compaction import compact
from coreconfig.server.recovery.pins import PINS, Pin
from coreconfig.server.recovery.verify import verify
from coreconfig.server.revisions import tables
from coreconfig.server.revisions.checkpoints import load_start
from coreconfig.server.revisions.floor import floor_of
from coreconfig.server.revisions.log import append, lock_head, row_at
from coreconfig.server.revisions.movements import Movement, last_moved
from coreconfig.server.revisions.replica import Replica
from coreconfig.server.revisions.world import World

NOW = datetime(2030, 1, 1, tzinfo=UTC)
KEYS = ["a", "a.b", "a.c", "d"]
SERVICES = ["s", "t"]


def commit(
    tx: Connection, moved: tuple[Movement, ...] = (), age: timedelta = timedelta(), by: str = "ada"
) -> int:
    """The next revision: the environment first, then values."""
    head = lock_head(tx)
    create = {
        "kind": "environment",
        "environment": "e",
        "operation": "create",
        "document": {"type": "testing"},
    }
    value = {"kind": "value", "environment": "e", "service": None, "key": "a", "operation": "set"}
    row = append(
        tx,
        head,
        kind="configuration",
        change_id=f"chg-{head.revision + 1}",
        author=by,
        reason=None,
        committed_at=(NOW - age).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        edits=[{**value, "value": head.revision + 1} if head.revision else create],
        movements=moved,
    )
    return row.revision


def filled(database: Database, revisions: int) -> Database:
    for _ in range(revisions):
        database.write(commit)
    return database


def world_at(database: Database, revision: int) -> World:
    def read(tx: Connection) -> World:
        world, rows = load_start(tx, revision)
        for row in rows:
            world = world.advanced(row)
        return world

    return database.read(read)


def test_every_kept_revision_reads_as_before_and_dropped_ones_are_told(
    database: Database, database_url: str
) -> None:
    """The oldest that can be read is the one that the first kept row begins from."""
    filled(database, 12)
    before = {revision: canonical(world_at(database, revision).to_json()) for revision in range(7, 13)}
    done = compact(database_url, before=8)
    assert (done.floor, done.rows) == (7, 7)
    assert before == {revision: canonical(world_at(database, revision).to_json()) for revision in before}
    for revision in range(1, 7):
        with pytest.raises(NotFound) as caught:
            world_at(database, revision)
        assert caught.value.code == "revision_compacted"
    assert database.read(lambda tx: row_at(tx, 7)) is None
    assert database.read(verify).floor == 7


def test_the_log_goes_on_and_can_be_compacted_again(database: Database, database_url: str) -> None:
    """Numbers go on without a gap, also where all but the newest row was dropped."""
    filled(database, 3)
    assert compact(database_url, before=3).floor == 2
    filled(database, 3)
    assert compact(database_url, before=5).floor == 4
    verified = database.read(verify)
    assert (verified.floor, verified.head.revision) == (4, 6)
    assert compact(database_url, before=3) == compaction.Compacted(4, 0, 0, 0, None)


def test_the_newest_revision_is_never_dropped(database: Database, database_url: str) -> None:
    """Whatever is asked for; what held it is said."""
    filled(database, 4)
    done = compact(database_url, keep_days=0, now=NOW + timedelta(days=1))
    assert (done.floor, done.held_by) == (3, "the newest revision")


def test_what_a_pin_needs_is_kept(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A capability that needs the past adds itself to one list."""
    filled(database, 9)
    monkeypatch.setattr(
        "coreconfig.server.recovery.pins.PINS", (*PINS, Pin("a promotion", lambda tx: 4), Pin("none", _none))
    )
    done = compact(database_url, before=9)
    assert (done.floor, done.held_by) == (3, "a promotion")
    assert database.read(lambda tx: row_at(tx, 4)) is not None


def _none(_tx: Connection) -> None:
    return None


def test_what_is_younger_than_asked_is_kept(database: Database, database_url: str) -> None:
    """Nothing that was committed since then goes, also where a clock went back in between."""
    for days in (500, 450, 390, 410, 420, 1):
        database.write(lambda tx, days=days: commit(tx, age=timedelta(days=days)))
    assert compact(database_url, now=NOW).floor == 2
    assert compact(database_url, keep_days=30, now=NOW).floor == 5


def test_both_bounds_have_to_give_a_revision_away(database: Database, database_url: str) -> None:
    """The stricter one counts."""
    for days in (50, 40, 30, 20, 10):
        database.write(lambda tx, days=days: commit(tx, age=timedelta(days=days)))
    assert compact(database_url, before=5, keep_days=35, now=NOW).floor == 2
    assert compact(database_url, before=4, keep_days=1, now=NOW).floor == 3


@pytest.mark.parametrize("before", [-1, 0, 6])
def test_a_bound_that_is_no_revision_is_refused(database: Database, database_url: str, before: int) -> None:
    """A misspelt number must not drop everything."""
    filled(database, 5)
    with pytest.raises(Invalid) as caught:
        compact(database_url, before=before)
    assert caught.value.code == "bad_bound"


def test_a_damaged_log_is_not_compacted(database: Database, database_url: str) -> None:
    """What is there then is evidence."""
    filled(database, 6)
    database.write(
        lambda tx: tx.execute(update(tables.log).where(tables.log.c.revision == 2).values(author="eve"))
    )
    with pytest.raises(StoreIntegrity):
        compact(database_url, before=5)
    assert database.read(floor_of) == 0


def test_one_that_was_interrupted_leaves_a_right_database_and_is_finished_by_the_next(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each of its transactions everything that is kept can be read."""
    filled(database, 10)
    monkeypatch.setattr(compaction, "BATCH", 2)
    writes: list[Callable[[Connection], object]] = []
    seen: set[int | None] = set()
    real = Database.write

    class Stopped(Exception):
        pass

    def stopping(self: Database, fn: Callable[[Connection], object]) -> object:
        if len(writes) == steps:
            raise Stopped
        writes.append(fn)
        return real(self, fn)

    for allowed in range(6):
        steps = allowed
        writes.clear()
        monkeypatch.setattr(Database, "write", stopping)
        with suppress(Stopped):
            compact(database_url, before=10)
        monkeypatch.setattr(Database, "write", real)
        database.read(verify)
        assert world_at(database, 10).environments["e"].base["a"] == 10
        assert database.read(floor_of) in (0, 9)
        seen.add(database.read(lambda tx: tx.execute(select(func.count()).select_from(tables.log)).scalar()))
    assert len(seen) >= 3, "it was interrupted before, between and after its transactions"
    assert compact(database_url, before=10).floor == 9
    assert database.read(lambda tx: row_at(tx, 9)) is None


def test_answers_to_repeated_writes_expire_with_their_revisions_but_not_within_a_day(
    database: Database, database_url: str
) -> None:
    """A retry is recognised as long as somebody may still be trying."""
    for days in (20, 10, 0):
        database.write(lambda tx, days=days: commit(tx, age=timedelta(days=days)))
    kept = {"principal": "p", "request_hash": "", "status": 200, "response": "{}"}
    ages = {"old": timedelta(days=15), "day": timedelta(hours=23), "new": timedelta()}
    rows = [{**kept, "key": key, "created_at": compaction._text(NOW - age)} for key, age in ages.items()]
    database.write(lambda tx: tx.execute(insert(idempotency), rows))
    assert compact(database_url, before=3, now=NOW).answers == 1
    left = database.read(lambda tx: set(tx.execute(select(idempotency.c.key)).scalars()))
    assert left == {"day", "new"}


async def test_a_server_that_slept_through_a_compaction_goes_on_from_the_newest_world(
    database: Database, database_url: str
) -> None:
    """The rows that it would have needed are gone; it takes nobody back and needs no restart."""
    filled(database, 3)
    replica = Replica(database, poll_interval=3600.0)
    await replica.start()
    await replica.catch_up()  # its first look is over
    told: list[tuple[int, int]] = []
    replica.on_advance(lambda before, after, row: told.append((before.revision, after.revision)))
    await asyncio.to_thread(filled, database, 6)
    await asyncio.to_thread(compact, database_url, before=7)
    world = await replica.catch_up()
    assert (world.revision, world.environments["e"].base["a"], replica.problem) == (9, 9, None)
    assert told == [(3, 9)]
    await replica.stop()


MOVE = st.builds(
    lambda key, base, services, entries: (key, base, services, entries),
    st.sampled_from(KEYS),
    st.booleans(),
    st.sets(st.sampled_from(SERVICES)),
    st.sets(st.sampled_from(["", *SERVICES])),
)


def _movement(key: str, base: bool, services: set[str], entries: set[str]) -> Movement:
    """With the base all services move but those that are named as unmoved."""
    if not base:
        return Movement("e", key, sorted(services), sorted(entries))
    return Movement("e", key, ["", *sorted(services)], sorted(entries), sorted({*SERVICES} - services))


@pytest.fixture(scope="module")
def laboratory(product: Product):  # type: ignore[no-untyped-def]  # a generator of one pair
    with product.empty() as url:
        database = Database.open(url)
        yield database, url
        database.close()


@settings(max_examples=40)
@given(
    moves=st.lists(st.lists(MOVE, max_size=3, unique_by=lambda m: m[0]), min_size=2, max_size=10),
    data=st.data(),
)
def test_when_a_key_last_moved_is_the_same_before_and_after(  # type: ignore[no-untyped-def]
    laboratory, moves, data
) -> None:
    """For every key, view and layer, now and at each revision that is kept: ETags and guards stand on it."""
    database, url = laboratory

    def begin(tx: Connection) -> None:
        for table in (tables.log, tables.movement, tables.checkpoint):
            tx.execute(delete(table))
        tx.execute(update(tables.head).values(epoch=1, revision=0, hash="0" * 64))

    database.write(begin)
    for one in moves:
        database.write(lambda tx, one=one: commit(tx, tuple(_movement(*move) for move in one)))
    cut = data.draw(st.integers(2, len(moves)))

    def answers() -> dict[object, object]:
        def read(tx: Connection) -> dict[object, object]:
            return {
                (service, key, until): last_moved(tx, "e", service, tuple(key.split(".")), until=until)
                for service in (None, *SERVICES, "undeclared")
                for key in [*KEYS, "a.b.x", "other"]
                for until in (None, *range(cut - 1, len(moves) + 1))
            }

        return database.read(read)

    before = answers()
    done = compact(url, before=cut)
    assert answers() == before
    left = database.read(lambda tx: tx.execute(select(func.count()).select_from(tables.movement)).scalar())
    assert done.movements + left == sum(map(len, moves))


def test_of_a_key_that_moves_often_one_movement_is_left(database: Database, database_url: str) -> None:
    """Room is what compaction is for."""
    for _ in range(20):
        database.write(lambda tx: commit(tx, (Movement("e", format_key(("a",)), ["", "s"], [""]),)))
    assert compact(database_url, before=20).movements == 18

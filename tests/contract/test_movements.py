"""Which revision last moved a key: exactly those at, above and below it, in exactly that view or layer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert
from sqlalchemy.dialects import sqlite

from coreconfig.model.keys import Path, format_key, is_related
from coreconfig.server.db.database import Database
from coreconfig.server.revisions import tables
from coreconfig.server.revisions.movements import Movement, _last_moved, _place, history, last_moved, record

SEGMENTS = st.sampled_from(["a", "ab", "b", "a.b", "a/", 'a"', "é", "-", "a\\"])
PATHS = st.lists(SEGMENTS, max_size=3).map(tuple)
NAMES = st.lists(st.sampled_from(["", "s", "s-1", "ss"]), max_size=2, unique=True)
MOVES = st.lists(st.tuples(PATHS, NAMES, NAMES), max_size=12)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """One database for many examples, each in an environment of its own."""
    database = Database.open(f"sqlite:///{tmp_path_factory.mktemp('store')}/store.db")
    numbers = range(1, 20)
    row = {"epoch": 1, "kind": "k", "change_id": "c", "author": "a", "committed_at": "t", "edits": "[]"}
    chain = {"previous": "", "hash": ""}
    database.write(
        lambda tx: tx.execute(insert(tables.log), [{**row, **chain, "revision": n} for n in numbers])
    )
    yield database
    database.close()


counter = iter(range(10**9))


@given(moves=MOVES, path=PATHS, service=st.sampled_from([None, "s", "s-1", "other"]))
def test_moves_at_above_and_below_a_key_count_and_no_others(
    shared: Database, moves: list[tuple[Path, list[str], list[str]]], path: Path, service: str | None
) -> None:
    """The database's answer is what a plain look at every movement gives."""
    environment = f"e{next(counter)}"

    def write(tx: object) -> None:
        for revision, (at, services, entries) in enumerate(moves, 1):
            record(tx, 1, revision, [Movement(environment, format_key(at), services, entries)])  # type: ignore[arg-type]  # a connection

    shared.write(write)
    name = service or ""
    near = [(n, s, e) for n, (at, s, e) in enumerate(moves, 1) if is_related(at, path)]
    newest = max((n for n, s, e in near if name in s or name in e), default=None)
    resolved = sorted((n for n, s, _ in near if name in s), reverse=True)

    found = shared.read(lambda tx: last_moved(tx, environment, service, path))
    assert found == (None if newest is None else (1, newest))
    told = shared.read(lambda tx: history(tx, environment, service, path, before=None, limit=100))
    assert [moved.revision for moved in told] == resolved
    page = shared.read(lambda tx: history(tx, environment, service, path, before=6, limit=2))
    assert [moved.revision for moved in page] == [n for n in resolved if n < 6][:2]


def test_an_environment_knows_nothing_of_another(shared: Database) -> None:
    """The same key elsewhere has a history of its own."""
    shared.write(lambda tx: record(tx, 1, 1, [Movement("here", "a", [""], [""])]))
    assert shared.read(lambda tx: last_moved(tx, "here", None, ("a",))) == (1, 1)
    assert shared.read(lambda tx: last_moved(tx, "there", None, ("a",))) is None


def test_the_answer_comes_from_an_index(shared: Database) -> None:
    """Guarding one key must not read the movements of all."""
    asked = _last_moved(2).compile(dialect=sqlite.dialect())
    place = _place("e", "s", ("a", "b"))
    values = tuple(place.get(name, 1) for name in asked.positiontup or ())
    plan = shared.read(lambda tx: tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {asked}", values).all())
    assert any("movement" in step.detail for step in plan)
    assert not any(step.detail.startswith("SCAN") for step in plan), plan

"""Which revision last moved a key: exactly those at, above and below it, in exactly that view or layer."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, Executable, insert, text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import ClauseElement
from tests.contract.conftest import Product

from coreconfig.model.keys import Path, format_key, is_related
from coreconfig.server.db.database import Database
from coreconfig.server.revisions import tables
from coreconfig.server.revisions.movements import Movement, _last_moved, _place, history, last_moved, record

SEGMENTS = st.sampled_from(["a", "ab", "b", "a.b", "a/", 'a"', "é", "-", "a\\"])
PATHS = st.lists(SEGMENTS, max_size=3).map(tuple)
NAMES = st.lists(st.sampled_from(["", "s", "s-1", "ss"]), max_size=2, unique=True)
UNMOVED = st.lists(st.sampled_from(["s", "s-1"]), max_size=2, unique=True)
MOVES = st.lists(st.tuples(PATHS, NAMES, NAMES, UNMOVED), max_size=12)


@pytest.fixture(scope="module")
def filled(shared: Database) -> Database:
    """One database for many examples, each in an environment of its own, with the revisions they name."""
    row = {"epoch": 1, "kind": "k", "change_id": "c", "author": "a", "committed_at": "t", "edits": "[]"}
    rows = [{**row, "previous": "", "hash": "", "revision": n} for n in range(1, 20)]
    shared.write(lambda tx: tx.execute(insert(tables.log), rows))
    return shared


counter = iter(range(10**9))


@given(moves=MOVES, path=PATHS, service=st.sampled_from([None, "s", "s-1", "other"]))
def test_moves_at_above_and_below_a_key_count_and_no_others(
    filled: Database,
    moves: list[tuple[Path, list[str], list[str], list[str]]],
    path: Path,
    service: str | None,
) -> None:
    """The database's answer is what a plain look at every movement gives."""
    environment = f"e{next(counter)}"

    def write(tx: object) -> None:
        for revision, (at, services, entries, kept) in enumerate(moves, 1):
            moved = Movement(
                environment, format_key(at), services, entries, [n for n in kept if n not in services]
            )
            record(tx, 1, revision, [moved])  # type: ignore[arg-type]  # a connection

    filled.write(write)
    name = service or ""
    near = [
        # a service that is not named at all sees the base
        (n, name in s or ("" in s and name not in kept), name in e)
        for n, (at, s, e, kept) in enumerate(moves, 1)
        if is_related(at, path)
    ]
    newest = max((n for n, moved, edited in near if moved or edited), default=None)
    resolved = sorted((n for n, moved, _ in near if moved), reverse=True)

    found = filled.read(lambda tx: last_moved(tx, environment, service, path))
    assert found == (None if newest is None else (1, newest))
    once = max((n for n, moved, edited in near if (moved or edited) and n <= 5), default=None)
    found = filled.read(lambda tx: last_moved(tx, environment, service, path, until=5))
    assert found == (None if once is None else (1, once))
    told = filled.read(lambda tx: history(tx, environment, service, path, before=None, limit=100))
    assert [moved.revision for moved in told] == resolved
    page = filled.read(lambda tx: history(tx, environment, service, path, before=6, limit=2))
    assert [moved.revision for moved in page] == [n for n in resolved if n < 6][:2]


def test_an_environment_knows_nothing_of_another(filled: Database) -> None:
    """The same key elsewhere has a history of its own."""
    filled.write(lambda tx: record(tx, 1, 1, [Movement("here", "a", [""], [""])]))
    assert filled.read(lambda tx: last_moved(tx, "here", None, ("a",))) == (1, 1)
    assert filled.read(lambda tx: last_moved(tx, "there", None, ("a",))) is None


def test_the_answer_comes_from_an_index(filled: Database, product: Product) -> None:
    """Guarding one key must not read the movements of all."""
    asked, place = _last_moved(2), {**_place("e", "s", ("a", "b")), "before": 2**62}
    if product.name == "sqlite":
        plan = filled.read(lambda tx: tx.execute(Explained("EXPLAIN QUERY PLAN", asked), place).all())
        steps = [step.detail for step in plan]
    else:
        plan = filled.read(lambda tx: planned_for_many(tx, Explained("EXPLAIN", asked), place))
        steps = [step[0] for step in plan]
    assert any("pk_movement" in step or "PRIMARY KEY" in step for step in steps), steps
    assert not any("SCAN movement" in step or "Seq Scan" in step for step in steps), steps


class Explained(Executable, ClauseElement):
    """The plan of a statement, asked for in the product's own words."""

    inherit_cache = False

    def __init__(self, how: str, statement: Any) -> None:
        self.how = how
        self.statement = statement


@compiles(Explained)
def compile_explained(element: Explained, compiler: Any, **options: Any) -> str:
    return f"{element.how} {compiler.process(element.statement, **options)}"


def planned_for_many(tx: Connection, asked: Explained, place: dict[str, Any]) -> Any:
    """As if the table were large; in a small one reading all of it is the better plan."""
    tx.execute(text("SET LOCAL enable_seqscan = off"))
    return tx.execute(asked, place).all()

"""Hashes of rows, and the text that they are made over."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coreconfig.errors import StoreIntegrity
from coreconfig.model.canonical import canonical
from coreconfig.server.revisions.rows import GENESIS, chained, decode, hash_of

FACTS = {
    "epoch": 1,
    "revision": 1,
    "kind": "values_committed",
    "change_id": "chg-1",
    "author": "ada",
    "reason": None,
    "committed_at": "2026-03-01T12:00:00Z",
    "edits": '[{"key":"a"}]',
}


def test_the_hash_is_what_the_documentation_says() -> None:
    """Anybody can compute it: SHA-256 over the previous hash, a zero byte and the canonical row."""
    text = GENESIS + '\0[1,1,"values_committed","chg-1","ada",null,"2026-03-01T12:00:00Z",[{"key":"a"}]]'
    assert hash_of(GENESIS, **FACTS) == sha256(text.encode()).hexdigest()  # type: ignore[arg-type]  # one mapping for brevity


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53))
def test_a_number_keeps_its_value_and_its_canonical_text(number: float) -> None:
    """Also a double so large that its canonical text looks like an integer."""
    again = decode(canonical(number))
    assert again == number
    assert canonical(again) == canonical(number)
    assert not (isinstance(again, int) and abs(again) > 2**53)


def stored(revision: int, previous: str) -> tuple[object, ...]:
    facts = {**FACTS, "revision": revision}
    hashed = hash_of(previous, **facts)  # type: ignore[arg-type]  # one mapping for brevity
    names = ("revision", "epoch", "kind", "change_id", "author", "reason", "committed_at", "edits")
    return (*(facts[name] for name in names), previous, hashed)


def test_rows_are_handed_out_up_to_the_one_that_does_not_follow() -> None:
    """A row that is sound in itself and follows another than its neighbour was put there by somebody."""
    first = stored(1, GENESIS)
    rows = [first, stored(2, str(first[-1])), stored(3, "f" * 64)]
    chain = chained(rows, revision=0, previous=GENESIS)
    assert [next(chain).revision, next(chain).revision] == [1, 2]
    with pytest.raises(StoreIntegrity) as caught:
        next(chain)
    assert caught.value.revision == 3


def test_a_gap_names_the_revision_that_is_missing() -> None:
    """Not the one after it, which may be sound."""
    first = stored(1, GENESIS)
    with pytest.raises(StoreIntegrity, match="revision 2 is missing"):
        list(chained([first, stored(3, str(first[-1]))], revision=0, previous=GENESIS))

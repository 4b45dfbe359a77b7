"""Laws of the store that hold whatever threads and checks do."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.client.states import delta_push, new_store, snapshot_push

from coreconfig.client.state import State
from coreconfig.client.store import Verdict

WITHIN = 10.0
ONE, TWO, THREE = {"a": 1}, {"a": 2}, {"a": 3}


class Gate:
    """A check that waits on one revision until it is let go, and then says what it was told to."""

    def __init__(self, revision: int, objection: Exception | None = None) -> None:
        self.revision = revision
        self.objection = objection
        self.entered = threading.Event()
        self.release = threading.Event()

    def examine(self, candidate: State) -> Callable[[], None] | None:
        """Wait on the one, pass the others."""
        if candidate.revision == self.revision:
            self.entered.set()
            assert self.release.wait(WITHIN)
            if self.objection is not None:
                raise self.objection
        return None


def offered_meanwhile(gate: Gate, slow: Any, quick: Any) -> tuple[Any, Verdict, Verdict]:
    """A store that was offered `slow`, and `quick` while the gate held it up; both verdicts."""
    store = new_store()
    store.offer(snapshot_push(ONE, 1))
    store.add_check(gate, against_current=False)
    verdicts: list[Verdict] = []
    thread = threading.Thread(target=lambda: verdicts.append(store.offer(slow)))
    thread.start()
    assert gate.entered.wait(WITHIN)
    verdict = store.offer(quick)
    gate.release.set()
    thread.join(WITHIN)
    return store, verdicts[0], verdict


@pytest.mark.parametrize("slow", [snapshot_push(TWO, 2), delta_push(ONE, 1, TWO, 2, [("a", "SET", 2)])])
def test_a_snapshot_whose_check_was_overtaken_by_a_newer_one_is_not_read_any_more(slow: Any) -> None:
    """A client never goes back."""
    store, slow_verdict, quick_verdict = offered_meanwhile(Gate(2), slow, snapshot_push(THREE, 3))
    assert (slow_verdict.outcome, quick_verdict.outcome) == ("kept", "applied")
    assert (store.state.revision, store.state.tree) == (3, THREE)


def test_a_newer_snapshot_whose_check_took_longer_than_an_older_one_is_read_in_the_end() -> None:
    """It is judged anew on top of what came in meanwhile."""
    slow, quick = snapshot_push(THREE, 3), snapshot_push(TWO, 2)
    store, slow_verdict, _ = offered_meanwhile(Gate(3), slow, quick)
    assert slow_verdict.outcome == "applied"
    assert (store.state.revision, store.state.tree) == (3, THREE)


def test_an_objection_to_what_is_overtaken_is_no_problem_of_the_client() -> None:
    """What is read then has passed every check."""
    gate = Gate(2, ValueError("no"))
    store, slow_verdict, _ = offered_meanwhile(gate, snapshot_push(TWO, 2), snapshot_push(THREE, 3))
    assert slow_verdict.outcome == "kept"
    assert (store.rejection, store.counts.rejected) == (None, 0)


def test_what_is_held_already_is_kept_without_asking_the_checks_again() -> None:
    """Each difference is told once, however often it is sent."""
    store = new_store()
    store.offer(snapshot_push(TWO, 2))
    swaps: list[State] = []
    store.on_swap(swaps.append)
    assert store.offer(snapshot_push(TWO, 2)).outcome == "kept"
    assert store.offer(snapshot_push(ONE, 1)).outcome == "kept"
    assert (swaps, store.state.revision) == ([], 2)


def test_revisions_of_another_installation_are_not_compared() -> None:
    """A server that was set up anew counts from 1 again."""
    store = new_store()
    store.offer(snapshot_push(TWO, 200), installation="one")
    assert store.offer(snapshot_push(ONE, 2), installation="two").outcome == "applied"
    assert store.offer(snapshot_push(TWO, 1), installation="two").outcome == "kept"

"""What becomes of offers."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import msgspec
import pytest
from tests.fakes.fake_clock import FakeClock
from tests.unit.client.states import delta_push, new_store, snapshot_push

from coreconfig.client.checks import Binding, Hook
from coreconfig.client.config import Snapshot
from coreconfig.client.state import State
from coreconfig.client.store import Availability, Store
from coreconfig.client.typed import TypedReads
from coreconfig.errors import ConfigValidationError, NotReady
from coreconfig.wire.frames import LeafChange

ONE, TWO = {"risk": {"max": 1}, "b": 1}, {"risk": {"max": 2}, "b": 1}


@dataclass(frozen=True)
class Risk:
    max: int


def hook(callback: object) -> Hook:
    return Hook(callback, "dev/shop", TypedReads())  # type: ignore[arg-type]  # tests pass what fits


def filled(values: dict[str, object] | None = None) -> Store:
    """A store that holds these values at revision 1."""
    store = new_store()
    store.offer(snapshot_push(dict(values or ONE), 1))
    return store


def test_a_delta_is_applied_to_what_is_held() -> None:
    """Its digest has to come out."""
    store = filled()
    assert store.offer(delta_push(ONE, 1, TWO, 2, [("risk.max", "SET", 2)])).outcome == "applied"
    assert store.state.tree == TWO
    assert store.state.revision == 2


@pytest.mark.parametrize(
    "changes",
    [
        [("risk.max", "SET", 3)],
        [("risk.max", "DELETE", None)],
        [],
        [("a..b", "SET", 1)],
        [("risk.max", "SET", 2), ("more", "SET", 1)],
    ],
)
def test_content_with_another_digest_is_unfit_and_changes_nothing(
    changes: list[tuple[str, str, object]],
) -> None:
    """A fault on the way is found before anybody reads it."""
    store = filled()
    before = store.state
    assert store.offer(delta_push(ONE, 1, TWO, 2, changes)).outcome == "unfit"
    assert store.state is before
    snapshot = snapshot_push(TWO, 2)
    assert store.offer(msgspec.structs.replace(snapshot, values=ONE)).outcome == "unfit"


def test_a_set_without_a_value_is_unfit() -> None:
    """Whatever a peer sends is judged, nothing is raised into the link."""
    push = delta_push(ONE, 1, TWO, 2, [])
    push = msgspec.structs.replace(push, changes=[LeafChange("risk.max", "SET")])
    assert filled().offer(push).outcome == "unfit"


def test_a_check_that_raises_refuses_the_candidate_with_all_issues_and_the_old_snapshot_stays() -> None:
    """All checks are asked, so that everything wrong is known at once."""
    store = filled()
    before = store.state

    def too_big(candidate: Snapshot) -> None:
        if candidate["risk.max"] > 1:
            raise ValueError("too big")

    store.add_check(hook(too_big), against_current=False)
    store.add_check(Binding("gone", int, TypedReads(), "dev/shop"), against_current=False)
    verdict = store.offer(snapshot_push(TWO, 2))
    assert verdict.outcome == "rejected"
    assert [issue.code for issue in verdict.issues] == ["check_failed", "missing_key"]
    assert store.state is before
    assert store.counts.rejected == 1
    assert store.rejection is verdict


def test_a_later_snapshot_that_passes_takes_the_refusal_away() -> None:
    """Health is about what is, not about what was."""
    store = filled()
    remove = hook(lambda candidate: candidate["risk.max"] == 1 or 1 / 0)
    store.add_check(remove, against_current=False)
    assert store.offer(snapshot_push(TWO, 2)).outcome == "rejected"
    assert store.offer(snapshot_push({**ONE, "c": 1}, 3)).outcome == "applied"
    assert store.rejection is None
    store.remove_check(remove)
    assert store.offer(snapshot_push(TWO, 4)).outcome == "applied"


def test_a_binding_has_its_instance_before_the_snapshot_is_read() -> None:
    """Whoever sees the new snapshot sees the new instance."""
    store = new_store()
    binding: Binding[Risk] = Binding("risk", Risk, TypedReads(), "dev/shop")
    store.add_check(binding, against_current=True)
    with pytest.raises(NotReady):
        _ = binding.value
    seen: list[tuple[object, Risk]] = []
    store.on_swap(lambda state: seen.append((state.flat["risk.max"], binding.value)))
    store.offer(snapshot_push(ONE, 1))
    store.offer(snapshot_push(TWO, 2))
    assert seen == [(1, Risk(1)), (2, Risk(2))]


def test_a_binding_keeps_the_last_valid_instance_when_a_candidate_is_not() -> None:
    """The whole candidate is refused, so that instance and snapshot stay together."""
    store = filled()
    binding: Binding[Risk] = Binding("risk", Risk, TypedReads(), "dev/shop")
    store.add_check(binding, against_current=True)
    for revision, bad in enumerate([{"risk": {"max": "x"}, "b": 2}, {"b": 2}], 2):
        assert store.offer(snapshot_push(bad, revision)).outcome == "rejected"
        assert binding.value == Risk(1)
        assert store.state.flat["b"] == 1


def test_an_unchanged_subtree_keeps_its_instance() -> None:
    """Nothing is converted again for a change elsewhere."""
    store = filled()
    binding: Binding[Risk] = Binding("risk", Risk, TypedReads(), "dev/shop")
    store.add_check(binding, against_current=True)
    before = binding.value
    store.offer(snapshot_push({**ONE, "b": 2}, 2))
    assert binding.value is before


def test_binding_to_what_cannot_be_converted_now_is_refused_at_once() -> None:
    """And the binding is not kept."""
    store = filled()
    with pytest.raises(ConfigValidationError):
        store.add_check(Binding("b", Risk, TypedReads(), "dev/shop"), against_current=True)
    assert not store.has_checks


def test_a_check_added_while_another_one_looks_is_asked_before_the_swap() -> None:
    """No candidate gets past a check that was there before it was read."""
    store = filled()
    late = hook(lambda candidate: 1 / 0)

    def adds_another(candidate: Snapshot) -> None:
        if not any(check is late for check in store._checks):
            store.add_check(late, against_current=False)

    store.add_check(hook(adds_another), against_current=False)
    assert store.offer(snapshot_push(TWO, 2)).outcome == "rejected"


def test_binding_while_a_swap_comes_between_gets_the_newer_instance() -> None:
    """The instance always belongs to what is read."""
    store = filled()

    class Slow:
        """Converts slowly the first time."""

        def __init__(self) -> None:
            self.calls = 0
            self.settled: list[int] = []

        def examine(self, candidate: State) -> object:
            self.calls += 1
            if self.calls == 1:
                other = threading.Thread(target=store.offer, args=(snapshot_push(TWO, 2),))
                other.start()
                other.join()
            return lambda: self.settled.append(candidate.revision)

    slow = Slow()
    store.add_check(slow, against_current=True)  # type: ignore[arg-type]  # a check made for this test
    assert slow.settled == [2]


def test_availability_says_who_stands_behind_what_is_read() -> None:
    """Defaults, then current, then the last known good that grows older, then current again."""
    clock = FakeClock()
    store = new_store(clock=clock)
    assert (store.availability, store.age) == (Availability.DEFAULTS, float("inf"))
    store.refreshed()
    assert store.availability is Availability.DEFAULTS
    store.offer(snapshot_push(ONE, 1))
    store.refreshed()
    clock.advance(100)
    assert (store.availability, store.age) == (Availability.CURRENT, 0)
    store.lost()
    clock.advance(7)
    store.lost()
    assert (store.availability, store.age) == (Availability.CACHED, 7)
    store.confirm(snapshot_push(ONE, 3).at)
    assert (store.availability, store.age, store.state.revision) == (Availability.CURRENT, 0, 3)


def test_a_bookmark_confirms_only_what_it_was_given_for() -> None:
    """A snapshot that was swapped in meanwhile does not get the position of the one before it."""
    store = new_store()
    store.offer(snapshot_push(ONE, 1))
    late = snapshot_push(ONE, 3).at
    store.offer(snapshot_push({"b": 2}, 2))
    store.confirm(late)
    assert store.state.revision == 2


def test_a_cached_snapshot_knows_its_age() -> None:
    """A file with a time in the future is no younger than now."""
    clock = FakeClock()
    store = new_store(clock=clock)
    store.offer(snapshot_push(ONE, 1), source="file")
    store.cached_since(60)
    clock.advance(1)
    assert (store.availability, store.age) == (Availability.CACHED, 61)
    store.cached_since(-5)
    assert store.age == 0

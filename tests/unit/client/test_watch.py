"""What watches are told, and when."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.hand_queue import HandQueue
from tests.unit.client.states import new_store, snapshot_push
from tests.unit.client.test_state import TREES

from coreconfig.client.events import ConfigurationChanged, Event, Events
from coreconfig.client.store import Store
from coreconfig.client.watch import Change, Watches
from coreconfig.errors import Invalid
from coreconfig.model.canonical import same
from coreconfig.model.keys import format_key
from coreconfig.model.trees import MISSING, get_at


class Scene:
    """A store, its watches and a queue that runs by hand."""

    def __init__(self, values: dict[str, Any] | None = None) -> None:
        self.store: Store = new_store()
        self.queue = HandQueue()
        self.patterns: list[tuple[str, ...]] = []
        self.watches = Watches(
            lambda: self.store.state, self.queue, lambda: self.patterns.append(self.watches.patterns)
        )
        self.store.on_swap(lambda state: self.watches.wake())
        self.revision = 0
        if values is not None:
            self.put(values)

    def put(self, values: dict[str, Any], *, epoch: int = 1) -> None:
        """Swap in the next revision."""
        self.revision += 1
        assert self.store.offer(snapshot_push(values, self.revision, epoch)).outcome == "applied"

    def watch(self, *patterns: str) -> list[Change]:
        """What a watch of these patterns is told, growing."""
        told: list[Change] = []
        self.watches.add(list(patterns), told.append)
        return told


def keys(told: list[Change]) -> list[str]:
    return [change.key for change in told]


def test_a_pattern_fires_for_the_node_it_matches_whether_it_or_a_leaf_of_it_was_written() -> None:
    """risk.* fires for risk.limits with the whole new object."""
    scene = Scene({"risk": {"limits": {"max": 1, "min": 0}, "other": 1}})
    told = scene.watch("risk.*")
    scene.put({"risk": {"limits": {"max": 2, "min": 0}, "other": 1}})
    scene.queue.run()
    (change,) = told
    assert (change.key, change.operation, change.revision) == ("risk.limits", "SET", 2)
    assert (change.old_value, change.new_value) == ({"max": 1, "min": 0}, {"max": 2, "min": 0})
    assert change.timestamp == "2026-01-01T00:00:00.000Z"


def test_ancestors_of_what_changed_count_as_changed_parents_first() -> None:
    """A watch of everything hears of each node once, from the top."""
    scene = Scene({"a": {"b": {"c": 1}, "d": 1}})
    told = scene.watch("**")
    scene.put({"a": {"b": {"c": 2}, "d": 1}})
    scene.queue.run()
    assert keys(told) == ["a", "a.b", "a.b.c"]


def test_what_is_gone_fires_with_delete_and_what_is_new_with_set() -> None:
    """An absent side is None."""
    scene = Scene({"old": {"x": 1}})
    told = scene.watch("*")
    scene.put({"new": None})
    scene.queue.run()
    assert [(c.key, c.operation, c.old_value, c.new_value) for c in told] == [
        ("new", "SET", None, None),
        ("old", "DELETE", {"x": 1}, None),
    ]


def test_the_first_snapshot_fires_nothing_but_what_follows_a_cached_one_does() -> None:
    """Whoever starts reads; whoever started on old values has to be told of the newer ones."""
    scene = Scene()
    told = scene.watch("**")
    scene.put({"a": 1})
    scene.queue.run()
    assert told == []
    scene.put({"a": 2})
    scene.queue.run()
    assert keys(told) == ["a"]


def test_a_difference_is_told_once_however_often_the_watch_is_woken() -> None:
    """Waking is a hint."""
    scene = Scene({"a": 1})
    told = scene.watch("a")
    scene.put({"a": 2})
    for _ in range(3):
        scene.watches.wake()
        scene.queue.run()
    assert keys(told) == ["a"]


def test_a_slow_watch_skips_states_between_and_misses_no_difference() -> None:
    """Old is what it last knew, new is what is read now; what came and went is not told."""
    scene = Scene({"a": 1})
    told = scene.watch("**")
    scene.put({"a": 2, "brief": 1})
    scene.put({"a": 3})
    scene.queue.run()
    assert [(c.key, c.old_value, c.new_value) for c in told] == [("a", 1, 3)]


def test_a_watch_added_while_changes_wait_is_not_told_of_what_was_before_it() -> None:
    """It begins with what is read when it is added."""
    scene = Scene({"a": 1})
    early = scene.watch("a")
    scene.put({"a": 2})
    late = scene.watch("a")
    scene.queue.run()
    assert keys(early) == ["a"]
    assert late == []


def test_one_that_raises_is_counted_and_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """The others hear of the same change, and it hears of the next one."""
    scene = Scene({"a": 1})
    seen: list[Any] = []

    def broken(change: Change) -> None:
        seen.append(change.new_value)
        raise RuntimeError("broken")

    scene.watches.add("a", broken)
    told = scene.watch("a")
    scene.put({"a": 2})
    scene.queue.run()
    scene.put({"a": 3})
    scene.queue.run()
    assert seen == [2, 3]
    assert [change.new_value for change in told] == [2, 3]
    assert scene.queue.failures.count == 2
    assert "broken" in caplog.text


def test_a_callback_may_cancel_itself_and_others_and_they_are_not_called_any_more() -> None:
    """Also for changes of the same swap that wait already."""
    scene = Scene({"a": 1, "b": 1})
    told: list[str] = []

    def once(change: Change) -> None:
        told.append(change.key)
        watch.cancel()
        scene.watches.remove_patterns("b")

    watch = scene.watches.add("**", once)
    other = scene.watch("b")
    scene.put({"a": 2, "b": 2})
    scene.queue.run()
    assert told == ["a"]
    assert other == []
    assert len(scene.watches) == 0


def test_unwatching_a_pattern_meets_all_its_callbacks_and_leaves_their_other_patterns() -> None:
    """A watch of several patterns goes on for the rest."""
    scene = Scene({"a": 1, "b": 1})
    both, only = scene.watch("a", "b"), scene.watch("b")
    assert scene.watches.remove_patterns(["b"]) == 2
    scene.put({"a": 2, "b": 2})
    scene.queue.run()
    assert keys(both) == ["a"]
    assert only == []


def test_a_watch_of_overlapping_patterns_is_told_of_a_node_once() -> None:
    """Patterns say what is wanted, not how often."""
    scene = Scene({"a": {"b": 1}})
    told = scene.watch("a.*", "a.b", "**.b")
    scene.put({"a": {"b": 2}})
    scene.queue.run()
    assert keys(told) == ["a.b"]


def test_one_and_one_point_zero_are_no_change_and_true_is() -> None:
    """Differences are decided on the canonical form."""
    scene = Scene({"a": 1})
    told = scene.watch("a")
    scene.put({"a": 1.0})
    scene.queue.run()
    assert told == []
    scene.put({"a": True})
    scene.queue.run()
    assert [change.new_value for change in told] == [True]


def test_what_callbacks_get_is_theirs() -> None:
    """One that changes its value spoils neither the snapshot nor what others get."""
    scene = Scene({"a": {"l": [1]}})

    def spoil(change: Change) -> None:
        change.new_value["l"].append(99)
        change.old_value.clear()

    scene.watches.add("a", spoil)
    told = scene.watch("a")
    scene.put({"a": {"l": [2]}})
    scene.queue.run()
    assert (told[0].old_value, told[0].new_value) == ({"l": [1]}, {"l": [2]})
    assert scene.store.state.tree["a"] == {"l": [2]}


def test_patterns_are_told_whenever_they_change() -> None:
    """The server is to know who watches what."""
    scene = Scene()
    watch = scene.watches.add(["b", "a"], print)
    scene.watches.add("b", print)
    watch.cancel()
    assert scene.patterns == [("a", "b"), ("a", "b"), ("b",)]


@pytest.mark.parametrize("patterns", ["", "a.", "a*", [], ["a", "b..c"], "***"])
def test_a_pattern_that_is_none_is_refused(patterns: Any) -> None:
    """And nothing is watched by it."""
    scene = Scene()
    with pytest.raises(Invalid) as caught:
        scene.watches.add(patterns, print)
    assert caught.value.code == "bad_pattern"
    assert len(scene.watches) == 0


@given(st.lists(TREES, min_size=2, max_size=5), st.data())
def test_watches_hear_exactly_the_nodes_that_differ_from_what_they_last_knew(
    trees: list[dict[str, Any]], data: st.DataObject
) -> None:
    """Whatever is coalesced, each change is a difference of two states that followed one another."""
    scene = Scene(trees[0])
    told = scene.watch("**")
    known = scene.store.state.tree
    for values in trees[1:]:
        scene.put(values)
        if not data.draw(st.booleans()):
            continue
        scene.queue.run()
        now = scene.store.state.tree
        nodes = {path for tree in (known, now) for path in _nodes(tree)}
        different = {path for path in nodes if _differ(get_at(known, path), get_at(now, path))}
        assert sorted(keys(told)) == sorted(format_key(path) for path in different)
        told.clear()
        known = now


def _nodes(tree: Any, at: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not isinstance(tree, dict):
        return []
    return [node for name, child in tree.items() for node in [(*at, name), *_nodes(child, (*at, name))]]


def _differ(old: Any, new: Any) -> bool:
    return (old is MISSING) != (new is MISSING) or (old is not MISSING and not same(old, new))


async def test_a_stream_of_changes_gives_each_difference_and_ends_when_it_is_closed() -> None:
    """For `async for`: what came before it was asked for is not in it."""
    scene = Scene({"risk": {"a": 1}})
    stream = scene.watches.stream("risk.*")
    scene.put({"risk": {"a": 2}})
    assert (await anext(stream)).new_value == 2
    scene.put({"risk": {"a": 3}})
    scene.put({"risk": {"a": 4}})
    change = await anext(stream)
    assert (change.old_value, change.new_value) == (2, 4)
    assert scene.watches.patterns == ("risk.*",)
    scene.watches.close_streams()
    assert [change async for change in stream] == []


async def test_a_stream_that_nobody_reads_any_more_costs_nothing() -> None:
    """It is forgotten with its last reference."""
    scene = Scene({"a": 1})
    stream = scene.watches.stream("a")
    del stream
    await asyncio.sleep(0)
    assert scene.watches.patterns == ()


def test_events_come_to_those_who_asked_for_them_until_they_cancel() -> None:
    """An unknown name is refused with those that there are."""
    queue = HandQueue()
    events = Events(queue)
    told: list[Any] = []
    subscription = events.subscribe("connected", told.append)
    event = Event("connected", "here", "now")
    events.emit(event)
    events.emit(Event("disconnected", "gone", "now"))
    queue.run()
    subscription.cancel()
    events.emit(event)
    queue.run()
    assert told == [event]
    with pytest.raises(Invalid, match="configuration_changed"):
        events.subscribe("tea", told.append)


def test_configuration_changed_tells_the_fewest_nodes_that_differ() -> None:
    """Not for the first snapshot, and not when nothing differs."""
    queue = HandQueue()
    events = Events(queue)
    told: list[ConfigurationChanged] = []
    events.subscribe("configuration_changed", told.append)
    store = new_store()
    states = [store.state]
    trees = [{"a": {"b": 1}}, {"a": {"b": 1}}, {"a": {"b": 2}, "n": {"x": 1}}]
    for revision, values in enumerate(trees, 1):
        store.offer(snapshot_push(values, revision))
        states.append(store.state)
        events.swapped(states[-2], states[-1])
    queue.run()
    (event,) = told
    assert event.affected_keys == ("a.b", "n")
    assert (event.revision, event.changes[1].new_value) == (3, {"x": 1})

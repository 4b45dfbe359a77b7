"""Laws of what is handed out: it is the reader's own, and nothing is said of what is not there yet."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from tests.fakes.hand_queue import HandQueue
from tests.unit.client.states import NOTHING, new_store, reads_of, snapshot_push, state_of

from coreconfig import NotReady
from coreconfig.client.checks import Binding
from coreconfig.client.config import Snapshot
from coreconfig.client.events import Event, Events
from coreconfig.client.state import only_defaults
from coreconfig.client.typed import TypedReads

ONE, TWO = {"pool": {"hosts": ["a"]}}, {"pool": {"hosts": ["a", "b"]}}


def spoil(value: Any) -> None:
    """Change everything about a value that can be changed."""
    if isinstance(value, dict):
        for child in value.values():
            spoil(child)
        value["evil"] = True
    elif isinstance(value, list):
        for item in value:
            spoil(item)
        value.append("evil")


@pytest.mark.parametrize("kind", [dict, dict[str, Any], {"type": "object"}], ids=str)
def test_what_a_reader_of_a_binding_does_to_it_is_unseen_by_the_next(kind: Any) -> None:
    """A binding is read by many places of a program."""
    store = new_store()
    store.offer(snapshot_push(ONE, 1))
    binding: Binding[Any] = Binding("pool", kind, TypedReads(), "dev/shop")
    store.add_check(binding, against_current=True)
    spoil(binding.value)
    assert binding.value == {"hosts": ["a"]}


def test_a_binding_to_any_kind_of_target_refuses_what_it_cannot_be() -> None:
    """Also where the target cannot be remembered, so that it is converted for each reader."""
    store = new_store()
    store.offer(snapshot_push({"n": 1}, 1))
    binding: Binding[int] = Binding("n", Annotated[int, {"unit": "s"}], TypedReads(), "dev/shop")
    store.add_check(binding, against_current=True)
    assert store.offer(snapshot_push({"n": "x"}, 2)).outcome == "rejected"
    assert binding.value == 1


def test_what_a_subscriber_does_to_an_event_is_unseen_by_the_next() -> None:
    """Events and the changes in them are each subscriber's own."""
    queue = HandQueue()
    seen: list[Any] = []
    events = Events(queue)
    for _ in range(2):
        events.subscribe("configuration_changed", lambda event: seen.append([event.changes[0].new_value]))
        events.subscribe("configuration_changed", lambda event: spoil(event.changes[0].new_value))
        events.subscribe("unknown_message", lambda event: seen.append([event.details["list"]]))
        events.subscribe("unknown_message", lambda event: spoil(event.details))
    events.swapped(state_of(ONE, 1), state_of(TWO, 2))
    queue.run()
    assert seen == [[["a", "b"]], [["a", "b"]]]
    seen.clear()
    events.emit(Event("unknown_message", "", "", {"list": [1]}))
    queue.run()
    assert seen == [[[1]], [[1]]]


def test_before_there_is_a_snapshot_a_section_is_not_empty_but_unknown() -> None:
    """Only a definite "nothing is there" reads as an empty section."""
    unknown = Snapshot(only_defaults(NOTHING), "dev/shop", TypedReads())
    for kind in (None, dict):
        with pytest.raises(NotReady):
            unknown.get_section("pool", kind)
    assert reads_of(ONE).get_section("nothing") == {}

"""How one state follows from another: always as if it had been built anew."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.fake_server import at_of
from tests.unit.client.states import new_store, snapshot_push, state_of

from coreconfig.client.state import Finish, laid_over, only_defaults, scalars_of
from coreconfig.client.store import Store
from coreconfig.model.keys import format_key
from coreconfig.model.snapshots import diff
from coreconfig.model.trees import flatten, plain
from coreconfig.wire.frames import ChangedPush, LeafChange

NAMES = st.sampled_from(["a", "b", "c", "x y"])
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.sampled_from(["", "t", "${env:APP_A}", "x${env:APP_B}y", "$${env:APP_A}", "${env:OTHER}"]),
    st.lists(st.sampled_from([1, "${env:APP_A}"]), max_size=2),
)
TREES = st.dictionaries(
    NAMES,
    st.recursive(LEAVES, lambda inner: st.dictionaries(NAMES, inner, max_size=3), max_leaves=6),
    max_size=4,
)
FINISH = Finish({"APP_A": "1", "APP_B": "2", "OTHER": "3"}, ("APP_*",), {"a": {"b": 1, "d": 2}, "z": [1]})


def follow(store: Store, values: dict[str, Any], revision: int) -> None:
    """Offer the difference to these values as a delta."""
    changes = [
        LeafChange(format_key(c.path), "SET", plain(c.value))
        if c.operation == "SET"
        else LeafChange(format_key(c.path), "DELETE")
        for c in diff(store.state.raw, values)
    ]
    held = store.state.at
    assert held is not None
    push = ChangedPush("n", held, at_of(values, revision), changes)
    assert store.offer(push).outcome == "applied"


@given(st.lists(TREES, min_size=1, max_size=4))
def test_after_any_deltas_everything_is_as_after_one_snapshot(trees: list[dict[str, Any]]) -> None:
    """Tree, flat look-ups and unresolved references do not depend on the way that led there."""
    store = new_store(FINISH)
    assert store.offer(snapshot_push(trees[0], 1)).outcome == "applied"
    for revision, values in enumerate(trees[1:], 2):
        follow(store, values, revision)
    anew = state_of(trees[-1], len(trees), FINISH)
    assert plain(store.state.tree) == plain(anew.tree)
    assert dict(store.state.flat) == dict(anew.flat)
    assert sorted(map(str, store.state.issues)) == sorted(map(str, anew.issues))


@given(TREES)
def test_the_flat_look_up_holds_every_scalar_leaf_and_nothing_else(tree: dict[str, Any]) -> None:
    """What the hot path answers is what a walk through the tree would answer."""
    scalars = {key: leaf for key, leaf in flatten(tree).items() if not isinstance(leaf, list | dict)}
    assert scalars_of(tree) == scalars


@given(TREES, TREES)
def test_defaults_lie_under_everything(under: dict[str, Any], over: dict[str, Any]) -> None:
    """Whatever the upper tree has stays, and the lower one shows only where nothing is in its way."""
    both = laid_over(under, over)
    for key, leaf in flatten(over).items():
        if leaf != {}:
            assert flatten(both)[key] == leaf
    assert laid_over({}, over) == over
    assert laid_over(under, {}) == under


def test_a_node_that_did_not_change_is_the_same_object_after_a_whole_snapshot() -> None:
    """Typed reads of an unchanged subtree survive a reconnection that brings everything anew."""
    store = new_store()
    store.offer(snapshot_push({"a": {"x": [1]}, "b": 1}, 1))
    before = store.state.tree["a"]
    store.offer(snapshot_push({"a": {"x": [1]}, "b": 2}, 2))
    assert store.state.tree["a"] is before


@pytest.mark.parametrize(
    ("text", "read"),
    [("${env:APP_A}", "1"), ("<${env:APP_A}>", "<1>"), ("$${env:APP_A}", "${env:APP_A}")],
)
def test_an_allowed_variable_is_filled_in_and_the_raw_tree_keeps_the_reference(text: str, read: str) -> None:
    """The cache, deltas and digests are about what the server sent."""
    state = state_of({"k": text}, finish=FINISH)
    assert state.flat["k"] == read
    assert state.raw == {"k": text}


def test_a_variable_that_is_not_allowed_keeps_its_text_and_is_reported() -> None:
    """A configuration cannot read variables that the program did not offer."""
    state = state_of({"k": "${env:OTHER}"}, finish=FINISH)
    assert state.flat["k"] == "${env:OTHER}"
    assert [(issue.code, issue.key) for issue in state.issues] == [("env_not_allowed", "k")]


def test_before_any_snapshot_only_defaults_are_read() -> None:
    """A state without a position has revision 0 and is older than any other."""
    state = only_defaults(FINISH)
    assert state.at is None
    assert state.revision == 0
    assert state.flat["a.b"] == 1
    assert state.order < state_of({}).order

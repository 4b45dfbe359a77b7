"""The fold over layers: who wins, what is inherited, what is removed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.model import strategies as our

from coreconfig.errors import NotFound
from coreconfig.model.canonical import same
from coreconfig.model.documents import from_document
from coreconfig.model.edits import ValueEdit, apply_edits
from coreconfig.model.resolution import (
    explain,
    fold,
    fold_onto,
    layers_of,
    origin_at,
    refold,
    resolve,
    resolve_with_origins,
)
from coreconfig.model.trees import MISSING, delete_at, get_at, leaves, plain, set_at


def environments(*documents):
    return {d["id"]: from_document({"type": "development", **d}) for d in documents}


def lineage(*trees):
    """One environment per tree, each the parent of the next; the last one is the strongest."""
    return environments(
        *(
            {
                "id": f"e{i}",
                "inherits": [f"e{i - 1}"] if i else [],
                "overrides": {"configuration": tree},
            }
            for i, tree in enumerate(trees)
        )
    )


@given(our.layers, our.paths, our.scalars)
def test_the_child_wins(parent, path, value):
    """A scalar that a child sets is what the child resolves, whatever its parent says."""
    assert same(get_at(fold([parent, set_at({}, path, value)]), path), value)


@given(our.layers, our.layers, our.paths, our.scalars)
def test_deleting_an_override_restores_what_is_inherited(parent, child, path, value):
    """What a child resolves after an override was set and deleted is what it resolved without it."""
    without = delete_at(child, path, prune=True)
    overridden = set_at(without, path, value)
    assert get_at(delete_at(overridden, path, prune=True), path) is MISSING
    restored = get_at(fold([parent, delete_at(overridden, path, prune=True)]), path)
    blocked = any(not isinstance(get_at(child, path[:n], {}), dict) for n in range(1, len(path)))
    unset_above = any(get_at(child, path[:n]) == {"$unset": True} for n in range(1, len(path)))
    if not blocked and not unset_above:
        expected = get_at(fold([parent, without]), path)
        assert restored is expected or same(restored, expected)


@given(our.layers, our.layers)
def test_unrelated_keys_do_not_depend_on_order(one, other):
    """Layers that share no top-level name give the same result in either order."""
    renamed = {f"other-{name}": value for name, value in other.items()}
    assert same(plain(fold([one, renamed])), plain(fold([renamed, one])))


@given(st.lists(our.layers, max_size=5), st.integers(0, 5))
def test_folding_a_split_list_equals_folding_the_whole(layers, at):
    """The fold may stop after any layer and go on later."""
    tree = fold(layers[:at])
    for layer in layers[at:]:
        tree = fold_onto(tree, layer)
    assert same(plain(tree), plain(fold(layers)))


@given(st.lists(our.layers, max_size=4))
def test_no_marker_is_left_in_a_result(layers):
    """``$unset`` is an instruction of a layer, never a value."""
    assert all("$unset" not in path for path, _ in leaves(fold(layers)))


@given(st.lists(our.layers, min_size=1, max_size=4), st.data())
def test_refolding_what_an_edit_touched_equals_folding_everything(layers, data):
    """The incremental result is the whole result, for every kind of edit in any layer."""
    envs = lineage(*layers)
    strongest = f"e{len(layers) - 1}"
    edit = ValueEdit(
        f"e{data.draw(st.integers(0, len(layers) - 1))}",
        None,
        data.draw(our.paths),
        data.draw(st.sampled_from(["set", "merge", "delete"])),
        data.draw(our.layers.filter(lambda tree: "$unset" not in tree)),
    )
    before = resolve(layers_of(envs, strongest, None))
    try:
        applied = apply_edits(envs, [edit])
    except ValueError:
        return
    after = layers_of(applied.environments, strongest, None)
    assert same(plain(refold(before, after, applied.touches[0].path)), plain(resolve(after)))


@given(st.lists(our.layers, max_size=4))
def test_origins_name_the_layer_that_gave_each_leaf(layers):
    """Every leaf has one origin, and that layer holds the leaf (or made the object empty)."""
    envs = lineage(*layers, {})
    views = layers_of(envs, f"e{len(layers)}", None)
    tree, origins = resolve_with_origins(views)
    assert same(plain(tree), plain(resolve(views)))
    for path, leaf in leaves(tree):
        index = origin_at(origins, path)
        assert index is not None
        if leaf != {}:
            assert same(get_at(views[index].tree, path), leaf)


def test_an_object_over_a_scalar_replaces_it_and_an_empty_object_changes_no_object():
    """The two cases of the step that peers disagree on."""
    assert fold([{"a": "text"}, {"a": {"b": 1}}]) == {"a": {"b": 1}}
    assert fold([{"a": "text"}, {"a": {}}]) == {"a": {}}
    assert fold([{"a": {"b": 1}}, {"a": {}}]) == {"a": {"b": 1}}


def test_arrays_replace_and_null_is_a_value():
    """Arrays are leaves, and null neither deletes nor inherits."""
    assert fold([{"a": [1, 2], "b": 1}, {"a": [3], "b": None}]) == {"a": [3], "b": None}


def test_a_service_value_of_a_parent_beats_a_base_value_of_a_child():
    """All base layers come before all service layers."""
    envs = environments(
        {"id": "parent", "services": {"s": {"configuration": {"k": "parent's service"}}}},
        {"id": "child", "inherits": ["parent"], "overrides": {"configuration": {"k": "child's base"}}},
    )
    assert resolve(layers_of(envs, "child", "s")) == {"k": "parent's service"}
    assert resolve(layers_of(envs, "child", None)) == {"k": "child's base"}


def test_explain_lists_what_each_layer_says_strongest_first():
    """The winner is effective, what it overrode is shown and is not."""
    envs = lineage({"a": {"b": 1, "c": 1}}, {"a": {"b": 2}}, {"a": {"b": 3}})
    said = explain(layers_of(envs, "e2", None), ("a", "b"))
    assert [(c.layer.environment, c.value, c.effective) for c in said] == [
        ("e2", 3, True),
        ("e1", 2, False),
        ("e0", 1, False),
    ]


def test_what_removed_a_value_is_explained_as_what_decided():
    """A key that is absent because a layer unsets it, or sets a scalar above it, has an explanation too."""
    envs = lineage({"a": {"b": 1}}, {"a": {"b": {"$unset": True}}})
    said = explain(layers_of(envs, "e1", None), ("a", "b"))
    assert [(c.layer.environment, c.operation, c.effective) for c in said] == [
        ("e1", "UNSET", True),
        ("e0", "SET", False),
    ]
    above = explain(layers_of(lineage({"a": {"b": 1}}, {"a": 5}), "e1", None), ("a", "b"))
    assert [(c.at, c.value, c.effective) for c in above] == [(("a",), 5, True), (("a", "b"), 1, False)]


def test_an_unknown_service_is_refused_by_name_and_the_known_ones_are_listed():
    """A typing error in a service's name must not look like an empty configuration."""
    envs = environments({"id": "e", "services": {"trading-engine": {}}})
    with pytest.raises(NotFound, match="trading-engine") as caught:
        layers_of(envs, "e", "trading-engin")
    assert caught.value.code == "unknown_service"

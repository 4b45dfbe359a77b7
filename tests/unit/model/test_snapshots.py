"""Differences, digests and what counts as moved."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.model import strategies as our

from coreconfig.model.canonical import same
from coreconfig.model.documents import from_document
from coreconfig.model.edits import ValueEdit, apply_edits
from coreconfig.model.snapshots import apply, diff, digest_after, digest_of, moved_nodes
from coreconfig.model.trees import MISSING, Wide, flatten, get_at, plain, shared, unflatten
from coreconfig.model.views import advance_view, build_view


def wide(tree):
    """The same tree with every object in shards."""
    if type(tree) is not dict:
        return tree
    return Wide.of({name: wide(child) for name, child in tree.items()})


@given(our.trees, our.trees)
def test_applying_a_difference_gives_the_other_tree(a, b):
    """``apply(a, diff(a, b)) == b``, for plain objects and for sharded ones."""
    assert same(plain(apply(a, diff(a, b))), b)
    assert same(plain(apply(wide(a), diff(wide(a), wide(b)))), b)


@given(our.trees)
def test_a_tree_does_not_differ_from_its_copy(tree):
    """Equality is decided on values, not on identity."""
    assert diff(tree, plain(tree)) == []


@given(our.trees, our.trees)
def test_the_digest_of_a_difference_equals_the_digest_of_the_whole(a, b):
    """Both sides may keep the digest in proportion to the change."""
    assert digest_after(digest_of(a), a, b, diff(a, b)) == digest_of(b)


@given(our.trees, our.trees)
def test_trees_with_one_digest_are_one(a, b):
    """A digest says that the content is the same, and only then."""
    assert (digest_of(a) == digest_of(b)) == same(a, b)


@given(our.trees)
def test_a_flat_tree_can_be_nested_again(tree):
    """`flatten` loses nothing."""
    assert same(unflatten(flatten(tree)), tree)


@given(our.trees, our.trees)
def test_every_moved_node_is_reported_once_with_both_values(a, b):
    """Ancestors of what moved have moved too; what is equal has not."""
    moved = {path: (old, new) for path, old, new in moved_nodes(a, b)}
    assert len(moved) == len(list(moved_nodes(a, b)))
    for path, (old, new) in moved.items():
        assert get_at(a, path) is old or same(get_at(a, path), old)
        assert get_at(b, path) is new or same(get_at(b, path), new)
        assert old is MISSING or new is MISSING or not same(old, new)
        assert len(path) == 1 or path[:-1] in moved
    for change in diff(a, b):
        assert change.path in moved


@given(st.lists(our.layers, min_size=1, max_size=3), st.lists(our.layers, min_size=1, max_size=3), st.data())
def test_a_view_kept_up_to_date_equals_one_that_is_built_anew(bases, services, data):
    """After any sequence of edits: the same tree, the same digest, and a difference that leads there."""
    count = max(len(bases), len(services))
    envs = {
        f"e{i}": from_document(
            {
                "id": f"e{i}",
                "type": "development",
                "inherits": [f"e{i - 1}"] if i else [],
                "overrides": {"configuration": bases[i % len(bases)]},
                "services": {"s": {"configuration": services[i % len(services)]}},
            }
        )
        for i in range(count)
    }
    last = f"e{count - 1}"
    view = build_view(envs, last, "s")
    for _ in range(data.draw(st.integers(1, 4))):
        edit = ValueEdit(
            f"e{data.draw(st.integers(0, count - 1))}",
            data.draw(st.sampled_from([None, "s", "other"])),
            data.draw(our.paths),
            data.draw(st.sampled_from(["set", "delete", "unset"])),
            data.draw(st.one_of(our.leaves, st.just("${config:a}"), st.just("x ${config:b.c} y"))),
        )
        try:
            applied = apply_edits(envs, [edit])
        except ValueError:
            continue
        envs = applied.environments
        before = view
        view, changes = advance_view(view, envs, applied.touches)
        fresh = build_view(envs, last, "s")
        assert same(plain(view.tree), plain(fresh.tree))
        assert view.digest == fresh.digest
        assert same(plain(apply(before.tree, changes)), plain(fresh.tree))
        assert set(view.issues) == set(fresh.issues)
        for env in envs.values():
            again = from_document(
                {"id": env.id, "type": "development", "overrides": {"configuration": plain(env.base)}}
            )
            assert again.base_weight == env.base_weight


def test_a_change_of_one_member_among_very_many_shares_all_others():
    """Sharded objects make one change cheap and comparison skip what is shared."""
    before = shared({f"k{i}": i for i in range(5_000)})
    after = apply(before, diff({"k7": 7}, {"k7": 8}))
    assert type(after) is Wide
    assert [(c.path, c.value) for c in diff(before, after)] == [(("k7",), 8)]
    assert len(list(before.unshared_with(after))) == 1


@given(our.layers, our.layers)
def test_a_view_built_over_its_base_equals_one_built_from_its_layers(base, service):
    """Sharing the work of the environment's own view changes nothing in the result."""
    references = {"r": "${config:a}", "s": "x${config:b}"}
    envs = {
        "e": from_document(
            {
                "id": "e",
                "type": "development",
                "overrides": {"configuration": {**references, **base}},
                "services": {"s": {"configuration": service}},
            }
        )
    }
    alone = build_view(envs, "e", "s")
    shared_work = build_view(envs, "e", "s", base=build_view(envs, "e", None))
    assert same(plain(shared_work.tree), plain(alone.tree))
    assert shared_work.digest == alone.digest
    assert set(shared_work.issues) == set(alone.issues)
    assert dict(shared_work.referring) == dict(alone.referring)

"""Values, layers and edits for the laws of the model: small alphabets, so that things meet."""

from __future__ import annotations

from hypothesis import strategies as st

names = st.sampled_from(["a", "b", "c", "d.e", "x y"])
paths = st.lists(names, min_size=1, max_size=4).map(tuple)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.5, 1.0, -0.0]),
    st.sampled_from(["", "text", "ü", "true"]),
)
leaves = st.one_of(scalars, st.lists(scalars, max_size=2), st.just({}))


def objects(leaf: st.SearchStrategy[object]) -> st.SearchStrategy[dict[str, object]]:
    """Objects of objects of leaves."""
    below = st.recursive(leaf, lambda child: st.dictionaries(names, child, max_size=3), max_leaves=8)
    return st.dictionaries(names, below, max_size=4)


trees = objects(leaves)
layers = objects(st.one_of(leaves, st.just({"$unset": True})))

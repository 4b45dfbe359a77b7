"""JSON values: what is refused at the door, and the one canonical form."""

from __future__ import annotations

import json
import struct

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from coreconfig.errors import Invalid, TooLarge
from coreconfig.model.canonical import canonical, same
from coreconfig.model.values import MAX_VALUE_BYTES, check_layer, check_value, decode_json, refuse

json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**53), 2**53),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(exclude_categories=["Cs"])),
    ),
    lambda child: st.one_of(
        st.lists(child, max_size=3),
        st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), child, max_size=3),
    ),
    max_leaves=10,
)


@given(json_values)
def test_the_canonical_form_is_that_of_rfc_8785(value):
    """Our encoder agrees with the reference implementation, byte for byte."""
    try:
        expected = rfc8785.dumps(value)
    except rfc8785.IntegerDomainError:
        return
    assert canonical(value).encode() == expected


@given(st.binary(min_size=8, max_size=8))
def test_every_double_has_its_ecmascript_spelling(raw):
    """All bit patterns, not only the doubles that people write."""
    (number,) = struct.unpack("<d", raw)
    if number == number and abs(number) != float("inf"):  # noqa: PLR0124  # NaN is not equal to itself
        assert canonical(number).encode() == rfc8785.dumps(number)


@given(json_values)
def test_what_was_written_is_read_back(value):
    """The strict reader accepts all JSON that is within the limits."""
    assert same(decode_json(json.dumps(value)), value)


def test_equality_is_decided_on_the_canonical_form():
    """Python's own ``==`` says that ``1 == True``."""
    assert same(1, 1.0)
    assert not same(1, True)
    assert not same(0, False)
    assert not same([1], [True])
    assert same({"a": 1, "b": 2}, {"b": 2.0, "a": 1})
    assert same(0.0, -0.0)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"a": 1, "a": 2}', "duplicate_member"),
        ("NaN", "number_not_finite"),
        ("[Infinity]", "number_not_finite"),
        ("1e999", "number_not_finite"),
        ("9007199254740993", "integer_out_of_range"),
        ("-" + "9" * 5000, "integer_out_of_range"),
        ('"\\ud800"', "lone_surrogate"),
        ('{"\\udfff": 1}', "lone_surrogate"),
        ("[" * 100 + "]" * 100, "too_deep"),
        ("[" * 100_000, "too_deep"),
        ("{", "not_json"),
        ("'a'", "not_json"),
        ("", "not_json"),
        (b"\xff", "not_utf8"),
    ],
)
def test_what_is_not_strict_json_is_refused_with_its_rule(text, code):
    """Each of these gets through Python's own parser or ends it; none may get in."""
    with pytest.raises(Invalid) as caught:
        decode_json(text)
    assert caught.value.code == code


def test_all_faults_of_a_text_are_listed_at_once():
    """Whoever has to mend it should not have to try five times."""
    with pytest.raises(Invalid) as caught:
        decode_json('{"a": NaN, "b": {"c": 1, "c": 2}, "d": 99999999999999999999}')
    assert {issue.code for issue in caught.value.issues} == {
        "number_not_finite",
        "duplicate_member",
        "integer_out_of_range",
    }


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("x" * 65_537, "string_too_long"),
        (["x" * 60_000] * 20, "value_too_large"),
        ({"a": {"$unset": True, "b": 1}}, "bad_unset"),
        ({"$unset": 1}, "bad_unset"),
        ({"__proto__": 1}, "key_reserved"),
        ({"": 1}, "bad_key"),
        ({"a": object()}, "not_json"),
        ({1: "a"}, "not_json"),
        (float("nan"), "number_not_finite"),
    ],
)
def test_what_cannot_be_configuration_is_named(value, code):
    """The same rules hold for values that did not come as text."""
    assert code in {issue.code for issue in check_value(value, ("key",))}


def test_a_value_that_is_only_too_large_is_answered_as_such():
    """Size is not the same kind of failure as nonsense: it has its own class and status."""
    with pytest.raises(TooLarge):
        refuse(check_value("x" * 65_537, ("a",)), "too large")


def test_depth_counts_from_the_root_of_the_configuration():
    """A value deep in the tree may itself be less deep."""
    nested: object = 1
    for _ in range(30):
        nested = {"a": nested}
    assert check_value(nested, ("x",)) == []
    assert [issue.code for issue in check_value(nested, ("x",) * 4)] == ["too_deep"]


def test_a_key_that_is_written_inside_a_value_is_no_longer_than_any_other():
    """However deep it is nested, every leaf can be asked for by its key."""
    long = "n" * 128
    value = {long: {long: {long: {"fits": 1, "n" * 128: 1}}}}
    assert check_value({long: {long: {long: 1}}}, ("a",)) == []
    issues = check_value(value, ("a",))
    assert [issue.code for issue in issues] == ["key_too_long"]
    assert issues[0].key == f"a.{long}.{long}.{long}"


def test_a_marker_is_as_deep_as_the_scalar_that_it_removes():
    """What may be set at a path may be unset there."""
    path = ("p",) * 32
    assert check_value(1, path) == []
    assert check_value({"$unset": True}, path) == []
    assert [issue.code for issue in check_value({"x": {}}, path[:31])] == ["too_deep"]


def test_an_object_that_grew_by_many_changes_may_be_larger_than_one_value():
    """The limit of a value holds for what is written at once, and for each leaf of a layer."""
    text = "x" * 60_000
    grown = {"big": {f"part{i}": text for i in range(30)}}
    assert check_layer(grown) == []
    assert [issue.code for issue in check_value(grown["big"], ("big",))] == ["value_too_large"]
    leaf = [text] * (MAX_VALUE_BYTES // len(text) + 1)
    assert [(issue.code, issue.key) for issue in check_layer({"a": {"b": leaf}})] == [
        ("value_too_large", "a.b")
    ]

"""Keys, patterns and ids."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coreconfig.errors import Invalid
from coreconfig.model.keys import check_id, check_path, format_key, is_related, parse_key, parse_pattern

segments = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=6)


def allowed(path):
    try:
        check_path(path)
    except Invalid:
        return False
    return True


@given(st.lists(segments, min_size=1, max_size=5).map(tuple).filter(allowed))
def test_the_canonical_spelling_reads_back_as_the_same_path(path):
    """Any path that is allowed has one spelling, and that spelling names it."""
    assert parse_key(format_key(path)) == path


@given(st.text(max_size=40))
def test_any_text_is_either_a_key_or_refused_with_a_code(text):
    """No text makes the grammar fail in another way."""
    codes = {"bad_key", "key_too_long", "key_too_deep", "key_reserved"}
    try:
        path = parse_key(text)
    except Invalid as error:
        code = error.code
    else:
        code = "bad_key" if parse_key(format_key(path)) == path else "lost"
    assert code in codes


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("database.postgresql.pool.max", ("database", "postgresql", "pool", "max")),
        ('logging.levels."com.acme.risk"', ("logging", "levels", "com.acme.risk")),
        ("a.'b c'", ("a", "b c")),
        ('"say \\"hi\\""', ('say "hi"',)),
        ('"\\u00fc"', ("ü",)),
    ],
)
def test_segments_with_other_characters_are_quoted(key, path):
    """Quoting is that of TOML keys."""
    assert parse_key(key) == path


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("", "bad_key"),
        ("a..b", "bad_key"),
        ("a b", "bad_key"),
        ("a.*", "bad_key"),
        ('"\\x"', "bad_key"),
        ('"\x00"', "bad_key"),
        ('"u\u0308"', "bad_key"),
        ("__proto__.x", "key_reserved"),
        ("a.constructor", "key_reserved"),
        ("x" * 129, "key_too_long"),
        (".".join(["x" * 100] * 6), "key_too_long"),
        (".".join("x" * 33), "key_too_deep"),
        (7, "bad_key"),
    ],
)
def test_what_is_no_key_is_refused_with_its_rule(key, code):
    """Each limit has a code of its own."""
    with pytest.raises(Invalid) as caught:
        parse_key(key)
    assert caught.value.code == code


def as_expression(parts):
    """The regular expression that a pattern stands for, over segments joined by a slash."""
    spelt = {"*": "[^/]+/", "**": "([^/]+/)*"}
    return "".join(spelt.get(part, f"{part}/") for part in parts)


@given(
    st.lists(st.sampled_from(["a", "b", "*", "**"]), min_size=1, max_size=5),
    st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=5),
)
def test_a_star_is_one_segment_and_two_stars_are_any_number(parts, path):
    """The matcher agrees with the expression that says the same."""
    expected = re.fullmatch(as_expression(parts), "".join(f"{s}/" for s in path)) is not None
    assert parse_pattern(".".join(parts)).matches(tuple(path)) == expected


def test_a_hostile_pattern_takes_no_longer_than_pattern_times_path():
    """Many ``**`` against a long path that does not match would stall a matcher that tries all splits."""
    assert not parse_pattern(".".join(["**", "a"] * 15 + ["b"])).matches(("a",) * 32)


@pytest.mark.parametrize("value", ["", "-a", "A", "a" * 64, "a_b", None, 3])
def test_ids_are_lower_case_letters_digits_and_hyphens(value):
    """An id that would be ambiguous in an address or a file name is refused."""
    with pytest.raises(Invalid, match="a service") as caught:
        check_id("service", value)
    assert caught.value.code == "bad_id"


def test_related_paths_are_equal_above_or_below():
    """What an edit at one path can bear on."""
    assert is_related(("a", "b"), ("a",))
    assert is_related(("a",), ("a", "b"))
    assert not is_related(("a", "b"), ("a", "c"))

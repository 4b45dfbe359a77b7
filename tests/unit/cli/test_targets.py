"""What the command line takes as targets, keys and values."""

from __future__ import annotations

import click
import pytest

from coreconfig.cli.targets import Target, read_dated_target, read_key, read_pattern, read_target, read_value
from coreconfig.errors import Invalid


def test_a_target_is_an_environment_or_a_service_in_one() -> None:
    """The slash decides."""
    assert read_target("production") == Target("production")
    assert read_target("production/trading-engine") == Target("production", "trading-engine")


def test_a_dated_target_names_a_revision() -> None:
    """Nothing behind the name means now."""
    assert read_dated_target("a/b@12") == Target("a", "b", 12)
    assert read_dated_target("a") == Target("a")


@pytest.mark.parametrize("text", ["", "/x", "a/", "a/b/c", "A", "a b", "a@1", "../etc"])
def test_a_target_that_is_no_id_is_wrong_usage(text: str) -> None:
    """It is told before anything is sent."""
    with pytest.raises(click.BadParameter):
        read_target(text)


@pytest.mark.parametrize("text", ["a@", "a@x", "a@-1", "a@1@2"])
def test_a_revision_is_a_number(text: str) -> None:
    """Anything else after the sign is wrong usage."""
    with pytest.raises(click.BadParameter):
        read_dated_target(text)


def test_a_key_is_sent_in_its_canonical_spelling() -> None:
    """Quotes that are not needed are dropped; a key that is none is wrong usage."""
    assert read_key("a.'b'.\"c d\"") == 'a.b."c d"'
    with pytest.raises(click.BadParameter, match="cannot be read"):
        read_key("a..b")
    with pytest.raises(click.BadParameter):
        read_pattern("a.*b")


def test_an_address_quotes_every_part() -> None:
    """A key with a slash or a question mark stays one part."""
    path = Target("e", "s").path("configuration", 'a."b/c?"')
    assert path == "/v1/environments/e/services/s/configuration/a.%22b%2Fc%3F%22"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-1.5", -1.5),
        ("true", True),
        ("null", None),
        ('"1"', "1"),
        ('{"a": [1]}', {"a": [1]}),
        ("info", "info"),
        ("12:30", "12:30"),
        ("NaN", "NaN"),
        ("Infinity", "Infinity"),
        ("", ""),
        ("{not json", "{not json"),
        ("1 2", "1 2"),
    ],
)
def test_a_value_is_read_as_json_else_as_a_text(text: str, value: object) -> None:
    """What is not JSON needs no quotes."""
    assert read_value(text) == value
    assert type(read_value(text)) is type(value)


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', "99999999999999999999", "1e999"])
def test_json_that_no_value_may_be_is_refused(text: str) -> None:
    """It is not stored as a text by accident."""
    with pytest.raises(Invalid):
        read_value(text)

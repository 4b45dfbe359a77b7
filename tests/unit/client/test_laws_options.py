"""Whatever a program hands in, it is told at once what is wrong; nothing of that gets into a frame."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.client.states import options_of, reads_of

from coreconfig import Invalid
from coreconfig.client.admin import Edit, change_request

WRONG: list[tuple[str, Any]] = [
    ("url", 5),
    ("url", "http://[::1"),
    ("url", "http://host:99999"),
    ("url", "http://host:port"),
    ("url", "http://a host"),
    ("url", "http://host/?token=x"),
    ("token", 5),
    ("token", b"cc_x"),
    ("labels", 5),
    ("labels", ["a"]),
    ("labels", {"a": "\ud800"}),
    ("labels", {"a" * 300: "b"}),
    ("labels", {str(number): "x" for number in range(100)}),
    ("app_version", 5),
    ("app_version", "v" * 300),
    ("cohort", "\ud800"),
    ("env_allow", 5),
    ("cache_dir", 5),
    ("cache_dir", ""),
    ("cache_dir", "a\0b"),
    ("ca_file", 5),
    ("poll_interval", float("nan")),
    ("request_timeout", "5"),
    ("start_timeout", True),
]


@pytest.mark.parametrize(("name", "value"), WRONG, ids=[f"{name}-{value!r:.20}" for name, value in WRONG])
def test_what_cannot_be_meant_is_refused_at_construction(name: str, value: Any) -> None:
    """Said in the hello, some of it would end every connection."""
    with pytest.raises(Invalid):
        options_of(**{name: value})


def test_everything_that_is_wrong_is_said_at_once() -> None:
    """Whoever corrects one thing need not find out the next one by another try."""
    with pytest.raises(Invalid) as caught:
        options_of(**dict(WRONG))
    assert len(caught.value.issues) == len(dict(WRONG))


def test_a_value_without_end_is_refused_as_such() -> None:
    """A list that contains itself, or one that is nested ten thousand times."""
    endless: list[Any] = []
    endless.append(endless)
    deep: list[Any] = []
    for _ in range(10_000):
        deep = [deep]
    for value in (endless, deep):
        with pytest.raises(Invalid) as caught:
            change_request(options_of(), [Edit("a", "set", value)])
        assert caught.value.code == "too_deep"
        with pytest.raises(Invalid):
            options_of(defaults={"a": value})


def test_one_key_is_no_batch() -> None:
    """Its letters would be taken for keys."""
    with pytest.raises(Invalid):
        reads_of({"a": 1}).get_batch("a")

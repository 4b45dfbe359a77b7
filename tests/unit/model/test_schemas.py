"""Checks against JSON Schemas: every issue, no values in texts, nothing fetched, no pattern that stalls."""

from __future__ import annotations

import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from coreconfig.errors import Invalid
from coreconfig.model.schemas import check, check_schema, key_below
from coreconfig.model.trees import Wide

SECRET = "hunter2-very-secret"


def codes(value: Any, schema: dict[str, Any], **more: Any) -> dict[str | None, str]:
    return {issue.key: issue.code for issue in check(value, schema, at="k", **more)}


def test_a_value_that_fits_has_no_issue() -> None:
    """Also a tree in its inner form."""
    schema = {"additionalProperties": {"type": "integer"}}
    assert check({"a": 1}, schema) == []
    assert check(Wide.of({str(n): n for n in range(1000)}), schema) == []


def test_every_deviation_is_listed_with_its_key() -> None:
    """Not only the first, and each with the code of its rule."""
    schema = {
        "required": ["missing"],
        "additionalProperties": False,
        "properties": {
            "kind": {"type": "integer"},
            "choice": {"enum": ["a", "b"]},
            "only": {"const": 1},
            "size": {"maximum": 3},
            "name": {"minLength": 3},
            "address": {"format": "ipv4"},
            "a.b": {"items": {"pattern": "^x"}},
            "either": {"anyOf": [{"type": "integer"}, {"minLength": 5}]},
        },
    }
    value = {
        "kind": "x", "choice": "c", "only": 2, "size": 4, "name": "n", "address": "x", "a.b": ["x", "y"],
        "either": "abc",
    }  # fmt: skip
    assert codes(value, schema) == {
        "k": "missing_member",
        "k.kind": "wrong_type",
        "k.choice": "not_allowed",
        "k.only": "not_allowed",
        "k.size": "out_of_bounds",
        "k.name": "wrong_length",
        "k.address": "wrong_format",
        'k."a.b"[1]': "wrong_format",
        "k.either": "rule_broken",
    }
    assert codes({"missing": 1, "z": 1}, {**schema, "required": []}) == {"k": "unknown_member"}


def test_one_and_one_point_zero_are_the_same_value() -> None:
    """As everywhere in the configuration; true is another."""
    assert check(1.0, {"type": "integer"}) == []
    assert check(1.0, {"const": 1}) == []
    assert check(True, {"type": "integer"})


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer"},
        {"enum": ["a"]},
        {"const": "a"},
        {"pattern": "^a"},
        {"format": "ipv4"},
        {"maxLength": 1},
        {"not": {"type": "string"}},
        {"oneOf": [{"type": "integer"}, {"maxLength": 2}]},
        False,
    ],
    ids=str,
)
def test_a_message_never_shows_the_value(schema: Any) -> None:
    """Any value may be a secret."""
    (issue,) = check({"password": SECRET}, {"properties": {"password": schema}})
    assert SECRET not in str(issue)
    assert issue.key == "password"


def test_nothing_is_fetched_for_a_reference(tmp_path: Path) -> None:
    """Neither over the network nor from the disk, when the schema is read or when it is used."""
    asked: list[str] = []

    class Bait(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

    (tmp_path / "bait.json").write_text('{"type": "integer"}')
    with HTTPServer(("127.0.0.1", 0), Bait) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            here = f"http://127.0.0.1:{server.server_port}/schema"
            for uri in (here, (tmp_path / "bait.json").as_uri()):
                for schema in (
                    {"$ref": uri},
                    {"$dynamicRef": uri},
                    {"$schema": uri},
                    {"$id": uri, "$ref": "other"},
                ):
                    with pytest.raises(Invalid) as caught:
                        check(1, schema)
                    assert caught.value.code == "bad_schema"
        finally:
            server.shutdown()
            thread.join()
    assert asked == []


def test_a_reference_leads_to_the_documents_at_hand() -> None:
    """By the URI under which they were handed in."""
    documents = {"urn:example:port": {"type": "integer", "maximum": 65535}}
    schema = {"properties": {"port": {"$ref": "urn:example:port"}}}
    assert codes({"port": 70000}, schema, documents=documents) == {"k.port": "out_of_bounds"}
    with pytest.raises(Invalid):
        check({}, schema)


def test_an_older_draft_is_spoken_where_the_schema_names_it() -> None:
    """In draft 7 an array of `items` is positional, which today is called otherwise."""
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "integer"}]}
    assert codes(["x"], schema) == {"k[0]": "wrong_type"}


def test_a_pattern_that_backtracks_elsewhere_takes_no_time() -> None:
    """A schema must not be able to stall its reader."""
    begun = time.monotonic()
    assert codes("a" * 5000 + "!", {"pattern": "^(a+)+$"}) == {"k": "wrong_format"}
    assert time.monotonic() - begun < 1


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"type": "nonsense"}, "at type"),
        ({"minimum": "x"}, "at minimum"),
        ({"properties": {"a": {"pattern": "(?=a)"}}}, "at properties.a.pattern"),
        ({"pattern": "(a{1000}){1000}"}, "at pattern"),
        ({"$ref": "#/$defs/none"}, "/$defs/none"),
        ({"const": object()}, "object"),
    ],
    ids=["type", "minimum", "look-around", "huge pattern", "dangling reference", "no JSON"],
)
def test_a_schema_that_is_none_is_refused_with_the_place(schema: dict[str, Any], told: str) -> None:
    """Whoever wrote it is told what to repair."""
    with pytest.raises(Invalid) as caught:
        check_schema(schema)
    assert caught.value.code == "bad_schema"
    assert told in str(caught.value)


def test_the_key_below_a_key_is_spelt_canonically() -> None:
    """Members quoted where they must be, items in brackets."""
    assert key_below("a", ("b", 0, "c.d")) == 'a.b[0]."c.d"'
    assert key_below("", ("a",)) == "a"

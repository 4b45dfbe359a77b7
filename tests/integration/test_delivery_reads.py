"""Resolved configuration over HTTP: whole, in part, one key, why, since when, and for whom."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.integration.streaming import Server, create, put

from coreconfig.testing.server import InProcessServer

ENGINE = "/v1/environments/demo/services/engine"


@pytest.fixture
async def demo(server: InProcessServer) -> AsyncIterator[Server]:
    """Two environments: global, and demo that inherits from it, with two services."""
    running = Server(server.url)
    async with running.http:
        await running.edit(
            create("global", {"log": {"level": "info", "copy": "${config:log.level}"}, "pool": {"max": 5}}),
            create("demo", {"pool": {"max": 7}}, {"engine": {"risk": {"max": 1}}, "bridge": {}}, ["global"]),
            reason="begin",
        )
        yield running


@asynccontextmanager
async def with_token(server: Server, **body: Any) -> AsyncIterator[Server]:
    """The same server asked with a new token."""
    answer = await server.http.post("/v1/tokens", json=body)
    assert answer.status_code in (200, 201), answer.text
    other = Server(server.url, answer.json()["token"])
    async with other.http:
        yield other


async def test_a_service_reads_what_it_resolves_to(demo: Server) -> None:
    """Layers folded, references followed, with the revision and the digest that belong to it."""
    answer = await demo.get(f"{ENGINE}/configuration")
    assert answer.json()["values"] == {
        "log": {"level": "info", "copy": "info"},
        "pool": {"max": 7},
        "risk": {"max": 1},
    }
    assert answer.json()["revision"] == 1
    assert answer.headers["X-CoreConfig-Revision"] == "1"
    assert answer.headers["ETag"] == f'"{answer.json()["digest"]}"'
    base = await demo.get("/v1/environments/demo/configuration")
    assert "risk" not in base.json()["values"]


async def test_parts_and_shapes_of_a_configuration(demo: Server) -> None:
    """Flat, below a prefix, and with the layer that gave each leaf."""
    flat = (await demo.get(f"{ENGINE}/configuration?flat=true")).json()["values"]
    assert flat == {"log.level": "info", "log.copy": "info", "pool.max": 7, "risk.max": 1}
    part = (await demo.get(f"{ENGINE}/configuration?prefix=log&flat=true")).json()["values"]
    assert part == {"log.level": "info", "log.copy": "info"}
    assert (await demo.get(f"{ENGINE}/configuration?prefix=nothing")).json()["values"] == {}
    explained = (await demo.get(f"{ENGINE}/configuration?explain=true")).json()["provenance"]
    assert explained["log.level"] == {"environment": "global", "service": None}
    assert explained["pool.max"] == {"environment": "demo", "service": None}
    assert explained["risk.max"] == {"environment": "demo", "service": "engine"}


async def test_a_state_that_the_caller_holds_is_not_sent_again(demo: Server) -> None:
    """304 while the content is the same, also at a later revision; each shape has a tag of its own."""
    seen = set()
    for query in ("", "?flat=true", "?prefix=risk", "?explain=true"):
        first = await demo.get(f"{ENGINE}/configuration{query}")
        seen.add(first.headers["ETag"])
        again = await demo.get(f"{ENGINE}/configuration{query}", **{"If-None-Match": first.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
    assert len(seen) == 4
    whole = (await demo.get(f"{ENGINE}/configuration")).headers["ETag"]
    await demo.put("demo/bridge", "unrelated", 1)
    again = await demo.get(f"{ENGINE}/configuration", **{"If-None-Match": whole})
    assert again.status_code == 304
    assert again.headers["X-CoreConfig-Revision"] == "2"
    await demo.put("demo/engine", "risk.max", 2)
    assert (await demo.get(f"{ENGINE}/configuration", **{"If-None-Match": whole})).status_code == 200


async def test_large_answers_are_compressed_where_that_is_accepted(demo: Server) -> None:
    """The content is the same, compressed or not."""
    await demo.put("demo/engine", "large", ["x" * 1_000] * 200)
    small = await demo.get(f"{ENGINE}/configuration", **{"Accept-Encoding": "gzip"})
    plain = await demo.get(f"{ENGINE}/configuration", **{"Accept-Encoding": "identity"})
    refused = await demo.get(f"{ENGINE}/configuration", **{"Accept-Encoding": "gzip;q=0"})
    assert small.headers["Content-Encoding"] == "gzip"
    assert int(small.headers["Content-Length"]) < 5_000
    assert "Content-Encoding" not in plain.headers
    assert "Content-Encoding" not in refused.headers
    assert small.json() == plain.json()


async def test_a_past_revision_is_read_as_it_was(demo: Server) -> None:
    """Whole, in part, one key and its explanation; a revision that never was is not found."""
    then = (await demo.get(f"{ENGINE}/configuration")).json()
    await demo.put("demo/engine", "risk.max", 2)
    assert (await demo.get(f"{ENGINE}/configuration?at=1")).json() == then
    assert (await demo.get(f"{ENGINE}/configuration/risk.max?at=1")).json()["value"] == 1
    assert (await demo.get(f"{ENGINE}/configuration/risk.max?at=2")).json()["value"] == 2
    explained = (await demo.get(f"{ENGINE}/explain/risk.max?at=1")).json()
    assert explained["contributions"][0]["revision"] == 1
    assert (await demo.get(f"{ENGINE}/configuration?at=99")).status_code == 404


async def test_a_read_with_a_minimum_is_never_older(demo: Server) -> None:
    """What was just written is read; what is not there in time is answered with 503 and when to come back."""
    for value in range(20):
        revision = await demo.put("demo/engine", "risk.max", value)
        answer = await demo.get(
            f"{ENGINE}/configuration/risk.max", **{"X-CoreConfig-Min-Revision": str(revision)}
        )
        assert answer.json()["value"] == value
    late = await demo.get(f"{ENGINE}/configuration", **{"X-CoreConfig-Min-Revision": "999"})
    assert late.status_code == 503
    assert late.headers["Retry-After"]


async def test_the_tag_of_a_key_moves_with_the_key_alone(demo: Server) -> None:
    """An unrelated write in between is no conflict for a guarded write, one to the key is."""
    await demo.put("demo/engine", "risk.max", 2)
    read = await demo.get(f"{ENGINE}/configuration/risk.max")
    assert read.headers["ETag"] == f'"{read.json()["etag"]}"' == '"1-2"'
    await demo.put("demo/engine", "other", 1)
    assert (await demo.get(f"{ENGINE}/configuration/risk.max")).headers["ETag"] == '"1-2"'
    guard = {"If-Match": read.headers["ETag"]}
    written = await demo.http.put(f"{ENGINE}/configuration/risk.max", json={"value": 3}, headers=guard)
    assert written.status_code == 200
    again = await demo.http.put(f"{ENGINE}/configuration/risk.max", json={"value": 4}, headers=guard)
    assert again.status_code == 412


async def test_an_absent_key_is_not_found_and_null_is_a_value(demo: Server) -> None:
    """A definite absence has a code of its own."""
    missing = await demo.get(f"{ENGINE}/configuration/risk.nothing")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "key_not_found")
    await demo.put("demo/engine", "risk.nothing", None)
    assert (await demo.get(f"{ENGINE}/configuration/risk.nothing")).json()["value"] is None


async def test_quoted_segments_are_keys_like_others(demo: Server) -> None:
    """Whatever a key may hold can be asked for."""
    await demo.put("demo/engine", 'log.levels."com.acme/risk x"', "debug")
    answer = await demo.get(f"{ENGINE}/configuration/log.levels.%22com.acme%2Frisk%20x%22")
    assert answer.json()["value"] == "debug"


async def test_an_explanation_names_every_layer_strongest_first(demo: Server) -> None:
    """Who said what, at which revision, and which of it is left."""
    await demo.put("demo/engine", "pool.max", 9)
    explained = (await demo.get(f"{ENGINE}/explain/pool.max")).json()
    assert explained["value"] == 9
    shown = [
        (one["environment"], one["service"], one["value"], one["revision"], one["author"], one["effective"])
        for one in explained["contributions"]
    ]
    assert shown == [
        ("demo", "engine", 9, 2, "local", True),
        ("demo", None, 7, 1, "local", False),
        ("global", None, 5, 1, "local", False),
    ]
    edit = put("demo/engine", "pool.max", None) | {"operation": "unset"}
    del edit["value"]
    await demo.edit(edit)
    hidden = (await demo.get(f"{ENGINE}/explain/pool.max")).json()
    assert "value" not in hidden
    assert (hidden["contributions"][0]["operation"], hidden["contributions"][0]["revision"]) == ("UNSET", 3)
    assert (await demo.get(f"{ENGINE}/explain/nothing.at.all")).status_code == 404


async def test_an_explanation_shows_the_chain_of_references(demo: Server) -> None:
    """From the key that refers to the one that has the value."""
    await demo.put("demo/engine", "name", "${config:log.copy}")
    explained = (await demo.get(f"{ENGINE}/explain/name")).json()
    assert explained["value"] == "info"
    assert [(link["key"], link["target"]) for link in explained["references"]] == [
        ("name", "log.copy"),
        ("log.copy", "log.level"),
    ]


async def test_the_history_of_a_key_lists_what_moved_its_value(demo: Server) -> None:
    """Also moves that came from a parent, from above the key, or through a reference; nothing else."""
    await demo.put("global", "log.level", "warn")
    await demo.put("demo/bridge", "unrelated", 1)
    await demo.put("demo/engine", "log", {"level": "debug"})
    await demo.put("demo/engine", "log", {"level": "debug", "extra": 1})
    history = (await demo.get(f"{ENGINE}/history/log.copy")).json()["history"]
    assert [(one["revision"], one.get("old"), one["new"]) for one in history] == [
        (4, "warn", "debug"),
        (2, "info", "warn"),
        (1, None, "info"),
    ]
    assert history[-1]["reason"] == "begin"
    assert "old" not in history[-1]
    page = (await demo.get(f"{ENGINE}/history/log.copy?limit=1")).json()
    assert len(page["history"]) == 1
    rest = (await demo.get(f"{ENGINE}/history/log.copy?before={page['next']}")).json()["history"]
    assert page["history"] + rest == history


async def test_what_does_not_exist_is_not_found_anywhere(demo: Server) -> None:
    """Every read says so in the same words."""
    for path in ("configuration", "configuration/a", "explain/a", "history/a", "history/a?before=1"):
        for place, code in (("nowhere", "unknown_environment"), ("demo/services/x", "unknown_service")):
            answer = await demo.get(f"/v1/environments/{place}/{path}")
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, code), path


async def test_a_service_token_reads_its_own_view_and_nothing_else(demo: Server) -> None:
    """With explanation and history; foreign and missing environments are answered alike."""
    async with (
        with_token(demo, name="root", roles=["admin"]) as root,
        with_token(root, name="engine", service="engine", environments=["demo"]) as engine,
    ):
        for path in ("configuration", "configuration/risk.max", "explain/risk.max", "history/risk.max"):
            assert (await engine.get(f"{ENGINE}/{path}")).status_code == 200
        foreign = await engine.get("/v1/environments/global/configuration")
        missing = await engine.get("/v1/environments/nowhere/configuration")
        assert foreign.status_code == missing.status_code == 404
        assert foreign.text.replace("global", "nowhere") == missing.text
        assert (await engine.get("/v1/environments/demo/services/bridge/configuration")).status_code in (
            403,
            404,
        )
        assert (await engine.get("/v1/fleet")).status_code == 403


async def test_an_explanation_withholds_values_of_foreign_environments(demo: Server) -> None:
    """A service learns that something is overridden, not what, unless it is its own value."""
    async with (
        with_token(demo, name="root", roles=["admin"]) as root,
        with_token(root, name="engine", service="engine", environments=["demo"]) as engine,
    ):
        said = (await engine.get(f"{ENGINE}/explain/pool.max")).json()["contributions"]
        assert [one["value"] for one in said] == [7, "(withheld)"]
        said = (await engine.get(f"{ENGINE}/explain/log.level")).json()["contributions"]
        assert [one["value"] for one in said] == ["info"]


async def test_answers_are_cut_to_the_keys_of_a_token(demo: Server) -> None:
    """What no pattern grants is left out, and its tag does not pass for the whole."""
    async with (
        with_token(demo, name="root", roles=["admin"]) as root,
        with_token(root, name="log", roles=["viewer"], keys=["log"]) as viewer,
    ):
        whole = await root.get(f"{ENGINE}/configuration")
        cut = await viewer.get(f"{ENGINE}/configuration", **{"If-None-Match": whole.headers["ETag"]})
        assert cut.json()["values"] == {"log": {"level": "info", "copy": "info"}}
        assert (await viewer.get(f"{ENGINE}/configuration/log.level")).json()["value"] == "info"
        for path in ("configuration/risk.max", "explain/risk.max", "history/risk.max"):
            assert (await viewer.get(f"{ENGINE}/{path}")).status_code == 403

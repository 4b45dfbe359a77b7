"""The exchange of the stream in one request, and what the fleet shows of streams and polls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.integration.streaming import Server, create

from coreconfig.testing.server import InProcessServer


@pytest.fixture
async def demo(server: InProcessServer) -> AsyncIterator[Server]:
    """One environment with two services."""
    running = Server(server.url)
    async with running.http:
        await running.edit(create("demo", {"log": 1}, {"engine": {"risk": {"max": 1}}, "bridge": {}}))
        yield running


async def test_a_poll_brings_what_the_stream_would(demo: Server) -> None:
    """First everything, then a bookmark while nothing moves, then the difference from what is held."""
    welcome, snapshot = await demo.sync()
    assert (welcome["type"], snapshot["type"]) == ("welcome", "snapshot")
    assert snapshot["values"] == {"log": 1, "risk": {"max": 1}}
    held = snapshot["at"]
    await demo.put("demo/bridge", "unrelated", 1)
    _, bookmark = await demo.sync(hello={"have": held})
    assert bookmark == {"type": "revision", "at": {**held, "revision": 2}}
    await demo.put("demo/engine", "risk.max", 2)
    _, delta = await demo.sync(hello={"have": held})
    assert (delta["type"], delta["from"]) == ("configuration_changed", held)
    assert delta["changes"] == [{"key": "risk.max", "operation": "SET", "value": 2}]


async def test_a_poll_can_ask_for_a_revision(demo: Server) -> None:
    """It waits for it, and says so when it does not come."""
    for value in range(10):
        revision = await demo.put("demo/engine", "risk.max", value)
        _, snapshot = await demo.sync(revision=revision)
        assert snapshot["values"]["risk"] == {"max": value}
    hello = {"environment": "demo", "service": "engine", "instance": "one"}
    late = await demo.http.post("/v1/sync", json={"hello": hello, "revision": 999})
    assert (late.status_code, late.json()["error"]["code"]) == (503, "behind")


async def test_what_was_refused_is_not_sent_again(demo: Server) -> None:
    """Only welcome comes, until the view moves on."""
    _, snapshot = await demo.sync()
    refused = [snapshot["at"]["digest"]]
    assert len(await demo.sync(hello={"refused": refused})) == 1
    await demo.put("demo/engine", "risk.max", 2)
    assert len(await demo.sync(hello={"refused": refused})) == 2


async def test_a_large_poll_is_compressed(demo: Server) -> None:
    """And the same answer serves all who hold the same."""
    await demo.put("demo/engine", "large", ["x" * 1_000] * 500)
    hello = {"environment": "demo", "service": "engine", "instance": "one"}
    answers = [
        await demo.http.post("/v1/sync", json={"hello": {**hello, "instance": name}})
        for name in ("one", "two")
    ]
    assert answers[0].headers["Content-Encoding"] == "gzip"
    assert answers[0].content == answers[1].content


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "not_json"),
        (b"\xff", "not_json"),
        (b"[]", "bad_frame"),
        (b"{}", "bad_frame"),
        (b'{"hello": {"environment": "demo", "service": "engine"}}', "bad_frame"),
        (b'{"hello": {"environment": "demo", "service": "engine", "instance": "A"}}', "bad_id"),
    ],
)
async def test_a_malformed_poll_is_refused(demo: Server, body: bytes, code: str) -> None:
    """With the code of the rule that it breaks."""
    answer = await demo.http.post("/v1/sync", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


async def test_acks_of_polls_count_once_and_only_for_real_pushes(demo: Server) -> None:
    """The fleet shows what a polling instance says it runs and refused; made-up nonces say nothing."""
    _, snapshot = await demo.sync("poller")
    ack = {"nonce": snapshot["nonce"], "at": snapshot["at"], "outcome": "applied"}
    forged = {**ack, "nonce": "1-1-0000000000000000", "outcome": "rejected", "reason": "forged"}
    await demo.sync("poller", hello={"have": snapshot["at"]}, acks=[ack, ack, forged])
    shown = (await demo.fleet())["poller"]
    assert (shown["link"], shown["state"], shown["revision"]) == ("poll", "current", 1)
    assert shown["last_nack"] is None
    await demo.put("demo/engine", "risk.max", -1)
    _, delta = await demo.sync("poller", hello={"have": snapshot["at"]})
    nack = {"nonce": delta["nonce"], "at": snapshot["at"], "outcome": "rejected", "reason": "no"}
    digest = delta["at"]["digest"]
    await demo.sync("poller", hello={"have": snapshot["at"], "refused": [digest]}, acks=[nack])
    shown = (await demo.fleet())["poller"]
    assert (shown["state"], shown["revision"]) == ("rejected", 1)
    assert (shown["last_nack"]["reason"], shown["last_nack"]["digest"]) == ("no", digest)


async def test_the_fleet_shows_who_runs_what(demo: Server) -> None:
    """From behind to current by the ack, with what the instance said of itself."""
    async with demo.stream("one", labels={"region": "eu"}, app_version="2.1.0", cohort="host-7") as stream:
        push = await stream.expect("snapshot")
        shown = (await demo.fleet())["one"]
        assert shown["state"] == "behind"
        assert (shown["labels"], shown["app_version"], shown["cohort"]) == (
            {"region": "eu"},
            "2.1.0",
            "host-7",
        )
        stream.apply(push)
        await stream.ack(push)
        await stream.send("ping")
        await stream.expect("pong")
        shown = (await demo.fleet())["one"]
        assert (shown["state"], shown["revision"], shown["digest"]) == ("current", 1, push["at"]["digest"])
        async with demo.stream("two", "demo/bridge"):
            assert set(await demo.fleet()) == {"one", "two"}
            only = (await demo.get("/v1/fleet?service=bridge&environment=demo")).json()["instances"]
            assert [one["instance"] for one in only] == ["two"]


async def test_who_has_left_is_remembered(demo: Server) -> None:
    """It is no longer among the connected, and its last state can still be looked up."""
    async with demo.stream("one") as stream:
        push = await stream.take("snapshot")
        await stream.send("health", status="degraded", checks={"queue": 7})
        await stream.send("ping")
        await stream.expect("pong")
    gone = await _until_gone(demo, "one")
    assert (gone["state"], gone["digest"], gone["health"]) == ("gone", push["at"]["digest"], "degraded")
    assert gone["left_at"] >= gone["connected_at"]
    assert "one" not in await demo.fleet()
    missing = await demo.get("/v1/fleet/nobody")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "unknown_instance")


async def _until_gone(demo: Server, instance: str) -> Any:
    async with asyncio.timeout(5.0):
        while True:
            answer = await demo.get(f"/v1/fleet/{instance}")
            if answer.status_code == 200 and answer.json()["state"] == "gone":
                return answer.json()
            await asyncio.sleep(0.02)

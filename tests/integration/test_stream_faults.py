"""Clients of the stream that mean no good, or are broken, against a real server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.integration.streaming import Server, create

from coreconfig.server.delivery.socket import MAX_FRAGMENTS
from coreconfig.testing.server import InProcessServer

HELLO = {"type": "hello", "service": "engine", "environment": "demo", "instance": "one"}
AT = {"epoch": 1, "revision": 1, "digest": "0" * 32}


@pytest.fixture
async def demo(server: InProcessServer) -> AsyncIterator[Server]:
    running = Server(server.url)
    async with running.http:
        await running.edit(create("demo", {"a": 1}, {"engine": {"b": 2}}))
        yield running


async def ended(demo: Server, *sent: str | bytes | dict[str, Any]) -> tuple[int, str]:
    """The close code and reason after these frames."""
    async with asyncio.timeout(10.0), demo.socket() as socket:
        for frame in sent:
            await socket.send(json.dumps(frame) if isinstance(frame, dict) else frame)
        await socket.wait_closed()
        return socket.close_code or 0, socket.close_reason or ""


@pytest.mark.parametrize(
    "hello",
    [
        {**HELLO, "have": {**AT, "revision": 2**70}},
        {**HELLO, "have": {**AT, "epoch": -1}},
        {**HELLO, "have": {**AT, "digest": "d" * 500_000}},
        {**HELLO, "have": {**AT, "overlay": "o" * 500_000}},
        {**HELLO, "refused": ["r" * 500_000]},
    ],
    ids=["revision", "epoch", "digest", "overlay", "refused"],
)
async def test_what_a_client_says_that_it_holds_is_bounded(demo: Server, hello: dict[str, Any]) -> None:
    """It is kept for each instance and written into a database."""
    assert await ended(demo, hello) == (1008, "bad_frame")


async def test_a_frame_in_endless_fragments_is_refused(demo: Server) -> None:
    """Empty ones never reach the limit of bytes."""

    async def pieces() -> AsyncIterator[str]:
        yield "{"
        for _ in range(MAX_FRAGMENTS + 10):
            yield ""

    async with asyncio.timeout(10.0), demo.socket() as socket:
        await socket.send(json.dumps(HELLO))
        sending = asyncio.ensure_future(socket.send(pieces()))
        await socket.wait_closed()
        await asyncio.gather(sending, return_exceptions=True)
        # who is still sending when the server hangs up may lose the frame that says why
        told = (socket.close_code, socket.close_reason)
        assert told in {(1009, "too_many_fragments"), (1006, "")}


async def test_a_frame_in_a_few_fragments_is_one_frame(demo: Server) -> None:
    """As the protocol of WebSockets allows."""
    text = json.dumps(HELLO)
    async with demo.socket() as socket:
        await socket.send([text[:5], text[5:20], text[20:]])
        assert json.loads(await socket.recv())["type"] == "welcome"


async def test_a_broken_client_is_no_trouble_for_its_neighbours(demo: Server) -> None:
    """Whatever it sends, the others are served, and what is written about instances goes on."""
    async with demo.stream("good") as stream:
        await stream.take("snapshot")
        deep = '{"type":"health","status":"healthy","checks":{"a":' + "[" * 20_000 + "]" * 20_000 + "}}"
        for sent in ("{nope", "[" * 100_000, b"\x00\xff", "{}", deep, '"' + "x" * 2**20 + '"'):
            code, _ = await ended(demo, HELLO, sent)
            assert code in (1007, 1008, 1009)
        await demo.put("demo", "a", 2)
        await stream.take("configuration_changed")
        assert (await demo.fleet())["good"]["state"] == "current"


async def test_who_says_that_he_is_further_on_than_the_server_is_told_so_at_once(demo: Server) -> None:
    """He would get nothing until the server is newer, and has to know that."""
    async with demo.stream() as stream:
        push = await stream.expect("snapshot")
        push["at"]["revision"] += 100
        await stream.ack(push)
        assert (await stream.expect("error"))["code"] == "behind"


async def test_no_token_is_logged_at_any_level(demo: Server, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever looks for a fault with everything logged passes the log on."""
    caplog.set_level("DEBUG")
    secret = Server(demo.url, token="cc_hush")  # no real one
    async with secret.http, secret.socket() as socket:
        await socket.send(json.dumps(HELLO))
        await socket.recv()
    heard = [record for record in caplog.records if record.name.startswith(("uvicorn", "coreconfig"))]
    assert "cc_hush" not in "".join(record.getMessage() for record in heard)

"""The head of a request is bounded in time and size before anything else is known of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
import uvicorn
from starlette.requests import Request
from starlette.types import Message

from coreconfig.errors import Invalid
from coreconfig.server.web.arriving import MAX_HEAD_BYTES, RequestProtocol
from coreconfig.server.web.bodies import read_body

WITHIN = 5.0
HOST = b"POST / HTTP/1.1\r\nHost: here\r\n"


class Hasty(RequestProtocol):
    """The same with a deadline that a test can wait for."""

    head_within = 0.05


async def hello(scope: object, receive: object, send: object) -> None:
    """Answers at once, whether the body is complete or not."""
    start = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
    await send(start)  # type: ignore[operator]  # ASGI
    await send({"type": "http.response.body", "body": b"hi"})  # type: ignore[operator]  # ASGI


@contextlib.asynccontextmanager
async def served(protocol: type[RequestProtocol]) -> AsyncIterator[int]:
    config = uvicorn.Config(hello, port=0, http=protocol, lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        await server.shutdown()


async def told(port: int, sent: bytes) -> bytes:
    """All that is answered until the server closes the connection; fails if it does not."""
    async with asyncio.timeout(WITHIN):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        answer = b""
        with contextlib.suppress(ConnectionError):
            while part := await reader.read(65536):
                answer += part
        writer.close()
        return answer


@pytest.mark.parametrize(
    "sent", [b"", b"GET", HOST, HOST + b"X: y"], ids=["nothing", "word", "line", "header"]
)
async def test_a_head_that_does_not_come_to_an_end_is_not_waited_for(sent: bytes) -> None:
    """Otherwise a few thousand silent connections would keep everybody else out."""
    async with served(Hasty) as port:
        assert await told(port, sent) == b""


async def test_a_head_without_end_is_refused_as_soon_as_it_is_too_large() -> None:
    """It would be kept in memory until it ends."""
    async with served(RequestProtocol) as port:
        answer = await told(port, HOST + b"X: " + b"y" * (MAX_HEAD_BYTES + 1))
        assert answer.startswith(b"HTTP/1.1 431 ")


async def test_a_request_whose_body_nobody_waits_for_may_not_send_it_for_ever() -> None:
    """The answer is given, and the rest of the body has as long as a head."""
    async with served(Hasty) as port:
        answer = await told(port, HOST + b"Content-Length: 10\r\n\r\n12")
        assert answer.startswith(b"HTTP/1.1 200 ")


async def test_requests_that_end_are_served_one_after_another() -> None:
    """Over one connection, with and without a body."""
    request = HOST + b"Content-Length: 2\r\n\r\nok"
    async with served(Hasty) as port:
        answer = await told(port, request * 3 + b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        assert answer.count(b"HTTP/1.1 200 ") == 4


async def test_a_body_that_does_not_arrive_in_time_is_not_waited_for() -> None:
    """The answer says so; reading it ties up nothing else."""

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError("nothing comes")

    request = Request({"type": "http", "method": "POST", "headers": []}, receive)
    with pytest.raises(Invalid) as caught:
        await read_body(request, within=0.01)
    assert caught.value.code == "body_too_slow"

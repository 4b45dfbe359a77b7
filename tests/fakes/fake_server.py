"""A server that speaks the client's protocol over real sockets and does what a test tells it to."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

import msgspec
import uvicorn

from coreconfig.model.snapshots import digest_of, digest_text
from coreconfig.wire import frames
from coreconfig.wire.frames import At

DEADLINE = 10.0
"""Seconds after which a test that waits for something fails."""


def at_of(values: Mapping[str, Any], revision: int, epoch: int = 1) -> At:
    """The position of these values at a revision."""
    return At(epoch, revision, digest_text(digest_of(values)))


class FakeServer:
    """Serves one view to whoever asks.

    `values` and `revision` are what it holds. A hello is answered with welcome and a snapshot, or a bookmark
    for who holds it already. Everything that clients say is in `heard`. `refusal` answers every request and
    handshake with (status, body, headers); `told` holds what is sent after the welcome in place of the
    snapshot; `streams` can be switched off so that only requests are served.
    """

    def __init__(self, values: dict[str, Any] | None = None, revision: int = 1) -> None:
        self.values = {"risk": {"max": 1}} if values is None else values
        self.revision = revision
        self.epoch = 1
        self.installation = "one"
        self.heard: list[dict[str, Any]] = []
        self.synced: list[dict[str, Any]] = []
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.answers: dict[str, tuple[int, Any]] = {}
        self.refusal: tuple[int, Any, dict[str, str]] | None = None
        self.told: list[Any] | None = None
        self.streams = True
        self.port = 0
        self._sockets: dict[int, Callable[[Any], Any]] = {}
        self._changed = threading.Condition()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    # life

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Listen, on the port of before if there was one."""
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", self.port))
        listening.listen()
        self.port = listening.getsockname()[1]
        config = uvicorn.Config(
            self._application, interface="asgi3", ws="websockets-sansio", lifespan="off", log_config=None
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listening]}, name="fake-server", daemon=True
        )
        self._thread.start()
        self.until(lambda: bool(self._server and self._server.started))
        return self

    def stop(self) -> None:
        """Close every connection with 1012 and stop listening."""
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join(DEADLINE)
        self._server = self._thread = None
        self._sockets.clear()

    # what tests say and see

    @property
    def at(self) -> At:
        """The position of what it holds."""
        return at_of(self.values, self.revision, self.epoch)

    def push(self, frame: Any) -> None:
        """Send a frame, or any text, to all who are connected."""
        message = {"type": "websocket.send", "text": frame if isinstance(frame, str) else _text(frame)}
        self._on_loop(lambda: [send(message) for send in list(self._sockets.values())])

    def hang_up(self, code: int = 1012) -> None:
        """Close every stream."""
        message = {"type": "websocket.close", "code": code, "reason": ""}
        self._on_loop(lambda: [send(message) for send in list(self._sockets.values())])

    def change(self, values: dict[str, Any], changes: list[tuple[str, str, Any]]) -> At:
        """Hold other values at the next revision, and push the way there as a delta; where that is."""
        before = self.at
        self.values, self.revision = values, self.revision + 1
        self.push(self.delta(before, changes))
        return self.at

    def delta(self, before: At, changes: list[tuple[str, str, Any]]) -> frames.ChangedPush:
        """The way from a position to the present one."""
        return frames.ChangedPush(
            nonce=f"n{self.revision}",
            from_=before,
            at=self.at,
            changes=[
                frames.LeafChange(key, "SET", value)
                if operation == "SET"
                else frames.LeafChange(key, "DELETE")
                for key, operation, value in changes
            ],
            timestamp="2026-01-01T00:00:00.000Z",
        )

    def snapshot(self, **replaced: Any) -> frames.SnapshotPush:
        """The whole view."""
        push = frames.SnapshotPush(f"n{self.revision}", self.at, self.values, "2026-01-01T00:00:00.000Z")
        return msgspec.structs.replace(push, **replaced)

    def said(self, kind: str) -> list[dict[str, Any]]:
        """What clients said of one type, over streams."""
        return [frame for frame in list(self.heard) if frame["type"] == kind]

    def await_said(self, kind: str, count: int = 1) -> dict[str, Any]:
        """Wait until clients have said something of this type so often; the last of it."""
        self.until(lambda: len(self.said(kind)) >= count)
        return self.said(kind)[-1]

    def until(self, is_so: Callable[[], bool], within: float = DEADLINE) -> None:
        """Wait until something is so; fails after a deadline."""
        deadline = time.monotonic() + within
        with self._changed:
            while not is_so():
                assert time.monotonic() < deadline, "it did not happen in time"
                self._changed.wait(0.01)

    @property
    def connections(self) -> int:
        """How many streams are open."""
        return len(self._sockets)

    # how it answers

    async def _application(self, scope: Any, receive: Any, send: Any) -> None:
        self._loop = asyncio.get_running_loop()
        if scope["type"] == "websocket":
            await self._stream(receive, send)
        else:
            await self._request(scope, receive, send)

    async def _stream(self, receive: Any, send: Any) -> None:
        await receive()
        if self.refusal or not self.streams:
            status, body, headers = self.refusal or (404, None, {})
            await _deny(send, status, body, headers)
            return
        await send({"type": "websocket.accept", "subprotocol": frames.SUBPROTOCOL})
        tasks: set[asyncio.Task[Any]] = set()

        def soon(message: Any) -> None:
            task = asyncio.ensure_future(send(message))
            tasks.add(task)
            task.add_done_callback(lambda done: (tasks.discard(done), done.exception()))

        me = id(soon)
        self._sockets[me] = soon
        try:
            while (message := await receive())["type"] != "websocket.disconnect":
                frame = json.loads(message["text"])
                self._note(self.heard, frame)
                for answer in self._answers(frame):
                    await send({"type": "websocket.send", "text": answer})
        finally:
            self._sockets.pop(me, None)

    def _answers(self, frame: dict[str, Any]) -> list[str]:
        if frame["type"] == "ping":
            return [_text(frames.Pong())]
        if frame["type"] == "sync":
            return [_text(frames.Bookmark(self.at))]
        if frame["type"] != "hello":
            return []
        told = self.told if self.told is not None else [self._view(frame)]
        return [text if isinstance(text, str) else _text(text) for text in [self._welcome(), *told]]

    def _welcome(self) -> frames.Welcome:
        return frames.Welcome("s", self.epoch, self.revision, "fake", [], self.installation)

    def _view(self, hello: dict[str, Any]) -> Any:
        have = hello.get("have")
        same = have and (have["digest"], have["epoch"]) == (self.at.digest, self.epoch)
        return frames.Bookmark(self.at) if same else self.snapshot()

    async def _request(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        self._note(self.requests, (scope["method"], scope["path"], headers, body))
        if self.refusal:
            await _respond(send, *self.refusal)
        elif scope["path"] == "/v1/sync":
            asked = json.loads(body)
            self._note(self.synced, asked)
            told = [self._welcome(), *(self.told if self.told is not None else [self._view(asked["hello"])])]
            await _respond(send, 200, {"frames": [msgspec.to_builtins(frame) for frame in told]})
        elif scope["path"] in self.answers:
            await _respond(send, *self.answers[scope["path"]])
        else:
            await _respond(send, 404, {"error": {"code": "not_found", "message": "nothing is here"}})

    def _note(self, place: list[Any], what: Any) -> None:
        with self._changed:
            place.append(what)
            self._changed.notify_all()

    def _on_loop(self, work: Callable[[], Any]) -> None:
        assert self._loop is not None, "nobody has connected yet"
        self._loop.call_soon_threadsafe(work)


def _text(frame: Any) -> str:
    return msgspec.json.encode(frame).decode()


async def _respond(send: Any, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
    lines = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})


async def _deny(send: Any, status: int, body: Any, headers: Mapping[str, str]) -> None:
    lines = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "websocket.http.response.start", "status": status, "headers": lines})
    await send({"type": "websocket.http.response.body", "body": json.dumps(body).encode()})

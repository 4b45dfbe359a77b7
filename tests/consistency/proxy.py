"""A proxy that stands between clients and servers and does what networks do to connections, and worse.

It cuts, refuses, delays and half-opens TCP connections, loses the answers of requests that were carried out,
and in WebSockets duplicates, reorders, repeats and garbles messages.
"""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

from tests.consistency.frames import Frame, read_frame, text_frame

_CHUNK = 64 * 1024
_HEAD = 64 * 1024
_REMEMBERED = 40


@dataclass(frozen=True)
class Weather:
    """What happens all the time: chances are per message, times in seconds."""

    refuse: bool = False
    delay: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    repeat: float = 0.0
    """The chance that a message is followed by an old one of the same view, perhaps of another session."""
    garble: float = 0.0
    late: float = 0.3
    """After how long at most a message arrives that comes twice or out of order."""


@dataclass(eq=False)
class Pipe:
    """One connection through the proxy."""

    down: asyncio.StreamWriter
    up: asyncio.StreamWriter
    swallows: bool = False
    is_stream: bool = False
    view: str = ""

    def swallow(self) -> None:
        """Pass nothing on any more."""
        self.swallows = True

    def abort(self) -> None:
        """End both sides without a goodbye."""
        for writer in (self.down, self.up):
            writer.transport.abort()


class Proxy:
    """Listens on a port of its own; every connection goes to one of the `upstreams` that takes it."""

    def __init__(self, *upstreams: int, seed: int = 0) -> None:
        self.port = 0
        self.upstreams = list(upstreams)
        self.weather = Weather()
        self._random = random.Random(seed)
        self._pipes: set[Pipe] = set()
        self._said: dict[str, deque[Frame]] = {}
        self._lose = 0
        self._garble = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    @property
    def url(self) -> str:
        """Where clients go."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    # what a test does to it, from any thread

    def set(self, **members: Any) -> None:
        """Change the weather."""
        self.weather = replace(self.weather, **members)

    def clear(self) -> None:
        """From now on everything is passed on as it is; what is half-open stays so."""
        self.weather = Weather()
        self._lose = self._garble = 0

    def cut(self) -> None:
        """End every connection."""
        self._do(lambda: self._each(Pipe.abort))

    def half_open(self) -> None:
        """Pass nothing on any more over the connections that there are, without ending them."""
        self._do(lambda: self._each(Pipe.swallow))

    def lose_answers(self, count: int = 1) -> None:
        """Cut the next connections on which a request is answered, instead of passing the answer on."""
        self._lose = count

    def garble_next(self, count: int = 1) -> None:
        """Change a value in the next messages that carry some."""
        self._garble = count

    def repeat_first(self, kind: str) -> None:
        """Send the oldest remembered message of this type once more, to every stream of its view."""
        self._do(lambda: self._repeat_first(kind))

    def _each(self, what: Callable[[Pipe], None]) -> None:
        for pipe in list(self._pipes):
            what(pipe)

    def _do(self, work: Callable[[], object]) -> None:
        done = threading.Event()

        def run() -> None:
            try:
                work()
            finally:
                done.set()

        self._loop.call_soon_threadsafe(run)
        assert done.wait(10), "the proxy stands still"

    # connections

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0, limit=_HEAD)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _end(self) -> None:
        self._server.close()
        for pipe in list(self._pipes):
            pipe.abort()
        mine = asyncio.current_task()
        rest = [task for task in asyncio.all_tasks() if task is not mine]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        await asyncio.sleep(0.01)  # aborted transports close their sockets in a turn of their own

    async def _accepted(self, reader: asyncio.StreamReader, down: asyncio.StreamWriter) -> None:
        connected = None if self.weather.refuse else await self._connected()
        if connected is None:
            down.transport.abort()
            return
        above, up = connected
        pipe = Pipe(down, up)
        self._pipes.add(pipe)
        try:
            await self._carry(pipe, reader, above)
        except (OSError, EOFError):
            pass  # one side has gone, so the other goes too
        finally:
            self._pipes.discard(pipe)
            pipe.abort()

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        for port in self._random.sample(self.upstreams, len(self.upstreams)):
            with suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", port, limit=_HEAD)
        return None

    async def _carry(self, pipe: Pipe, below: asyncio.StreamReader, above: asyncio.StreamReader) -> None:
        """Pass everything on until either side ends."""
        head = await _head(below)
        pipe.is_stream = b"upgrade: websocket" in head.lower()
        await self._pass(pipe, pipe.up, _plain(head) if pipe.is_stream else head)
        ways: list[Awaitable[None]] = [self._upwards(pipe, below), self._downwards(pipe, above)]
        tasks = [asyncio.ensure_future(way) for way in ways]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _upwards(self, pipe: Pipe, below: asyncio.StreamReader) -> None:
        if not pipe.is_stream:
            await self._chunks(pipe, below, pipe.up)
            return
        while True:
            frame = await read_frame(below)
            if frame.is_text and not pipe.view:
                hello = frame.said
                pipe.view = f"{hello.get('environment')}/{hello.get('service')}"
            await self._message(pipe, pipe.up, frame)

    async def _downwards(self, pipe: Pipe, above: asyncio.StreamReader) -> None:
        if not pipe.is_stream:
            await self._chunks(pipe, above, pipe.down, answers=True)
            return
        head = await _head(above)
        await self._pass(pipe, pipe.down, head)
        if b" 101 " not in head.split(b"\r\n", 1)[0]:
            await self._chunks(pipe, above, pipe.down)
            return
        while True:
            frame = await read_frame(above)
            if frame.is_text:
                self._said.setdefault(pipe.view, deque(maxlen=_REMEMBERED)).append(frame)
                frame = self._garbled(frame)
            await self._message(pipe, pipe.down, frame)

    async def _chunks(
        self, pipe: Pipe, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool = False
    ) -> None:
        while chunk := await reader.read(_CHUNK):
            if answers and self._lose > 0:
                self._lose -= 1
                pipe.abort()
                return
            await self._pass(pipe, writer, chunk)

    async def _message(self, pipe: Pipe, writer: asyncio.StreamWriter, frame: Frame) -> None:
        weather, chance = self.weather, self._random.random
        if not frame.is_text:
            await self._pass(pipe, writer, frame.raw)
            return
        if chance() < weather.reorder:
            self._later(pipe, writer, frame)
            return
        await self._pass(pipe, writer, frame.raw)
        if chance() < weather.duplicate:
            self._later(pipe, writer, frame)
        if writer is pipe.down and chance() < weather.repeat and self._said.get(pipe.view):
            self._later(pipe, writer, self._random.choice(self._said[pipe.view]))

    async def _pass(self, pipe: Pipe, writer: asyncio.StreamWriter, chunk: bytes) -> None:
        if self.weather.delay:
            await asyncio.sleep(self.weather.delay * self._random.random())
        if not pipe.swallows:
            writer.write(chunk)
            await writer.drain()

    def _later(self, pipe: Pipe, writer: asyncio.StreamWriter, frame: Frame) -> None:
        def arrive() -> None:
            if not pipe.swallows and not writer.is_closing():
                writer.write(frame.raw)

        self._loop.call_later(self.weather.late * self._random.random(), arrive)

    def _repeat_first(self, kind: str) -> None:
        for pipe in self._pipes:
            found = [frame for frame in self._said.get(pipe.view, ()) if frame.said.get("type") == kind]
            if pipe.is_stream and found and not pipe.swallows:
                pipe.down.write(found[0].raw)

    def _garbled(self, frame: Frame) -> Frame:
        if self._garble <= 0 and self._random.random() >= self.weather.garble:
            return frame
        said = frame.said
        if said.get("type") == "configuration_changed":
            changes = [change for change in said["changes"] if change["operation"] == "SET"]
            if not changes:
                return frame
            changes[0]["value"] = "garbled"
        elif said.get("type") == "snapshot" and said["values"]:
            said["values"][next(iter(said["values"]))] = "garbled"
        else:
            return frame
        self._garble -= 1
        return text_frame(json.dumps(said).encode())


async def _head(reader: asyncio.StreamReader) -> bytes:
    """An HTTP head with its empty line."""
    return await reader.readuntil(b"\r\n\r\n")


def _plain(head: bytes) -> bytes:
    """A handshake that asks for no extension, so that messages can be read on the way."""
    lines = head.split(b"\r\n")
    return b"\r\n".join(line for line in lines if not line.lower().startswith(b"sec-websocket-extensions"))

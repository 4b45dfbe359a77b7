"""Something between client and server that does to a connection what networks do."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

Mangle = Callable[[bytes], Sequence[bytes]]
"""What becomes of one text that the server sends: none, one or more texts."""


class Proxy:
    """Listens on a port of its own and passes everything on to the server, unless it is told otherwise.

    `delay` holds up whatever passes, in seconds. `freeze` keeps everything: both sides think that the other
    is there; what is kept goes on with `thaw`. `upgrades` off refuses WebSockets as some proxies do. `mangle`
    decides about each text of a stream on its way to the client. `lose` cuts so many connections of requests
    when the server answers. `drip` sends answers to requests byte by byte, so many seconds apart. `cut` ends
    what is open.
    """

    def __init__(self, port: int) -> None:
        """`port` is the server's, on this host."""
        self.server_port = port
        self.port = 0
        self.delay = 0.0
        self.upgrades = True
        self.mangle: Mangle | None = None
        self.lose = 0
        self.drip = 0.0
        self.connections = 0
        """How many were opened, ever."""
        self._thawed = threading.Event()
        self._thawed.set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._ready = threading.Event()
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10.0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thawed.set()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10.0)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def freeze(self) -> None:
        """Pass nothing on any more, and end nothing."""
        self._thawed.clear()

    def thaw(self) -> None:
        """Pass on what was kept, and everything else."""
        self._thawed.set()

    def cut(self) -> None:
        """End all that is open, without a goodbye."""
        self._loop.call_soon_threadsafe(self._cut)

    def _cut(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._accepted, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        self._cut()
        for task in list(self._tasks):
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))
        self._loop.close()

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = self._loop.create_task(self._passed_on(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _passed_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            with contextlib.suppress(OSError, EOFError):
                await self._exchange(reader, writer)
        finally:
            self._open.discard(writer)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        is_stream = b"upgrade: websocket" in head.lower()
        if is_stream and not self.upgrades:
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        await self._passing()
        there, to_server = await asyncio.open_connection("127.0.0.1", self.server_port)
        self._open.add(to_server)
        try:
            to_server.write(head)
            down = self._texts(there, writer) if is_stream else self._answers(there, writer)
            ways = [asyncio.ensure_future(self._bytes(reader, to_server)), asyncio.ensure_future(down)]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        finally:
            self._open.discard(to_server)
            to_server.close()

    async def _passing(self) -> None:
        """Wait as long as everything has to."""
        if self.delay:
            await asyncio.sleep(self.delay)
        while not self._thawed.is_set():  # noqa: ASYNC110  # set from another thread
            await asyncio.sleep(0.01)

    async def _bytes(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while part := await reader.read(65536):
            await self._passing()
            writer.write(part)
            await writer.drain()

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.read(65536)
        if self.lose:
            self.lose -= 1
            writer.transport.abort()
            return
        await self._passing()
        while self.drip and first:
            writer.write(first[:1])
            first = first[1:]
            await asyncio.sleep(self.drip)
        writer.write(first)
        await self._bytes(reader, writer)

    async def _texts(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The way down of a WebSocket, frame by frame (RFC 6455, 5.2; a server does not mask)."""
        writer.write(await reader.readuntil(b"\r\n\r\n"))
        while True:
            first, length = await reader.readexactly(2)
            if length >= 126:
                length = int.from_bytes(await reader.readexactly(2 if length == 126 else 8), "big")
            payload = await reader.readexactly(length)
            await self._passing()
            is_text = first & 0x0F == 1
            texts = self.mangle(payload) if self.mangle is not None and is_text else [payload]
            for text in texts:
                writer.write(_frame(first, text))
            await writer.drain()


def _frame(first: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        length = bytes([size])
    else:
        length = b"\x7e" + size.to_bytes(2, "big") if size < 65536 else b"\x7f" + size.to_bytes(8, "big")
    return bytes([first]) + length + payload

"""One WebSocket as the loop sees it: sending never waits, and a peer that reads nothing can be dropped.

ASGI's ``send`` is a coroutine that suspends only when the transport's buffer is full. So `Socket.offer` runs
it by hand up to its first suspension: nearly always it is done by then, without a task; otherwise a task
takes over and the socket counts as busy until the transport has taken the message. Nothing else is queued
meanwhile, so a slow reader costs one buffer.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Final

from starlette.types import Message, Scope, Send
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.http11 import Request

_ABORT: Final = "coreconfig.abort"

MAX_CLIENT_FRAME_BYTES: Final = 1024 * 1024
MAX_FRAGMENTS: Final = 1024
"""In so many pieces may a client send one frame."""


class StreamProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol, which also tells the application how to drop a connection at once.

    A graceful close waits until the peer has taken what is buffered, which a stuck peer never does.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # at level DEBUG the library logs the headers of each handshake, and with them tokens
        self.conn.debug = False

    def handle_connect(self, event: Request) -> None:
        """Accept the handshake as always, and offer the abort beside ASGI's own extensions."""
        super().handle_connect(event)
        scope = getattr(self, "scope", None)
        if scope is not None:  # a handshake that was refused has none
            scope["extensions"][_ABORT] = {"abort": self.transport.abort}

    def handle_cont(self, event: Frame) -> None:
        """Join fragments as always, but not without end: empty ones count for no limit of bytes."""
        if len(self.frames) < MAX_FRAGMENTS:
            super().handle_cont(event)
        elif not self.transport.is_closing():
            self.frames = []
            self.conn.send_close(1009, "too_many_fragments")
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()


UVICORN_OPTIONS: Final[dict[str, Any]] = {
    "ws": StreamProtocol,
    "ws_max_size": MAX_CLIENT_FRAME_BYTES,
    "ws_ping_interval": 5.0,
    "ws_ping_timeout": 10.0,
    # one compressor a connection would cost more memory than the whole session
    "ws_per_message_deflate": False,
}
"""How uvicorn has to be configured for the stream: a dead peer is noticed 15 s after its last answer."""


def text_message(text: bytes) -> Message:
    """The ASGI message for a text frame; may be shared by any number of sockets."""
    return {"type": "websocket.send", "text": text.decode()}


class Socket:
    """The sending half of one WebSocket."""

    __slots__ = ("_abort", "_drained", "_send", "_writing", "busy_since", "closed")

    def __init__(self, scope: Scope, send: Send, drained: Callable[[], None]) -> None:
        """`drained` is called when a message that had to wait has left."""
        self._send = send
        self._drained = drained
        self._writing: asyncio.Task[None] | None = None
        self._abort: Callable[[], None] | None = (scope.get("extensions") or {}).get(_ABORT, {}).get("abort")
        self.busy_since: float | None = None
        """Since when (seconds of the loop) a message waits for the transport; None while none does."""
        self.closed = False

    @property
    def busy(self) -> bool:
        """Whether a message waits for the transport; nothing may be offered meanwhile."""
        return self._writing is not None

    def offer(self, message: Message) -> None:
        """Send without waiting. Only while not `busy`."""
        if self.closed:
            return
        sending = self._send(message)
        try:
            waiting_for = sending.send(None)  # type: ignore[attr-defined]  # ASGI's send is a coroutine function everywhere
        except StopIteration:
            return
        except (OSError, RuntimeError):
            # The peer is gone, or the server has closed the socket itself; `receive` says so to the loop.
            self.closed = True
            return
        loop = asyncio.get_running_loop()
        self.busy_since = loop.time()
        self._writing = loop.create_task(_go_on(sending, waiting_for))  # type: ignore[arg-type]  # see above
        self._writing.add_done_callback(self._written)

    def close(self, code: int, reason: str) -> None:
        """Close with a code and a reason; at once and without them when the peer takes nothing any more."""
        if self.busy:
            self.drop()
        elif not self.closed:
            self.offer({"type": "websocket.close", "code": code, "reason": reason})
        self.closed = True

    def drop(self) -> None:
        """Drop the connection together with what it has not taken."""
        self.closed = True
        if self._writing is not None:
            self._writing.cancel()
        if self._abort is not None:
            self._abort()

    def _written(self, writing: asyncio.Task[None]) -> None:
        self._writing = self.busy_since = None
        if writing.cancelled() or isinstance(writing.exception(), (OSError, RuntimeError)):
            self.closed = True
            return
        writing.result()
        self._drained()


@types.coroutine
def _rest(begun: Coroutine[Any, Any, None], waiting_for: Any) -> Generator[Any, Any, None]:
    """What is left of a coroutine that has been run to its first suspension, which yielded `waiting_for`."""
    try:
        while True:
            try:
                answer = yield waiting_for
            except BaseException as error:  # noqa: BLE001  # a cancellation too belongs to the coroutine
                waiting_for = begun.throw(error)
            else:
                waiting_for = begun.send(answer)
    except StopIteration:
        return


async def _go_on(begun: Coroutine[Any, Any, None], waiting_for: Any) -> None:
    await _rest(begun, waiting_for)

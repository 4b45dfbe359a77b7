"""How long and how large the head of a request may be before anything of ours has seen it.

uvicorn bounds neither: whoever opens connections and sends nothing, or a header without an end, would hold
memory and sockets for as long as he likes, without a token.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_WITHIN: Final = 10.0
"""Seconds from the connection, or from the first byte of a later request, to the end of its head."""
MAX_HEAD_BYTES: Final = 64 * 1024

_REFUSAL: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
)


class RequestProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, which ends a connection whose head does not come to an end."""

    head_within = HEAD_WITHIN

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._deadline: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._in_body = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn does
        """The first head is due from here on."""
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Parse, and look whether a head ends in time."""
        if not self._in_body:
            self._head_bytes += len(data)
            if self._deadline is None:
                self._await_head()
        super().data_received(data)
        if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.transport.write(_REFUSAL)
            self.transport.close()

    def on_headers_complete(self) -> None:
        """The head is there."""
        self._in_body, self._head_bytes = True, 0
        self._forget_deadline()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The body is there too; the next byte begins another head."""
        self._in_body = False
        self._forget_deadline()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """What was answered before its body was complete may send the rest, but not for ever."""
        super().on_response_complete()
        if self._in_body and self._deadline is None:
            self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is waited for any more."""
        self._forget_deadline()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        self._deadline = self.loop.call_later(self.head_within, self._give_up)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self.transport.close()

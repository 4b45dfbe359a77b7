"""How bytes reach the server: one WebSocket, and requests. The network libraries load here, on first use."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from coreconfig import __version__
from coreconfig.client.options import Options
from coreconfig.errors import CoreConfigError, Invalid, ProtocolError, Unavailable
from coreconfig.wire.codes import error_from
from coreconfig.wire.frames import SUBPROTOCOL

if TYPE_CHECKING:
    import httpx2
    from websockets.asyncio.client import ClientConnection
    from websockets.http11 import Response

# websockets logs headers, and with them the token, at level DEBUG; this logger never goes down to it
_stream_log = logging.getLogger("coreconfig.client.stream")
_stream_log.setLevel(logging.WARNING)

HEARTBEAT = 5.0
DEAD_AFTER_PING = 8.0
"""Seconds: a ping goes out every 5, and a peer that leaves one unanswered for 8 is dead. With the second that
the close takes it is noticed within 15."""
CLOSE_WITHIN = 1.0
WHOLE_REQUEST = 20.0
"""So many request timeouts may pass between the beginning of a request and the end of its answer."""
MAX_FRAME_BYTES = 64 * 1024 * 1024

SDK = f"coreconfig-python/{__version__}"


class Channel:
    """An open stream: texts in, texts out."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def send(self, text: str) -> None:
        """Send one text frame. Raises `Unavailable` when the stream has ended."""
        from websockets.exceptions import ConnectionClosed

        try:
            await self._socket.send(text)
        except ConnectionClosed:
            raise Unavailable("the stream has ended", code="closed") from None

    def __aiter__(self) -> AsyncIterator[str | bytes]:
        return self._socket.__aiter__()


class Transport:
    """Both ways to one server; used on the link's loop only."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._http: httpx2.AsyncClient | None = None
        self._tls: ssl.SSLContext | None = None

    @asynccontextmanager
    async def stream(self) -> AsyncIterator[Channel]:
        """An open WebSocket. Raises the server's error if it refuses, `Unavailable` if it is not there."""
        from websockets.asyncio.client import connect
        from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
        from websockets.typing import Subprotocol

        url = "ws" + self._options.url.removeprefix("http") + "/v1/stream"
        try:
            async with connect(
                url,
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                additional_headers=self._authorization(),
                user_agent_header=SDK,
                ssl=self._context() if url.startswith("wss") else None,
                proxy=None if self._options.is_loopback else True,
                open_timeout=self._options.request_timeout,
                ping_interval=HEARTBEAT,
                ping_timeout=DEAD_AFTER_PING,
                close_timeout=CLOSE_WITHIN,
                max_size=MAX_FRAME_BYTES,
                logger=_stream_log,
            ) as socket:
                yield Channel(socket)
        except InvalidStatus as refused:
            raise _refusal(refused.response) from None
        except ConnectionClosed as closed:
            frame = closed.rcvd
            why = f"{frame.code} {frame.reason}".rstrip() if frame else "without a goodbye"
            raise Unavailable(
                f"the server at {self._options.url} closed the stream ({why})", code="closed"
            ) from None
        except WebSocketException as error:
            raise ProtocolError(f"what answers at {self._options.url} is no CoreConfig: {error}") from None
        except (OSError, TimeoutError) as error:
            raise self._unreachable(error) from None

    async def post(
        self, path: str, body: bytes, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """The status and the body of the answer to a POST. Raises what the server reports."""
        return await self._request("POST", path, body, headers)

    async def get(self, path: str, headers: Mapping[str, str] | None = None) -> Any:
        """The JSON that a GET is answered with. Raises what the server reports."""
        _, content = await self._request("GET", path, None, headers)
        return _json(content)

    async def close(self) -> None:
        """Let go of idle connections."""
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()

    async def _request(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str] | None
    ) -> tuple[int, bytes]:
        import httpx2

        http = self._client()
        own = {"Content-Type": "application/json"} if body is not None else {}
        try:
            async with asyncio.timeout(WHOLE_REQUEST * self._options.request_timeout):
                answer = await http.request(method, path, content=body, headers={**own, **(headers or {})})
        except (httpx2.TransportError, TimeoutError) as error:
            raise self._unreachable(error) from None
        except httpx2.DecodingError:
            raise ProtocolError("the server's answer cannot be unpacked") from None
        if answer.is_success:
            return answer.status_code, answer.content
        raise error_from(answer.status_code, _json_or_none(answer.content), _seconds(answer.headers))

    def _client(self) -> httpx2.AsyncClient:
        import httpx2

        if self._http is None:
            self._http = httpx2.AsyncClient(
                base_url=self._options.url,
                headers={"User-Agent": SDK, **self._authorization()},
                timeout=self._options.request_timeout,
                verify=self._context() if self._options.url.startswith("https") else True,
                trust_env=not self._options.is_loopback,
            )
        return self._http

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            try:
                self._tls = _tls(self._options)
            except (OSError, ssl.SSLError) as error:
                text = f"ca_file or client_cert cannot be used: {error.strerror or error}"
                raise Invalid(text, code="bad_certificate") from None
        return self._tls

    def _authorization(self) -> dict[str, str]:
        token = self._options.token
        return {"Authorization": f"Bearer {token}"} if token else {}

    def _unreachable(self, error: Exception) -> Unavailable:
        why = str(error) or type(error).__name__
        return Unavailable(f"the server at {self._options.url} cannot be reached: {why}", code="unreachable")


def _tls(options: Options) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=options.ca_file)
    match options.client_cert:
        case None:
            pass
        case (certificate, key):
            context.load_cert_chain(certificate, key)
        case both:
            context.load_cert_chain(both)
    return context


def _refusal(response: Response) -> CoreConfigError:
    body = _json_or_none(bytes(response.body))
    if not isinstance(body, dict) or "error" not in body:
        # somebody between us and the server; a request may fare better
        return ProtocolError(f"the stream was answered with status {response.status_code}", code="no_stream")
    return error_from(response.status_code, body, _seconds(response.headers))


def _seconds(headers: Mapping[str, str]) -> float | None:
    """``Retry-After`` in seconds; the form with a date is not used by our server and means "some time"."""
    text = headers.get("Retry-After", "")
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if 0 <= seconds < 86_400 else None


def _json(content: bytes) -> Any:
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, RecursionError):
        raise ProtocolError("the server's answer is not JSON") from None


def _json_or_none(content: bytes) -> Any:
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, RecursionError):
        return None

"""The gate: no request and no WebSocket gets past it without a caller."""

from __future__ import annotations

from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from coreconfig.errors import CoreConfigError, NotAuthenticated
from coreconfig.server.access.caller import Caller, local_caller, set_caller
from coreconfig.server.identity.keyring import Keyring
from coreconfig.server.identity.open_mode import MODE_HEADER, check_local
from coreconfig.server.metrics import Metrics
from coreconfig.server.web.errors import error_response


class Gate:
    """ASGI middleware: who is asking? `public` paths need no token, but no foreign page gets them."""

    def __init__(self, app: ASGIApp, keyring: Keyring, metrics: Metrics, public: Collection[str]) -> None:
        self.app = app
        self._keyring = keyring
        self._metrics = metrics
        self._public = frozenset(public)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its caller, or answer it here."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        outgoing = _marked_open(send) if self._keyring.is_open else send
        try:
            caller = await self._admitted(scope)
        except CoreConfigError as error:
            self._metrics.refused_logins.inc()
            await _answer(error_response(error), scope, receive, outgoing)
            return
        if caller is not None:
            set_caller(scope, caller)
        await self.app(scope, receive, outgoing)

    async def _admitted(self, scope: Scope) -> Caller | None:
        """The caller; a token that is not known here may have been created at another server just now."""
        try:
            return self._caller(scope)
        except NotAuthenticated as error:
            if error.code != "bad_token":
                raise
            await self._keyring.look_again()
            return self._caller(scope)

    def _caller(self, scope: Scope) -> Caller | None:
        headers = Headers(scope=scope)
        if self._keyring.is_open:
            check_local(headers, scope["client"][0] if scope.get("client") else None)
            return local_caller
        if scope["type"] == "http" and scope["path"] in self._public:
            return None
        return self._keyring.authenticate(_bearer(headers))


def _bearer(headers: Headers) -> str:
    sent = headers.getlist("authorization")
    scheme, _, token = (sent[0] if sent else "").partition(" ")
    if len(sent) != 1 or scheme.lower() != "bearer" or not token.strip():
        raise NotAuthenticated("this needs a token: send one header Authorization: Bearer cc_...")
    return token.strip()


def _marked_open(send: Send) -> Send:
    """Every answer of open mode says so."""

    async def marked(message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.accept", "websocket.http.response.start"):
            MutableHeaders(scope=message)[MODE_HEADER] = "open"
        await send(message)

    return marked


async def _answer(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """A response; to a handshake as a plain HTTP answer, so that the client learns why."""
    if scope["type"] == "websocket":
        await receive()
        if "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1008, "reason": "refused"})
            return
    await response(scope, receive, send)

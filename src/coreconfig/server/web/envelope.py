"""The outermost layer of a request: what is counted, logged, answered in an emergency, and sent always."""

from __future__ import annotations

import secrets
import time

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from coreconfig.errors import CoreConfigError
from coreconfig.server.logs import get_logger
from coreconfig.server.metrics import Metrics
from coreconfig.server.web.errors import METHODS, error_response
from coreconfig.server.web.operations import EXCHANGE

log = get_logger("coreconfig.server.web")

_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Envelope:
    """ASGI middleware: counts and logs requests, adds security headers, makes a bug a 500 with an incident.

    A response that has begun when the bug strikes cannot be taken back; its connection is cut.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; anything but HTTP passes through."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = Exchange(send)
        scope[EXCHANGE] = exchange
        began = time.perf_counter()
        try:
            await self.app(scope, receive, exchange.send)
        except CoreConfigError as error:
            await exchange.rescue(scope, receive, error)
        except Exception as error:  # noqa: BLE001 - the last place where a bug can become an answer
            await exchange.rescue(scope, receive, error)
        finally:
            self._observe(scope, exchange, time.perf_counter() - began)

    def _observe(self, scope: Scope, exchange: Exchange, seconds: float) -> None:
        route = exchange.route
        method = scope["method"] if scope["method"] in METHODS else "(other)"
        self.metrics.requests.labels(route=route, method=method, status=str(exchange.status)).inc()
        self.metrics.request_seconds.labels(route=route).observe(seconds)
        caller = scope.get("coreconfig.caller")
        note = log.debug if method in ("GET", "HEAD") or route == "/v1/sync" else log.info
        note(
            "request",
            method=method,
            route=route,
            status=exchange.status,
            milliseconds=round(seconds * 1000, 1),
            principal=getattr(caller, "principal", None),
        )


class Exchange:
    """One response on its way out; `route` is the template of the operation that makes it."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0
        self.route = "(none)"

    async def send(self, message: Message) -> None:
        """Pass a message on, with the headers that every answer has."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in _ALWAYS.items():
                headers.setdefault(name, value)
        await self._send(message)

    async def rescue(self, scope: Scope, receive: Receive, error: Exception) -> None:
        """Answer with the error if nothing has been sent; a bug is logged under an incident number."""
        if isinstance(error, CoreConfigError) and not self.status:
            await error_response(error)(scope, receive, self.send)
            return
        incident = secrets.token_hex(6)
        log.error("request failed unexpectedly", incident=incident, method=scope["method"], exc_info=error)
        if self.status:
            raise error
        cause = f"the server failed at this request; its log has the cause under incident {incident}"
        told = CoreConfigError(cause, code="internal")
        await error_response(told, status=500, incident=incident)(scope, receive, self.send)

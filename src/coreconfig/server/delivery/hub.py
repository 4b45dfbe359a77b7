"""All connections of this replica: admitted, woken when their view moves, looked after, sent home at the end.

When a row of the log moves a view, all sessions of it are served in one pass without a task or a new encoding
for any of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import secrets
from typing import Final

import msgspec
from starlette.requests import HTTPConnection
from starlette.types import Message, Receive, Scope, Send

from coreconfig.errors import CoreConfigError, Unavailable
from coreconfig.server.access.caller import Caller, caller_of
from coreconfig.server.delivery.admission import Admission
from coreconfig.server.delivery.connection import Connection, Deadlines
from coreconfig.server.delivery.encode import frame_bytes
from coreconfig.server.delivery.exchange import Exchange, utc_now
from coreconfig.server.delivery.keys import ViewKey
from coreconfig.server.delivery.session import Settled
from coreconfig.server.delivery.socket import text_message
from coreconfig.server.delivery.states import LiveView
from coreconfig.server.fleet.instances import (
    NOT_KNOWN,
    Group,
    Instance,
    InstanceKey,
    ServiceHealth,
)
from coreconfig.server.metrics import Metrics
from coreconfig.server.revisions.log import LogRow
from coreconfig.server.revisions.world import World
from coreconfig.wire import frames
from coreconfig.wire.codes import body_of
from coreconfig.wire.frames import At, Hello, ServiceHealthChanged, Welcome

TICK: Final = 1.0
BOOKMARKS_PER_TICK: Final = 1_000
_AT_ONCE: Final = 250
"""After so many connections a pass that can wait lets others have the loop."""
LEAVE_WITHIN: Final = 1.0
POLL_GONE_AFTER: Final = 60.0
"""Seconds after which an instance that polls counts as gone: two polls of 15 s ± half are missing."""


class Hub:
    """Every open connection, by view."""

    def __init__(
        self,
        exchange: Exchange,
        metrics: Metrics,
        *,
        admission: Admission | None = None,
        deadlines: Deadlines | None = None,
    ) -> None:
        self.exchange = exchange
        self.deadlines = deadlines or Deadlines()
        self._metrics = metrics
        self._admission = admission or Admission()
        self._open: dict[str, Connection] = {}
        self._by_view: dict[ViewKey, dict[str, Connection]] = {}
        self._moved: dict[ViewKey, None] = {}
        self._health: dict[Group, ServiceHealth] = {}
        self._pollers: dict[InstanceKey, tuple[Instance, float]] = {}
        self._ticking: asyncio.Task[None] | None = None
        self._leaving = False
        self._empty = asyncio.Event()
        self._pushes = {
            kind: metrics.pushes.labels(kind=kind) for kind in ("snapshot", "delta", "bookmark", "fetch")
        }

    def __len__(self) -> int:
        return len(self._open)

    async def start(self) -> None:
        """Begin to look after connections."""
        await self.exchange.start()
        self._leaving = False
        self._ticking = asyncio.create_task(self._tick_for_ever())

    async def stop(self, retry_after: float = 0.0) -> None:
        """Say goodbye to everybody and take in nobody; waits at most a second for the connections to end."""
        self._leaving = True
        for connection in list(self._open.values()):
            connection.leave(retry_after)
        if self._open:
            self._empty.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), LEAVE_WITHIN)
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.gather(self._ticking, return_exceptions=True)

    def close_token(self, token_id: str) -> None:
        """End every connection that was opened with this token, which is worth nothing from now on."""
        for connection in list(self._open.values()):
            if connection.caller.token == token_id:
                connection.close(1008, "token_revoked", "the token of this connection was revoked")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One WebSocket of the stream, as ASGI hands it over."""
        await receive()
        refused = self._refused()
        if refused is not None:
            self._metrics.refused_sessions.labels(reason=refused.code).inc()
            await _deny(scope, send, refused)
            return
        caller = caller_of(HTTPConnection(scope))
        connection = Connection(self, scope, send, caller, secrets.token_hex(8))
        self._open[connection.id] = connection
        self._metrics.sessions.set(len(self._open))
        try:
            await connection.run(receive)
        finally:
            self._ended(connection)

    # what connections ask for

    async def view_for(self, caller: Caller, hello: Hello) -> LiveView:
        """The view that an instance is to run. Raises `NotFound`, `Invalid`."""
        return await self.exchange.view_for(caller, hello)

    async def caught_up(self, revision: int | None) -> None:
        """Wait until the replica has this revision, or the newest. Raises `Unavailable`."""
        await self.exchange.caught_up(revision)

    async def note_refusal(self, error: CoreConfigError) -> None:
        """Record the refusal of a known caller; other errors are none."""
        await self.exchange.note_refusal(error)

    def joined(self, connection: Connection, view: LiveView, hello: Hello) -> Instance:
        """A connection has said hello: from now on it is woken when its view moves."""
        self._by_view.setdefault(view.key, {})[connection.id] = connection
        self.exchange.views.pin(view)
        instance = self.exchange.instance_of(hello, connection.id, "stream")
        connection.health_told = self._health.get(instance.group, NOT_KNOWN)
        return instance

    def welcome(self, session: str, view: LiveView) -> Welcome:
        """The first frame of a session."""
        return self.exchange.welcome(session, view)

    def settled(self, instance: Instance, settled: Settled) -> None:
        """A push was acknowledged."""
        self.exchange.settled(instance, settled)

    def runs(self, instance: Instance, at: At) -> None:
        """An instance was told that what it runs is right here."""
        self.exchange.runs(instance, at)

    def reported(self, instance: Instance, health: frames.Health) -> None:
        """An instance said how it is."""
        self.exchange.reported(instance, health)

    def count(self, kind: str) -> None:
        """A frame of this kind was sent."""
        self._pushes[kind].inc()

    def began_again(self) -> None:
        """A client could not continue from what it held."""
        self._metrics.resyncs.inc()

    def polled(self, instance: Instance) -> None:
        """An instance without a connection was here."""
        self._pollers[instance.key] = (instance, asyncio.get_running_loop().time())

    # what the log brings

    def advanced(self, before: World, after: World, row: LogRow) -> None:
        """A row of the log was applied: bring the views up to date, and wake who uses one that moved.

        Waking is put off until the rows at hand are all applied, so that a burst of them is one push.
        """
        result = self.exchange.views.advance(before, after, row)
        for view in result.moved:
            self.exchange.aim(view)
        for view in result.gone:
            self._send_away(view.key, 1008, "unknown_environment", f"{view.key} does not exist any more")
        for view in result.failed:
            self._send_away(view.key, 1011, "view_failed", f"the view of {view.key} has to be built anew")
        moved = [view.key for view in result.moved if view.key in self._by_view]
        if moved and not self._moved:
            asyncio.get_running_loop().call_soon(self._wake)
        self._moved.update(dict.fromkeys(moved))

    def _wake(self) -> None:
        moved, self._moved = self._moved, {}
        for key in moved:
            for connection in list(self._by_view.get(key, {}).values()):
                connection.advance()

    def _send_away(self, key: ViewKey, close_code: int, code: str, message: str) -> None:
        for connection in list(self._by_view.get(key, {}).values()):
            connection.close(close_code, code, message, retry=close_code != 1008)

    def _ended(self, connection: Connection) -> None:
        del self._open[connection.id]
        if not self._open:
            self._empty.set()
        self._metrics.sessions.set(len(self._open))
        view = connection.view
        if view is not None:
            members = self._by_view[view.key]
            del members[connection.id]
            if not members:
                del self._by_view[view.key]
            self.exchange.views.unpin(view)
        if connection.instance is not None:
            self.exchange.instances.left(connection.instance, utc_now())

    def _refused(self) -> Unavailable | None:
        if self._leaving:
            return Unavailable("this server is leaving", code="leaving", retry_after=1.0)
        wait = self._admission.wait(asyncio.get_running_loop().time())
        if not wait:
            return None
        return Unavailable("too many arrive at once; come back", code="too_many_arrivals", retry_after=wait)

    # what time brings

    async def _tick_for_ever(self) -> None:
        turn = 0
        while True:
            await asyncio.sleep(TICK)
            turn += 1
            await self._tick(turn)

    async def _tick(self, turn: int) -> None:
        """Deadlines for all, and bookmarks for as many as can be afforded, in turn."""
        now = asyncio.get_running_loop().time()
        slices = math.ceil(len(self._open) / BOOKMARKS_PER_TICK) or 1
        for number, connection in enumerate(list(self._open.values())):
            connection.tick(now, spare=number % slices == turn % slices)
            if number % _AT_ONCE == _AT_ONCE - 1:
                await asyncio.sleep(0)
        for group in self.exchange.instances.take_health_moved():
            self._tell_health(group)
        self._forget_pollers(now)
        self._metrics.views.set(len(self.exchange.views))

    def _tell_health(self, group: Group) -> None:
        health = self._note_health(group)
        made: dict[ServiceHealth, Message] = {}
        for connection in list(self._by_view.get(ViewKey(*group), {}).values()):
            told = connection.health_told
            if health.status == "unknown":
                connection.health_told = health
            elif told != health:
                if told not in made:
                    made[told] = self._health_message(group, told, health)
                if not connection.tell_health(health, made[told]):
                    self.exchange.instances.health_moved(group)

    def _note_health(self, group: Group) -> ServiceHealth:
        health = self.exchange.instances.health_of(group)
        if health.total:
            self._health[group] = health
        else:
            self._health.pop(group, None)
        return health

    def _health_message(self, group: Group, told: ServiceHealth, health: ServiceHealth) -> Message:
        revision = self.exchange.replica.world.revision
        frame = ServiceHealthChanged(
            group[1], told.status, health.status, health.healthy, health.total, revision, utc_now()
        )
        return text_message(frame_bytes(frame))

    def _forget_pollers(self, now: float) -> None:
        for key, (instance, seen) in list(self._pollers.items()):
            if now - seen > POLL_GONE_AFTER:
                del self._pollers[key]
                self.exchange.instances.left(instance, utc_now())


async def _deny(scope: Scope, send: Send, error: Unavailable) -> None:
    """Answer the handshake with HTTP status 503 instead of an upgrade."""
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": 1013, "reason": error.code})
        return
    body = msgspec.json.encode(body_of(error))
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"retry-after", str(math.ceil(error.retry_after or 1.0)).encode()),
    ]
    await send({"type": "websocket.http.response.start", "status": 503, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})

"""One WebSocket of the stream: frames in, frames out, and nothing that waits for the peer.

All rules of the exchange are in `session`; this is the loop around it, and the deadlines.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from starlette.types import Message, Receive, Scope, Send

from coreconfig.errors import CoreConfigError, ProtocolError
from coreconfig.server.access.caller import Caller
from coreconfig.server.delivery import pushes
from coreconfig.server.delivery.decode import check_hello, decode_frame
from coreconfig.server.delivery.encode import error_bytes, frame_bytes
from coreconfig.server.delivery.pushes import Prepared
from coreconfig.server.delivery.session import Session, order
from coreconfig.server.delivery.socket import MAX_CLIENT_FRAME_BYTES, Socket, text_message
from coreconfig.server.delivery.states import LiveView
from coreconfig.server.fleet.instances import NOT_KNOWN, Instance, ServiceHealth
from coreconfig.wire.frames import (
    SUBPROTOCOL,
    Ack,
    Bye,
    ClientFrame,
    Health,
    Hello,
    Ping,
    Pong,
    Sync,
)

if TYPE_CHECKING:
    from coreconfig.server.delivery.hub import Hub

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds until a connection is cut.

    `hello`: nothing was said. `progress`: a frame does not leave, or a push is not answered by a client that
    says nothing else either; one that checks a candidate for longer has to show that it lives. `ack`: a push
    is not answered at all. `closed`: the peer does not answer the close.
    """

    hello: float = 10.0
    progress: float = 10.0
    ack: float = 30.0
    closed: float = 5.0


MAX_HELLOS: Final = 10
"""How often in `HELLOS_WITHIN` seconds a client may begin anew in one connection."""
HELLOS_WITHIN: Final = 60.0
MAX_OWED: Final = 8
"""How many answers are kept for a client that reads nothing."""

BEHIND: Final = error_bytes("behind", "this server does not have the revision that you hold", retry=True)
"""What a client is told that holds something newer than this server knows."""

_PONG: Final = text_message(frame_bytes(Pong()))


class Closing(Exception):
    """This side ends the connection: with which close code, and why."""

    def __init__(self, close_code: int, code: str, message: str, *, retry: bool = False) -> None:
        super().__init__(message)
        self.close_code = close_code
        self.code = code
        self.message = message
        self.retry = retry


class Connection:
    """One socket, from the accepted handshake to its end."""

    def __init__(self, hub: Hub, scope: Scope, send: Send, caller: Caller, session_id: str) -> None:
        self.caller = caller
        self.id = session_id
        self.view: LiveView | None = None
        self.instance: Instance | None = None
        self.health_told = NOT_KNOWN
        self._hub = hub
        self._session: Session | None = None
        self._now: Callable[[], float] = asyncio.get_running_loop().time
        self._opened = self._heard = self._pushed = self._now()
        self._closing_since: float | None = None
        self._hellos: list[float] = []
        self._socket = Socket(scope, send, self._drained)
        self._owed: list[Message] = []
        self._offered_protocol = SUBPROTOCOL in (scope.get("subprotocols") or ())

    async def run(self, receive: Receive) -> None:
        """Take in frames until either side ends it."""
        chosen = SUBPROTOCOL if self._offered_protocol else None
        self._socket.offer({"type": "websocket.accept", "subprotocol": chosen, "headers": []})
        while (message := await receive())["type"] != "websocket.disconnect":
            self._heard = self._now()
            if self._closing_since is not None:
                continue
            try:
                await self._received(message)
            except Closing as closing:
                self.close(closing.close_code, closing.code, closing.message, retry=closing.retry)
        self._socket.closed = True

    def advance(self, *, tick: bool = False) -> None:
        """Send what the session needs next, if anything; bookmarks nobody waits for only at a tick."""
        session, view = self._session, self.view
        if session is None or view is None or self._socket.busy or self._closing_since is not None:
            return
        step = session.step(view.position, view.history)
        if step == "delta" and session.held is not None:
            self._push(session, pushes.delta(view, session.held))
        elif step == "snapshot":
            self._push(session, pushes.snapshot(view))
        elif step == "bookmark" and (tick or session.asked):
            self._bookmark(session, view)
        elif session.asked and step in ("refused", "ahead"):
            self._explain(session, step)

    def tick(self, now: float, *, spare: bool) -> None:
        """Look after the deadlines; and, when there is time to spare, send what could be put off."""
        deadlines = self._hub.deadlines
        if self._closing_since is not None:
            if now - self._closing_since > deadlines.closed:
                self._socket.drop()
        elif self._socket.busy_since is not None:
            if now - self._socket.busy_since > deadlines.progress:
                self._cut("a frame could not be written")
        elif self._session is None:
            if now - self._opened > deadlines.hello:
                self.close(1008, "no_hello", f"no hello came within {deadlines.hello:.0f} s")
        elif self._session.in_flight is not None:
            self._watch_ack(now)
        elif spare:
            self.advance(tick=True)

    def tell_health(self, health: ServiceHealth, message: Message) -> bool:
        """Push how many instances of the service are healthy; whether the socket could take it."""
        if self._socket.busy or self._closing_since is not None:
            return False
        self._socket.offer(message)
        self.health_told = health
        return True

    def close(self, close_code: int, code: str, message: str, *, retry: bool = False) -> None:
        """End the connection: an `error` frame that says why, then the close."""
        if self._closing_since is None:
            self._closing_since = self._now()
            if not self._socket.busy:
                self._socket.offer(text_message(error_bytes(code, message, retry=retry)))
            self._socket.close(close_code, code)

    def leave(self, retry_after: float) -> None:
        """The server is going: say so, and close."""
        if self._closing_since is None:
            self._closing_since = self._now()
            if not self._socket.busy:
                self._socket.offer(text_message(frame_bytes(Bye(retry_after))))
            self._socket.close(1012, "server_leaves")

    # what comes in

    async def _received(self, message: Message) -> None:
        text = message.get("text")
        if not isinstance(text, str):
            raise Closing(1007, "not_json", "frames are JSON texts, this one was binary")
        if len(text) > MAX_CLIENT_FRAME_BYTES:
            raise Closing(1009, "too_large", f"a frame has at most {MAX_CLIENT_FRAME_BYTES} bytes")
        try:
            frame = decode_frame(text)
        except ProtocolError as error:
            raise Closing(1007 if error.code == "not_json" else 1008, error.code, error.message) from error
        if frame is not None:
            await self._take(frame)

    async def _take(self, frame: ClientFrame) -> None:
        if isinstance(frame, Hello):
            await self._hello(frame)
        elif isinstance(frame, Ping):
            self._reply(_PONG)
        elif self._session is None or self.instance is None:
            raise Closing(1008, "no_hello", "the first frame of a session is hello")
        elif isinstance(frame, Ack):
            self._ack(self._session, self.instance, frame)
        elif isinstance(frame, Sync):
            await self._sync(self._session, frame)
        elif isinstance(frame, Health):
            self._hub.reported(self.instance, frame)

    async def _hello(self, hello: Hello) -> None:
        try:
            check_hello(hello)
            if self._session is None:
                await self._begin(hello)
            else:
                self._begin_again(self._session, hello)
        except CoreConfigError as error:
            await self._hub.note_refusal(error)
            raise Closing(1008, error.code, error.message) from error

    async def _begin(self, hello: Hello) -> None:
        view = await self._hub.view_for(self.caller, hello)
        self._session = Session(hello)
        self.view = view
        self.instance = self._hub.joined(self, view, hello)
        self._welcome(view)
        self.advance()

    def _begin_again(self, session: Session, hello: Hello) -> None:
        now = self._now()
        self._hellos = [at for at in self._hellos if now - at < HELLOS_WITHIN] + [now]
        if len(self._hellos) > MAX_HELLOS:
            raise ProtocolError("this client begins anew again and again", code="too_many_hellos")
        if self.instance is None or self.instance.key != (hello.environment, hello.service, hello.instance):
            raise ProtocolError("a session speaks for one instance of one service", code="another_instance")
        session.hello_again(hello)
        self._hub.began_again()
        self.advance()

    def _ack(self, session: Session, instance: Instance, ack: Ack) -> None:
        settled = session.settle(ack)
        if settled is not None:
            self._hub.settled(instance, settled)
            # who says that he is further on than this server is told so at once
            session.asked = session.asked or (
                self.view is not None and order(ack.at) > order(self.view.position)
            )
            self.advance()

    async def _sync(self, session: Session, sync: Sync) -> None:
        try:
            await self._hub.caught_up(sync.revision)
        except CoreConfigError as error:
            self._reply(text_message(error_bytes(error.code, error.message, retry=True)))
            return
        session.asked = True
        self.advance()

    # what goes out

    def _reply(self, message: Message) -> None:
        """Send an answer that the client waits for; while the socket is full it is owed."""
        if not self._socket.busy:
            self._socket.offer(message)
        elif len(self._owed) < MAX_OWED:
            self._owed.append(message)
        else:
            raise Closing(1008, "no_progress", "many answers are asked for and none is read")

    def _drained(self) -> None:
        while self._owed and not self._socket.busy:
            self._socket.offer(self._owed.pop(0))
        self.advance()

    def _welcome(self, view: LiveView) -> None:
        self._socket.offer(text_message(frame_bytes(self._hub.welcome(self.id, view))))

    def _push(self, session: Session, prepared: Prepared) -> None:
        if prepared.push is not None:
            session.pushed(prepared.push)
            self._pushed = self._now()
            self._hub.count(prepared.kind)
            self._socket.offer(prepared.message)

    def _bookmark(self, session: Session, view: LiveView) -> None:
        session.bookmarked(view.position)
        if self.instance is not None:
            self._hub.runs(self.instance, view.position)
        self._hub.count("bookmark")
        self._socket.offer(pushes.bookmark(view).message)

    def _explain(self, session: Session, step: str) -> None:
        session.answered()
        if step == "refused":
            text = error_bytes("refused", "what this instance should run is what it refused")
        else:
            if self.instance is not None:
                self._hub.exchange.ahead(self.instance)
            text = BEHIND
        self._socket.offer(text_message(text))

    def _watch_ack(self, now: float) -> None:
        silent = now - max(self._pushed, self._heard)
        deadlines = self._hub.deadlines
        if silent > deadlines.progress or now - self._pushed > deadlines.ack:
            self._cut("a push was not acknowledged")

    def _cut(self, why: str) -> None:
        _log.warning("%s makes no progress: %s; its session is cut", self.instance and self.instance.key, why)
        self.close(1008, "no_progress", why)

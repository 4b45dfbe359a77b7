"""Carries out what follows from frames: the same for the stream and for ``POST /v1/sync``."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Future
from functools import partial
from typing import TypeVar

import msgspec

from coreconfig.client.aside import aside
from coreconfig.client.clock import Clock
from coreconfig.client.saving import Saver
from coreconfig.client.session import (
    MAX_RESYNCS,
    Confirm,
    Effect,
    Emit,
    FetchWhole,
    Leave,
    Offer,
    Ponged,
    Refused,
    Send,
    Session,
)
from coreconfig.client.signal import Signal
from coreconfig.client.store import Push, Store, Verdict
from coreconfig.client.transport import Transport
from coreconfig.errors import CoreConfigError, ProtocolError, Unavailable
from coreconfig.wire.frames import Ack, At, ClientFrame, Health, Hello, Ping, Sync, SyncRequest

ALIVE_EVERY = 3.0
"""Seconds between signs of life while a check takes its time."""

MAX_JUDGING = 8
"""So many snapshots may be held up by checks that hang; each newer one is checked beside them."""

T = TypeVar("T")
SendFrame = Callable[[ClientFrame], Awaitable[None]]


class Left(Exception):
    """The session ends this conversation."""

    def __init__(self, leave: Leave) -> None:
        super().__init__(leave.reason)
        self.leave = leave


class _Answer(msgspec.Struct):
    """``SyncAnswer`` with the frames left as texts, for the session to read."""

    frames: list[msgspec.Raw]


class _Barrier:
    """A wait for what the server answers after our ping."""

    def __init__(self) -> None:
        self.ponged = False
        self.answered = False


class Exchange:
    """One client's exchange with its server; used on the link's loop only."""

    def __init__(
        self,
        *,
        store: Store,
        session: Session,
        transport: Transport,
        saver: Saver,
        clock: Clock,
        tell: Callable[[Emit], None],
    ) -> None:
        """`tell` is called with each event of the session."""
        self.changed = Signal()
        self.health: Health | None = None
        """What the program last said about itself."""
        self.unserved: CoreConfigError | None = None
        """Why the server has nothing for us; None once it has."""
        self._store = store
        self._session = session
        self._transport = transport
        self._saver = saver
        self._clock = clock
        self._tell = tell
        self._judging: dict[At, Future[Verdict]] = {}
        self._turn = asyncio.Lock()
        self._barriers: list[_Barrier] = []

    async def opened(self, send: SendFrame) -> None:
        """A stream is there: introduce ourselves."""
        self.unserved = None
        async with self._turn:
            await self._carry_out(self._session.opened(), send)

    async def received(self, text: str | bytes, send: SendFrame) -> None:
        """Do what follows from a frame. Raises `Left`, and `CoreConfigError` for a refusal."""
        async with self._turn:
            await self._carry_out(self._session.received(text), send)

    def ended(self) -> None:
        """The stream is gone: nobody answers what was asked over it."""
        self._barriers.clear()
        self.changed.notify()

    async def synchronise(self, revision: int | None = None) -> None:
        """The exchange of the stream by requests: again while there is something to say in return.

        Raises what the server reports, `Unavailable`, `ProtocolError`.
        """
        replies: list[ClientFrame] = []

        async def send(frame: ClientFrame) -> None:
            if not isinstance(frame, Ping):  # nobody waits for a sign of life
                replies.append(frame)

        async with self._turn:
            for _ in range(MAX_RESYNCS + 1):
                hellos = [frame for frame in replies if isinstance(frame, Hello)]
                acks = [frame for frame in replies if isinstance(frame, Ack)]
                replies.clear()
                hello = hellos[-1] if hellos else self._session.hello()
                await self._request(SyncRequest(hello, acks, self.health, revision=revision), send)
                if not replies:
                    return
        raise ProtocolError("beginning anew does not help", code="resync")

    async def ask(self, send: SendFrame, within: float) -> bool:
        """Ask for the newest over the stream and wait for the answer; False when none came in time."""
        barrier = _Barrier()
        self._barriers.append(barrier)
        # what comes after the pong was sent when the question was on its way already
        await send(Ping())
        await send(Sync())
        deadline = self._clock.monotonic() + within
        while not barrier.answered and barrier in self._barriers:
            rest = deadline - self._clock.monotonic()
            if rest <= 0:
                self._barriers.remove(barrier)
                break
            await self.changed.wait(rest)
        return barrier.answered

    async def _request(self, request: SyncRequest, send: SendFrame) -> None:
        content = await self._posted(msgspec.json.encode(request), send)
        try:
            texts = msgspec.json.decode(content, type=_Answer).frames
        except (msgspec.DecodeError, RecursionError):
            raise ProtocolError("the answer to a sync is not what it should be") from None
        try:
            for text in texts:
                await self._carry_out(self._session.received(bytes(text)), send)
            if len(texts) == 1:  # a welcome and nothing else
                await self._carry_out(self._session.unanswered(), send)
        except Left as left:
            raise Unavailable(left.leave.reason, code="left", retry_after=left.leave.retry_after) from None

    async def _posted(self, body: bytes, send: SendFrame) -> bytes:
        """The answer to a sync; with signs of life, since a stream waits for it where the view is large."""
        _, content = await _lively(asyncio.ensure_future(self._transport.post("/v1/sync", body)), send)
        return content

    async def _carry_out(self, effects: Iterable[Effect], send: SendFrame) -> None:
        pending = deque(effects)
        while pending:
            pending.extendleft(reversed(await self._one(pending.popleft(), send)))
        self.changed.notify()

    async def _one(self, effect: Effect, send: SendFrame) -> list[Effect]:
        match effect:
            case Send():
                await send(effect.frame)
            case Offer():
                verdict = await self._offer(effect, send)
                self._offered(effect.push, verdict)
                return self._session.settled(effect.push, verdict)
            case Confirm():
                self._store.confirm(effect.at, effect.installation)
                self.unserved = None
                self._saver.confirmed()
                self._settle_barriers()
            case FetchWhole():
                await self._request(SyncRequest(self._session.hello()), send)
            case Emit():
                self._emit(effect)
            case Ponged():
                for barrier in self._barriers:
                    barrier.ponged = True
            case Refused():
                raise effect.error
            case Leave():
                raise Left(effect)
        return []

    def _emit(self, effect: Emit) -> None:
        self._tell(effect)
        if effect.is_answer:
            self.unserved = effect.error
            self._settle_barriers()

    async def _offer(self, offer: Offer, send: SendFrame) -> Verdict:
        """Offer a push to the store; in a thread where a program's checks run, with signs of life."""
        if not self._store.has_checks:
            return self._store.offer(offer.push, installation=offer.installation)
        return await _lively(asyncio.wrap_future(self._judgement(offer)), send)

    def _judgement(self, offer: Offer) -> Future[Verdict]:
        """What the checks say; of the same push only once, even if its conversation ended meanwhile."""
        self._judging = {at: judging for at, judging in self._judging.items() if not judging.done()}
        at = offer.push.at
        if at not in self._judging:
            if len(self._judging) >= MAX_JUDGING:
                raise Unavailable(f"{MAX_JUDGING} checks do not come to an end", code="checks_hang")
            offering = partial(self._store.offer, offer.push, installation=offer.installation)
            self._judging[at] = aside(offering, "coreconfig-checks")
        return self._judging[at]

    def _offered(self, push: Push, verdict: Verdict) -> None:
        if verdict.outcome == "unfit":
            return
        self.unserved = None
        if self._store.state.at == push.at:
            self._store.refreshed()
            self._saver.save(self._store.state)
        self._settle_barriers()

    def _settle_barriers(self) -> None:
        for barrier in self._barriers:
            barrier.answered = barrier.ponged
        self._barriers = [barrier for barrier in self._barriers if not barrier.answered]


async def _lively(work: asyncio.Future[T], send: SendFrame) -> T:
    """The result of what may take long, with signs of life meanwhile."""
    try:
        while not (await asyncio.wait((work,), timeout=ALIVE_EVERY))[0]:
            await send(Ping())
        return work.result()
    finally:
        work.cancel()  # a thread goes on, and the store judges what comes of it


def failure_of(error: Exception) -> CoreConfigError:
    """Why a conversation ended, as an error."""
    if isinstance(error, Left):
        return Unavailable(error.leave.reason, code="left", retry_after=error.leave.retry_after)
    if isinstance(error, CoreConfigError):
        return error
    raise error

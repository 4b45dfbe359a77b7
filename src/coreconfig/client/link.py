"""The only network loop: a daemon thread with an event loop that keeps the store fresh, for ever.

It connects, feeds frames to the session, carries out what follows, and between connections polls. One
attempt at a time; whatever goes wrong is reported and tried again.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from concurrent.futures import Future
from typing import Any, TypeVar

import msgspec

from coreconfig.client import startup
from coreconfig.client.cache import Cache
from coreconfig.client.clock import Clock, timestamp
from coreconfig.client.events import Event, Events
from coreconfig.client.options import Options
from coreconfig.client.schedule import Schedule
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
from coreconfig.client.state import State
from coreconfig.client.store import Push, Store, Verdict
from coreconfig.client.transport import Channel, Transport
from coreconfig.errors import (
    ConfigValidationError,
    CoreConfigError,
    Denied,
    Invalid,
    NotAuthenticated,
    NotFound,
    ProtocolError,
    Unavailable,
)
from coreconfig.wire.frames import Ack, ClientFrame, Health, Hello, Ping, Subscribe, Sync, SyncRequest

_log = logging.getLogger(__name__)
T = TypeVar("T")

REFUSALS = (NotFound, NotAuthenticated, Denied, Invalid)
"""What a server answers that will not serve this client as it is: trying again soon cannot help."""
ALIVE_EVERY = 3.0
"""Seconds between signs of life while a check takes its time."""
TOUCH_EVERY = 60.0
JOIN_WITHIN = 2.0

SendFrame = Callable[[ClientFrame], Awaitable[None]]


class _Left(Exception):  # not a failure: the way out of a conversation
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


class Link:
    """The thread, its loop, and everything that goes over the network for one client."""

    def __init__(
        self,
        options: Options,
        *,
        store: Store,
        session: Session,
        events: Events,
        cache: Cache | None,
        clock: Clock,
        random: Callable[[], float],
    ) -> None:
        self._options = options
        self._store = store
        self._session = session
        self._events = events
        self._cache = cache
        self._clock = clock
        self._schedule = Schedule(
            stream=options.hot_reload, poll_interval=options.poll_interval, random=random
        )
        self._transport = Transport(options)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._run_loop, name=f"coreconfig-{options.service}", daemon=True
        )
        self._turn = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._channel: Channel | None = None
        self._conversing = False
        self._waiting: set[asyncio.Future[None]] = set()
        self._barriers: list[_Barrier] = []
        self._health: Health | None = None
        self._saving: asyncio.Task[None] | None = None
        self._unsaved: State | None = None
        self._touched = 0.0
        self._stopped = False
        self.connected = False
        self.connections = 0
        self.cached_rejection: Verdict | None = None
        """A check refused the last known good; it matters when the server is not there either."""
        self.failure: CoreConfigError | None = None
        """Why the last attempt came to nothing; None while it works."""
        self.refusal: CoreConfigError | None = None
        """The server is there and refuses this client; None once it serves it."""

    # from any thread

    def start(self) -> None:
        """Begin. The thread ends with `stop` or with the process."""
        self._thread.start()
        self._loop.call_soon_threadsafe(self._begin)

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine on the link's loop."""
        if self._stopped:
            work.close()
            raise Invalid("the client is closed", code="closed")
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def stop(self) -> None:
        """Say goodbye and end the thread; waits at most two seconds."""
        if self._stopped:
            return
        ending = asyncio.run_coroutine_threadsafe(self._end(), self._loop)
        self._stopped = True
        try:
            ending.result(JOIN_WITHIN)
        except TimeoutError:
            _log.warning("the connection did not end within %g s and is dropped", JOIN_WITHIN)
        self._loop.call_soon_threadsafe(self._loop.stop)
        if self._thread is not threading.current_thread():
            self._thread.join(JOIN_WITHIN)

    def patterns_changed(self, patterns: tuple[str, ...]) -> None:
        """Tell the server which patterns are watched."""
        self._session.patterns = patterns
        self._soon(Subscribe(list(patterns)))

    def report_health(self, health: Health) -> None:
        """Tell the server how the program is, now and after each reconnection."""
        self._health = health
        self._soon(health)

    # on the loop

    async def ready(self, place: str) -> None:
        """Wait as `start()` does. Raises what `startup.decide` gives."""
        begun = self._clock.monotonic()
        while True:
            decision = startup.decide(
                startup.Situation(
                    place=place,
                    availability=self._store.availability,
                    elapsed=self._clock.monotonic() - begun,
                    failure=self.failure,
                    refusal=self.refusal,
                    rejection=self._store.rejection or (self.cached_rejection if self.failure else None),
                ),
                start_timeout=self._options.start_timeout,
                required=self._options.required,
            )
            if decision is None:
                return
            if isinstance(decision, CoreConfigError):
                raise decision
            await self._changed(decision)

    async def reload(self) -> None:
        """Wait until what the server has now is read here.

        Raises `Unavailable` when the server cannot be reached, `ConfigValidationError` when a check refuses
        the newest snapshot.
        """
        if self._channel is None or not await self._asked(self._channel):
            await self._synchronise()
        if self._store.rejection is not None:
            text = "the newest snapshot does not pass the checks of this program"
            raise ConfigValidationError(text, issues=self._store.rejection.issues)

    async def reach(self, revision: int, within: float) -> bool:
        """Wait until `revision` is read here, at most `within` seconds; whether it is."""
        deadline = self._clock.monotonic() + within
        try:
            if self._channel is not None:
                await self._channel.send(_text(Sync(revision)))
            else:
                async with asyncio.timeout(within):
                    await self._synchronise(revision)
        except (CoreConfigError, TimeoutError) as error:
            _log.debug("revision %d was not asked for: %s", revision, error)
        while self._store.state.revision < revision and self._store.rejection is None:
            rest = deadline - self._clock.monotonic()
            if rest <= 0:
                return False
            await self._changed(rest)
        return True

    async def post(self, path: str, body: bytes, headers: dict[str, str]) -> bytes:
        """The answer to a POST; once more if the connection broke, which `headers` have to make harmless."""
        try:
            _, content = await self._transport.post(path, body, headers)
        except Unavailable as error:
            if error.code != "unreachable":
                raise
            _, content = await self._transport.post(path, body, headers)
        return content

    async def get(self, path: str, headers: dict[str, str]) -> Any:
        """The JSON that a GET is answered with."""
        return await self._transport.get(path, headers)

    # life

    def _run_loop(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    def _begin(self) -> None:
        self._task = self._loop.create_task(self._attempts())

    async def _end(self) -> None:
        mine = asyncio.current_task()
        others = [task for task in asyncio.all_tasks() if task is not mine and task is not self._saving]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._transport.close()
        if self._saving is not None:
            await self._saving

    async def _attempts(self) -> None:
        while True:
            attempt, due = self._schedule.next()
            await self._clock.sleep(max(0.0, due - self._clock.monotonic()))
            try:
                await (self._connect() if attempt == "connect" else self._poll())
            except Exception:  # noqa: BLE001  # nothing may end this loop but the end of the client
                _log.exception("an attempt to reach the server failed in an unforeseen way")
                self._schedule.disconnected(self._clock.monotonic())

    async def _connect(self) -> None:
        retry_after: float | None = None
        failure: CoreConfigError = Unavailable(
            f"the server at {self._options.url} closed the stream", code="closed"
        )
        try:
            async with self._transport.stream() as channel:
                await self._converse(channel)
        except _Left as left:
            failure, retry_after = Unavailable(left.leave.reason, code="left"), left.leave.retry_after
        except CoreConfigError as error:
            failure, retry_after = error, error.retry_after
        finally:
            self._conversing = False
            self._barriers.clear()
            if self._channel is not None:
                self._channel = None
                self._store.lost()
        self._schedule.disconnected(self._clock.monotonic(), retry_after)
        self._failed(failure)

    async def _converse(self, channel: Channel) -> None:
        async def send(frame: ClientFrame) -> None:
            await channel.send(_text(frame))

        self._conversing = True
        await self._carry_out(self._session.opened(), send)
        async for text in channel:
            async with self._turn:
                await self._carry_out(self._session.received(text), send)
            if self._channel is None and self._session.welcome is not None:
                self._channel = channel
                self._schedule.connected()
                if self._health is not None:
                    await send(self._health)

    async def _poll(self) -> None:
        try:
            await self._synchronise()
        except CoreConfigError as error:
            self._schedule.polled(self._clock.monotonic(), answered=False, retry_after=error.retry_after)
            self._store.lost()
            self._failed(error)
        else:
            self._schedule.polled(self._clock.monotonic(), answered=True)

    # the exchange

    async def _synchronise(self, revision: int | None = None) -> None:
        """The exchange of the stream by requests: again while there is something to say in return."""
        replies: list[ClientFrame] = []

        async def send(frame: ClientFrame) -> None:
            replies.append(frame)

        async with self._turn:
            for _ in range(MAX_RESYNCS + 1):
                hellos = [frame for frame in replies if isinstance(frame, Hello)]
                acks = [frame for frame in replies if isinstance(frame, Ack)]
                replies.clear()
                hello = hellos[-1] if hellos else self._session.hello()
                await self._exchange(SyncRequest(hello, acks, self._health, revision=revision), send)
                if not replies:
                    return
        raise ProtocolError("beginning anew does not help", code="resync")

    async def _exchange(self, request: SyncRequest, send: SendFrame) -> None:
        _, content = await self._transport.post("/v1/sync", msgspec.json.encode(request))
        try:
            texts = msgspec.json.decode(content, type=_Answer).frames
        except (msgspec.DecodeError, RecursionError):
            raise ProtocolError("the answer to a sync is not what it should be") from None
        for text in texts:
            try:
                await self._carry_out(self._session.received(bytes(text)), send)
            except _Left as left:
                raise Unavailable(
                    left.leave.reason, code="left", retry_after=left.leave.retry_after
                ) from None

    async def _asked(self, channel: Channel) -> bool:
        """Ask for the newest over the stream and wait for the answer; False when none came in time."""
        barrier = _Barrier()
        self._barriers.append(barrier)
        try:
            # what comes after the pong was sent after the question was on its way
            await channel.send(_text(Ping()))
            await channel.send(_text(Sync()))
        except CoreConfigError:
            return False
        deadline = self._clock.monotonic() + self._options.request_timeout
        while not barrier.answered and barrier in self._barriers:
            rest = deadline - self._clock.monotonic()
            if rest <= 0:
                self._barriers.remove(barrier)
                break
            await self._changed(rest)
        return barrier.answered

    async def _carry_out(self, effects: Iterable[Effect], send: SendFrame) -> None:
        pending = deque(effects)
        while pending:
            pending.extendleft(reversed(await self._one(pending.popleft(), send)))
        self._notify()

    async def _one(self, effect: Effect, send: SendFrame) -> list[Effect]:
        match effect:
            case Send():
                await send(effect.frame)
            case Offer():
                verdict = await self._offer(effect, send)
                self._answered(verdict)
                return self._session.settled(effect.push, verdict)
            case Confirm():
                self._confirm(effect)
            case FetchWhole():
                await self._exchange(SyncRequest(self._session.hello()), send)
            case Emit():
                self._emit(effect)
            case Ponged():
                for barrier in self._barriers:
                    barrier.ponged = True
            case Refused():
                raise effect.error
            case Leave():
                raise _Left(effect)
        return []

    async def _offer(self, offer: Offer, send: SendFrame) -> Verdict:
        """Offer a push to the store; in a thread where a program's checks run, with signs of life."""
        if not self._store.has_checks:
            return self._store.offer(offer.push, installation=offer.installation)
        judging = asyncio.ensure_future(asyncio.to_thread(self._judge, offer.push, offer.installation))
        while not (await asyncio.wait((judging,), timeout=ALIVE_EVERY))[0]:
            if self._channel is not None:
                await send(Ping())
        return judging.result()

    def _judge(self, push: Push, installation: str) -> Verdict:
        return self._store.offer(push, installation=installation)

    def _answered(self, verdict: Verdict) -> None:
        if verdict.outcome == "unfit":
            return
        if verdict.outcome == "applied":
            self._store.refreshed()
            self._save(self._store.state)
        self._settle_barriers()

    def _confirm(self, confirm: Confirm) -> None:
        moved = confirm.at != self._store.state.at
        self._store.confirm(confirm.at, confirm.installation)
        now = self._clock.monotonic()
        if self._cache is not None and (moved or now - self._touched > TOUCH_EVERY):
            self._touched = now
            self._loop.run_in_executor(None, self._cache.touch)
        self._settle_barriers()

    def _settle_barriers(self) -> None:
        for barrier in self._barriers:
            barrier.answered = barrier.ponged
        self._barriers = [barrier for barrier in self._barriers if not barrier.answered]

    def _save(self, state: State) -> None:
        """Write the newest state to disk, off the loop; while one is written only the newest waits."""
        if self._cache is None:
            return
        self._unsaved = state
        if self._saving is None or self._saving.done():
            self._saving = self._loop.create_task(self._save_all(self._cache))

    async def _save_all(self, cache: Cache) -> None:
        while (state := self._unsaved) is not None:
            self._unsaved = None
            await asyncio.to_thread(cache.save, state)

    # what happened

    def _failed(self, failure: CoreConfigError) -> None:
        self.failure = failure
        self.refusal = failure if isinstance(failure, REFUSALS) else None
        was_connected, self.connected = self.connected, False
        if was_connected:
            self._tell(Event("disconnected", failure.message, self._now(), error=failure))
            _log.warning("disconnected: %s", failure.message)
        elif self.refusal is not None:
            _log.error("the server refuses this client: %s", failure.message)
            self._tell(Event("error", failure.message, self._now(), error=failure))
        else:
            _log.info("not connected: %s", failure.message)
        self._notify()

    def _emit(self, effect: Emit) -> None:
        if effect.name == "connected":
            self._welcomed(effect)
            return
        if effect.name != "service_health_changed":
            _log.warning("%s", effect.message)
        self._tell(Event(effect.name, effect.message, self._now(), effect.details, effect.error))

    def _welcomed(self, effect: Emit) -> None:
        """The server serves us: by the stream, or by requests when that is all we want."""
        self.failure = self.refusal = None
        if not self.connected and (self._conversing or not self._options.hot_reload):
            self.connected = True
            self.connections += 1
            _log.info("%s", effect.message)
            self._tell(Event("connected", effect.message, self._now(), effect.details))

    def _tell(self, event: Event) -> None:
        self._events.emit(event)

    def _now(self) -> str:
        return timestamp(self._clock.now())

    def _soon(self, frame: ClientFrame) -> None:
        """Send a frame over the stream if there is one, from any thread; after a loss hello says it again."""

        async def send() -> None:
            if self._channel is not None:
                try:
                    await self._channel.send(_text(frame))
                except CoreConfigError as error:
                    _log.debug("a frame was not sent: %s", error)

        if not self._stopped and self._thread.is_alive():
            self.submit(send())

    def _notify(self) -> None:
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)
        self._waiting.clear()

    async def _changed(self, within: float) -> None:
        """Wait until something has happened, at most `within` seconds."""
        waiting: asyncio.Future[None] = self._loop.create_future()
        self._waiting.add(waiting)
        await asyncio.wait((waiting,), timeout=within)
        self._waiting.discard(waiting)


def _text(frame: ClientFrame) -> str:
    return msgspec.json.encode(frame).decode()

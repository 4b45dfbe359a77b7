"""The only network loop: a daemon thread with an event loop that keeps the store fresh, for ever.

It connects, hands frames to the exchange, and between connections polls. One attempt at a time; whatever
goes wrong is reported and tried again.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

import msgspec

from coreconfig.client import startup
from coreconfig.client.cache import Cache
from coreconfig.client.clock import Clock, timestamp
from coreconfig.client.events import Event, Events
from coreconfig.client.exchange import Exchange, Left, SendFrame, failure_of
from coreconfig.client.options import Options
from coreconfig.client.saving import Saver
from coreconfig.client.schedule import Attempt, Schedule
from coreconfig.client.session import Emit, Session, few
from coreconfig.client.store import Availability, Store, Verdict
from coreconfig.client.transport import Channel, Transport
from coreconfig.errors import (
    ConfigValidationError,
    CoreConfigError,
    Denied,
    Invalid,
    NotAuthenticated,
    NotFound,
    Unavailable,
)
from coreconfig.wire.frames import ClientFrame, Health, Subscribe, Sync

_log = logging.getLogger(__name__)
T = TypeVar("T")

REFUSALS = (NotFound, NotAuthenticated, Denied, Invalid)
"""What a server answers that will not serve this client as it is: trying again soon cannot help."""
JOIN_WITHIN = 2.0
WELCOME_WITHIN = 2.0
"""After so many request timeouts a stream that was accepted and has brought no welcome is given up."""
PATTERNS_WITHIN = 0.1
"""Seconds within which the server is told of other watches; ten thousand of them cost a few frames."""


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
        patterns: Callable[[], tuple[str, ...]],
    ) -> None:
        """`patterns` gives what is watched, from any thread."""
        self._options = options
        self._patterns = patterns
        self._patterns_due = False
        self._store = store
        self._session = session
        self._events = events
        self._clock = clock
        self._schedule = Schedule(
            stream=options.hot_reload, poll_interval=options.poll_interval, random=random
        )
        self._transport = Transport(options)
        self._saver = Saver(cache, clock)
        self._exchange = Exchange(
            store=store,
            session=session,
            transport=self._transport,
            saver=self._saver,
            clock=clock,
            tell=self._emitted,
        )
        self._loop = asyncio.new_event_loop()
        name = f"coreconfig-{options.service}"
        self._thread = threading.Thread(target=self._run_loop, name=name, daemon=True)
        self._task: asyncio.Task[None] | None = None
        self._calls: set[asyncio.Task[Any]] = set()
        self._channel: Channel | None = None
        self._conversing = False
        self._gate = threading.Lock()
        self._stopped = False
        self.connected = False
        self.connections = 0
        self.cached_rejection: Verdict | None = None
        """A check refused the last known good; it matters when the server is not there either."""
        self.failure: CoreConfigError | None = None
        """Why the last attempt came to nothing; None while it works."""
        self.refusal: CoreConfigError | None = None
        """The server is there and refuses this client; None once it serves it."""

    @property
    def trouble(self) -> CoreConfigError | None:
        """Why what is read is not what the server wants to be read here, as far as is known."""
        return self.failure or self._exchange.unserved

    # from any thread

    def start(self) -> None:
        """Begin. The thread ends with `stop` or with the process."""
        self._thread.start()
        self._loop.call_soon_threadsafe(self._begin)

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine on the link's loop. Raises `Invalid` (``closed``)."""
        with self._gate:
            if not self._stopped:
                return asyncio.run_coroutine_threadsafe(self._counted(work), self._loop)
        work.close()
        raise Invalid("the client is closed", code="closed")

    def stop(self) -> None:
        """Say goodbye and end the thread; waits at most a few seconds."""
        with self._gate:
            if self._stopped:
                return
            # nothing is taken in after this, so nobody waits for what will never run
            self._stopped = True
            ending = asyncio.run_coroutine_threadsafe(self._end(), self._loop)
        try:
            ending.result(JOIN_WITHIN)
        except TimeoutError:
            _log.warning("the connection did not end within %g s and is dropped", JOIN_WITHIN)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(JOIN_WITHIN)

    def patterns_changed(self) -> None:
        """Tell the server soon which patterns are watched."""
        with self._gate:
            if not self._stopped and not self._patterns_due:
                self._patterns_due = True
                self._loop.call_soon_threadsafe(self._loop.call_later, PATTERNS_WITHIN, self._renew_patterns)

    def report_health(self, health: Health) -> None:
        """Tell the server how the program is, now and after each reconnection."""
        self._exchange.health = health
        self._soon(health)

    # on the loop

    async def ready(self, place: str) -> None:
        """Wait as `start()` does. Raises what `startup.decide` gives."""
        begun = self._clock.monotonic()
        while True:
            decision = startup.decide(
                self._situation(place, self._clock.monotonic() - begun),
                start_timeout=self._options.start_timeout,
                required=self._options.required,
            )
            if decision is None:
                return
            if isinstance(decision, CoreConfigError):
                raise decision
            await self._exchange.changed.wait(decision)

    async def reload(self) -> None:
        """Wait until what the server has now is read here.

        Raises `Unavailable` when the server cannot be reached, `ConfigValidationError` when a check refuses
        the newest snapshot.
        """
        channel = self._channel
        is_answered = channel is not None and await self._is_answered(channel)
        if not is_answered:
            await self._exchange.synchronise()
        rejection, unserved = self._store.rejection, self._exchange.unserved
        if rejection is None and unserved is not None:
            raise unserved
        if rejection is not None:
            text = "the newest snapshot does not pass the checks of this program"
            raise ConfigValidationError(text, issues=rejection.issues)

    async def reach(self, revision: int, within: float) -> bool:
        """Wait until `revision` is read here, at most `within` seconds; whether it is."""
        deadline = self._clock.monotonic() + within
        try:
            async with asyncio.timeout(within):
                await self._ask_for(revision)
        except (CoreConfigError, TimeoutError) as error:
            _log.debug("revision %d was not asked for: %s", revision, error)
        while self._store.state.revision < revision and not self._is_refused(revision):
            rest = deadline - self._clock.monotonic()
            if rest <= 0:
                return False
            await self._exchange.changed.wait(rest)
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
        # only what was begun here: tasks inside of libraries end with those who wait for them
        ending = [task for task in (self._task, *self._calls) if task is not None]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        await self._transport.close()
        await self._saver.finish()

    async def _counted(self, work: Coroutine[Any, Any, T]) -> T:
        task = asyncio.current_task()
        if task is not None:
            self._calls.add(task)
            task.add_done_callback(self._calls.discard)
        return await work

    async def _attempts(self) -> None:
        while True:
            attempt, due = self._schedule.next()
            await self._clock.sleep(max(0.0, due - self._clock.monotonic()))
            try:
                await (self._connect() if attempt == "connect" else self._poll())
            except Exception as error:  # noqa: BLE001  # nothing may end this loop but the end of the client
                _log.exception("an attempt to reach the server failed in an unforeseen way")
                failure = CoreConfigError(f"reaching the server failed in an unforeseen way: {error!r}")
                self._came_to_nothing(attempt, failure)

    def _came_to_nothing(self, attempt: Attempt, failure: CoreConfigError) -> None:
        now = self._clock.monotonic()
        if attempt == "connect":
            self._schedule.disconnected(now, failure.retry_after)
        else:
            self._schedule.polled(now, answered=False, retry_after=failure.retry_after)
            self._store.lost()
        self._failed(failure)

    async def _connect(self) -> None:
        failure: CoreConfigError = Unavailable(
            f"the server at {self._options.url} closed the stream", code="closed"
        )
        try:
            async with self._transport.stream() as channel:
                await self._converse(channel)
        except (CoreConfigError, Left) as error:
            failure = failure_of(error)
        finally:
            self._conversing = False
            if self._channel is not None:
                self._channel = None
                self._store.lost()
            self._exchange.ended()
        self._came_to_nothing("connect", failure)

    async def _converse(self, channel: Channel) -> None:
        async def send(frame: ClientFrame) -> None:
            await channel.send(_text(frame))

        self._conversing = True
        try:
            async with asyncio.timeout(WELCOME_WITHIN * self._options.request_timeout) as deadline:
                told = self._session.patterns
                await self._exchange.opened(send)
                async for text in channel:
                    await self._exchange.received(text, send)
                    if self._store.availability is Availability.CURRENT:
                        # a welcome alone is none: who is served nothing comes back later and later
                        self._schedule.connected()
                    if self._channel is None and self._session.welcome is not None:
                        deadline.reschedule(None)
                        await self._joined(channel, told, send)
        except TimeoutError:
            text = f"the server at {self._options.url} accepted a stream and said nothing"
            raise Unavailable(text, code="no_welcome") from None

    async def _joined(self, channel: Channel, told: tuple[str, ...], send: SendFrame) -> None:
        """The server has welcomed us: from now on the stream serves, and it learns what hello did not say."""
        self._channel = channel
        if self._exchange.health is not None:
            await send(self._exchange.health)
        if self._session.patterns != told:
            await send(Subscribe(few(self._session.patterns)))

    async def _poll(self) -> None:
        try:
            await self._exchange.synchronise()
        except CoreConfigError as error:
            self._came_to_nothing("poll", error)
        else:
            self._schedule.polled(self._clock.monotonic(), answered=True)

    async def _is_answered(self, channel: Channel) -> bool:
        async def send(frame: ClientFrame) -> None:
            await channel.send(_text(frame))

        try:
            return await self._exchange.ask(send, self._options.request_timeout)
        except Unavailable:  # the stream ended: ask by a request
            return False

    async def _ask_for(self, revision: int) -> None:
        if self._channel is not None:
            await self._channel.send(_text(Sync(revision)))
        else:
            await self._exchange.synchronise(revision)

    def _is_refused(self, revision: int) -> bool:
        rejection = self._store.rejection
        return rejection is not None and rejection.revision >= revision

    def _situation(self, place: str, elapsed: float) -> startup.Situation:
        return startup.Situation(
            place=place,
            availability=self._store.availability,
            elapsed=elapsed,
            failure=self.failure,
            refusal=self.refusal,
            rejection=self._store.rejection or (self.cached_rejection if self.failure else None),
        )

    # what happened

    def _failed(self, failure: CoreConfigError) -> None:
        first = self.failure is None
        self.failure = failure
        self.refusal = failure if isinstance(failure, REFUSALS) else None
        was_connected, self.connected = self.connected, False
        if was_connected:
            _log.warning("disconnected: %s", failure.message)
            self._tell("disconnected", failure.message, error=failure)
        elif self.refusal is not None:
            _log.error("the server refuses this client: %s", failure.message)
            self._tell("error", failure.message, error=failure)
        else:
            # said once: a program that begins on its cache would else look as if it were up to date
            level = logging.WARNING if first else logging.INFO
            _log.log(level, "not connected, %s: %s", self._holds(), failure.message)
        self._exchange.changed.notify()

    def _holds(self) -> str:
        state = self._store.state
        if state.at is None:
            return "nothing is there to read but defaults"
        return f"reads come from the last known good, revision {state.revision}"

    def _emitted(self, effect: Emit) -> None:
        if effect.name == "connected":
            self._welcomed(effect)
            return
        if effect.name != "service_health_changed":
            _log.warning("%s", effect.message)
        self._tell(effect.name, effect.message, effect.details, effect.error)

    def _welcomed(self, effect: Emit) -> None:
        """The server serves us: by the stream, or by requests when that is all we want."""
        self.failure = self.refusal = None
        if not self.connected and (self._conversing or not self._options.hot_reload):
            self.connected = True
            self.connections += 1
            _log.info("%s", effect.message)
            self._tell("connected", effect.message, effect.details)

    def _tell(
        self,
        name: str,
        message: str,
        details: dict[str, Any] | None = None,
        error: CoreConfigError | None = None,
    ) -> None:
        self._events.emit(Event(name, message, timestamp(self._clock.now()), details or {}, error))

    def _renew_patterns(self) -> None:
        self._patterns_due = False
        self._session.patterns = self._patterns()
        self._soon(Subscribe(few(self._session.patterns)))

    def _soon(self, frame: ClientFrame) -> None:
        """Send a frame over the stream if there is one, from any thread; after a loss hello says it again."""

        async def send() -> None:
            if self._channel is not None:
                try:
                    await self._channel.send(_text(frame))
                except Unavailable as error:
                    _log.debug("a frame was not sent: %s", error)

        if self._thread.is_alive():
            with suppress(Invalid):  # the client is closed: nobody is there to be told
                self.submit(send())


def _text(frame: ClientFrame) -> str:
    return msgspec.json.encode(frame).decode()

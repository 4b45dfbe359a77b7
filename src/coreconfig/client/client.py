"""What both clients are: one store, one link, and everything that neither waits nor awaits."""

from __future__ import annotations

import os
import random as chance
import threading
import time
import weakref
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, Literal, TypeVar, overload

from coreconfig.client import telemetry
from coreconfig.client.cache import Cache
from coreconfig.client.checks import Binding, Hook
from coreconfig.client.clock import Clock
from coreconfig.client.config import Reads, Snapshot
from coreconfig.client.dispatch import Queue
from coreconfig.client.events import EventName, Events, Subscription
from coreconfig.client.health import (
    Diagnostics,
    HealthStatus,
    Tally,
    checked_health,
    sample_retrieval,
    status_of,
)
from coreconfig.client.link import Link
from coreconfig.client.options import (
    DEFAULT_CACHE,
    ClientCertificate,
    build_options,
    new_instance_id,
)
from coreconfig.client.session import Holding, Identity, Session
from coreconfig.client.state import Finish, State
from coreconfig.client.store import Availability, Store
from coreconfig.client.transport import SDK
from coreconfig.client.typed import TypedReads
from coreconfig.client.watch import ChangeCallback, Watch, Watches
from coreconfig.errors import Invalid, Issue
from coreconfig.model.keys import parse_key
from coreconfig.model.trees import get_at
from coreconfig.wire.frames import Health

T = TypeVar("T")
W = TypeVar("W", bound=ChangeCallback)


class Client(Reads):
    """A service's view of its configuration, kept fresh by a link behind it; base of both clients.

    `service_id`, `environment`, `url`, `token` and `app_version` may come from ``CORECONFIG_SERVICE``,
    ``CORECONFIG_ENVIRONMENT``, ``CORECONFIG_URL``, ``CORECONFIG_TOKEN`` and ``CORECONFIG_APP_VERSION``. Times
    are in seconds. Raises `Invalid` with every problem of the arguments.
    """

    # no dict beside the slots: calling `get` is then one look-up less
    __slots__ = (
        "_asleep",
        "_cache",
        "_clock",
        "_closed",
        "_connections_before",
        "_events",
        "_link",
        "_lock",
        "_options",
        "_queue",
        "_random",
        "_session",
        "_store",
        "_tally",
        "_told",
        "_watches",
    )

    def __init__(
        self,
        service_id: str | None = None,
        environment: str | None = None,
        *,
        url: str | None = None,
        token: str | None = None,
        labels: Mapping[str, str] | None = None,
        app_version: str | None = None,
        instance_id: str | None = None,
        cohort: str | None = None,
        redis_url: str | None = None,
        snapshot_key: str | None = None,
        cache_dir: str | os.PathLike[str] | None = DEFAULT_CACHE,
        cache_key: str | None = None,
        defaults: Mapping[str, Any] | str | os.PathLike[str] | None = None,
        env_allow: Sequence[str] = (),
        hot_reload: bool = True,
        poll_interval: float = 15.0,
        request_timeout: float = 5.0,
        start_timeout: float = 10.0,
        required: bool = True,
        ca_file: str | os.PathLike[str] | None = None,
        client_cert: ClientCertificate | None = None,
        clock: Clock | None = None,
        random: Callable[[], float] = chance.random,
    ) -> None:
        given = {
            "service_id": service_id,
            "environment": environment,
            "url": url,
            "token": token,
            "labels": labels,
            "app_version": app_version,
            "instance_id": instance_id,
            "cohort": cohort,
            "redis_url": redis_url,
            "snapshot_key": snapshot_key,
            "cache_dir": cache_dir,
            "cache_key": cache_key,
            "defaults": defaults,
            "env_allow": env_allow,
            "hot_reload": hot_reload,
            "poll_interval": poll_interval,
            "request_timeout": request_timeout,
            "start_timeout": start_timeout,
            "required": required,
            "ca_file": ca_file,
            "client_cert": client_cert,
        }
        self._options = options = build_options(given=given, variables=os.environ)
        self._clock = clock or Clock()
        self._random = random
        self._lock = threading.RLock()
        self._link: Link | None = None
        self._closed = self._asleep = False
        self._tally = Tally()
        self._connections_before = 0
        finish = Finish(os.environ, options.env_allow, options.defaults)
        self._store = Store(finish, self._clock, self._publish)
        super().__init__(self._store.state, f"{options.environment}/{options.service}", TypedReads())
        self._queue = self._new_queue()
        self._watches = Watches(lambda: self._state, self._queue, self._tell_patterns)
        self._events = Events(self._queue)
        self._cache = Cache(options.cache_dir, options) if options.cache_dir is not None else None
        self._told = self._store.state
        self._store.on_swap(self._swapped)
        self._session = self._new_session(options.instance)
        _clients.add(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._place} revision={self.revision} {self.availability}>"

    # what is read, and how fresh it is

    def pinned(self) -> Snapshot:
        """The present revision held still, for a request or a job; ``with`` is optional."""
        return Snapshot(self._current(), self._place, self._typed, owner=self)

    @property
    def availability(self) -> Availability:
        """DEFAULTS, CACHED or CURRENT."""
        return self._store.availability

    @property
    def age(self) -> float:
        """Seconds since the server last confirmed what is read: 0 while it does, infinite if it never did."""
        return self._store.age

    # being told

    @overload
    def watch(self, patterns: str | Iterable[str], callback: ChangeCallback) -> Watch: ...

    @overload
    def watch(self, patterns: str | Iterable[str]) -> Callable[[W], W]: ...

    def watch(
        self, patterns: str | Iterable[str], callback: ChangeCallback | None = None
    ) -> Watch | Callable[[W], W]:
        """Call back with a `Change` for each node that differs and that a pattern matches; also a decorator.

        Raises `Invalid` (``bad_pattern``, ``bad_callback``).
        """
        self._current()
        if callback is not None:
            return self._watches.add(patterns, callback)
        texts = [patterns] if isinstance(patterns, str) else list(patterns)

        def decorate(function: W) -> W:
            self._watches.add(texts, function)
            return function

        return decorate

    def unwatch(self, patterns: str | Iterable[str]) -> int:
        """Cancel all callbacks for these patterns; how many watches had one of them."""
        return self._watches.remove_patterns(patterns)

    def on(self, event: EventName, callback: Callable[[Any], Any]) -> Subscription:
        """Call back with each event of this name. Raises `Invalid` (``unknown_event``, ``bad_callback``)."""
        self._current()
        return self._events.subscribe(event, callback)

    # deciding what may be applied

    def check(self, callback: Callable[[Snapshot], Any]) -> Subscription:
        """Have each candidate pass this function before it is read: what it raises refuses the candidate."""
        if not callable(callback):
            raise Invalid(f"{type(callback).__name__} cannot be called", code="bad_callback")
        hook = Hook(callback, self._place, self._typed)
        self._store.add_check(hook, against_current=False)
        return Subscription(callback, lambda _: self._store.remove_check(hook))

    @overload
    def bind(self, key: str, kind: type[T]) -> Binding[T]: ...

    @overload
    def bind(self, key: str, kind: Any) -> Binding[Any]: ...

    def bind(self, key: str, kind: Any) -> Binding[Any]:
        """A live object whose ``.value`` is always the last valid instance of `kind`.

        Raises `ConfigValidationError` when what is read now cannot be converted.
        """
        self._current()
        binding: Binding[Any] = Binding(key, kind, self._typed, self._place)
        self._store.add_check(binding, against_current=True)
        return binding

    # how it is

    def health_check(self) -> HealthStatus:
        """How this client is, from what it knows: asks nobody and never raises."""
        link = self._link
        problems = tuple(self._problems(link))
        return HealthStatus(
            status=status_of(self.availability, problems, required=self._options.required),
            availability=self.availability,
            revision=self.revision,
            age=self.age,
            connected=link is not None and link.connected,
            problems=problems,
        )

    def get_diagnostics(self) -> Diagnostics:
        """All that `health_check` says, counts, and what went wrong last."""
        state, link, last = self._store.state, self._link, self._events.last_error
        connections = self._connections_before + (link.connections if link else 0)
        return Diagnostics(
            health=self.health_check(),
            service=self._options.service,
            environment=self._options.environment,
            instance=self._session.identity.instance,
            url=self._options.url,
            source=state.source,
            epoch=state.at.epoch if state.at else 0,
            digest=state.at.digest if state.at else "",
            hits=self._tally.hits(self._hits),
            misses=self._misses,
            fallbacks=self._tally.fallbacks(self._hits),
            defaults_used=self._defaulted,
            applied=self._store.counts.applied,
            rejected=self._store.counts.rejected,
            reconnects=max(0, connections - 1),
            callback_failures=self._queue.failures.count,
            watches=self._watches.patterns,
            last_error=f"{last.timestamp} {last.message}" if last else None,
            retrieval_seconds=sample_retrieval(state, Snapshot(state, self._place, self._typed)),
        )

    def report_health(
        self, status: Literal["healthy", "degraded", "unhealthy"], checks: Mapping[str, Any] | None = None
    ) -> None:
        """Tell the server how this program is; said again after each reconnection. Never waits.

        `checks` are JSON values of at most 16 KiB. Raises `Invalid`.
        """
        if status not in ("healthy", "degraded", "unhealthy"):
            raise Invalid(f"{status!r} is no health: say healthy, degraded or unhealthy", code="bad_option")
        self._ready_link().report_health(Health(status, checked_health(checks or {})))

    # inside

    def _new_queue(self) -> Queue:
        raise NotImplementedError

    def _current(self) -> State:
        if self._asleep:
            self._awaken()
        return self._state

    def _publish(self, state: State, availability: Availability) -> None:
        """The store has another state or another word for it: read from it, and count reads for it."""
        self._tally.settle(self._hits, state, availability)
        self._adopt(state)

    def _swapped(self, state: State) -> None:
        before, self._told = self._told, state
        self._typed.drop_stale(self._node_at)
        self._events.swapped(before, state)
        self._watches.wake()

    def _node_at(self, key: str) -> Any:
        return get_at(self._store.state.tree, parse_key(key))

    def _tell_patterns(self) -> None:
        link = self._link
        if link is not None:
            link.patterns_changed()

    def _problems(self, link: Link | None) -> Iterable[Issue]:
        yield from self._store.state.issues
        rejection = self._store.rejection
        if rejection is not None:
            yield from rejection.issues
        if self._cache is not None and self._cache.problem is not None:
            yield self._cache.problem
        if link is not None and link.trouble is not None:
            yield Issue(link.trouble.code, link.trouble.message, "MEDIUM")

    def _holding(self) -> Holding:
        state = self._store.state
        return Holding(state.at, state.installation)

    def _new_session(self, instance: str) -> Session:
        options = self._options
        identity = Identity(
            service=options.service,
            environment=options.environment,
            instance=instance,
            cohort=options.cohort,
            labels=dict(options.labels),
            app_version=options.app_version,
            sdk=SDK,
        )
        session = Session(identity, self._holding)
        session.patterns = self._watches.patterns
        return session

    def _new_link(self) -> Link:
        return Link(
            self._options,
            store=self._store,
            session=self._session,
            events=self._events,
            cache=self._cache,
            clock=self._clock,
            random=self._random,
            patterns=lambda: self._watches.patterns,
        )

    def _ready_link(self) -> Link:
        """The running link; begins it where `start` was not called. Raises `Invalid` (``closed``)."""
        self._current()
        with self._lock:
            if self._closed:
                raise Invalid(f"this client of {self._place} is closed", code="closed")
            if self._link is None:
                self._begin_anew()
                link = self._new_link()
                if self._store.state.at is None:
                    self._load_cache(link)
                link.start()
                self._link = link
                telemetry.observe(self)
            return self._link

    def _begin_anew(self) -> None:
        """What an earlier run refused may pass now, and watches were added and cancelled meanwhile."""
        self._store.rejection = None
        self._session.forget_refusals()
        self._session.patterns = self._watches.patterns

    def _load_cache(self, link: Link) -> None:
        """Begin with the last known good, if it passes the checks."""
        kept = self._cache.load() if self._cache is not None else None
        if kept is None:
            return
        held = self._store.state
        candidate = self._store.candidate_from(
            held,
            kept.at,
            kept.values,
            source="file",
            secrets=kept.secrets,
            timestamp=kept.timestamp,
            installation=kept.installation,
        )
        verdict = self._store.activate(candidate, held)
        if verdict is not None and verdict.outcome == "applied":
            self._store.cached_since(time.time() - kept.confirmed_at)
        else:
            link.cached_rejection, self._store.rejection = verdict, None

    def _submit(self, work: Callable[[Link], Coroutine[Any, Any, T]]) -> Future[T]:
        link = self._ready_link()
        return link.submit(work(link))

    def _halt(self) -> None:
        """End the link, so that the client may be started again."""
        with self._lock:
            link, self._link = self._link, None
        if link is not None:
            link.stop()
            self._connections_before += link.connections
            self._store.lost()

    def _shut(self) -> None:
        """Everything that `close` does; may be called again."""
        with self._lock:
            self._closed = True
            self._asleep = False
        self._halt()
        self._queue.close()
        telemetry.forget(self)
        _clients.discard(self)

    # fork

    def _forked(self) -> None:
        """In a forked child: there is no link thread. The next read, watch or call makes another one."""
        self._lock = threading.RLock()
        self._store.after_fork()
        self._typed = TypedReads()
        self._queue = self._new_queue()
        self._watches.after_fork(self._queue)
        self._events.after_fork(self._queue)
        self._session = self._new_session(new_instance_id(self._options.instance))
        was_running, self._link = self._link is not None, None
        if was_running and not self._closed:
            # an empty memo makes each read take the detour on which the link is begun again
            self._store.state = replace(self._store.state, source="memory", instances={})
            self._told = self._state = self._store.state
            self._flat = {}
            self._asleep = True

    def _awaken(self) -> None:
        with self._lock:
            if not self._asleep:
                return
            self._asleep = False
            self._tally.settle(self._hits, self._store.state, self._store.availability)
            self._adopt(self._store.state)
        self._ready_link()


_clients: weakref.WeakSet[Client] = weakref.WeakSet()


def _in_forked_child() -> None:
    for client in list(_clients):
        client._forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_forked_child)

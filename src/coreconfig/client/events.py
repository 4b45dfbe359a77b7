"""Being told what happens to the client itself: subscriptions by the name of an event."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal, get_args

from coreconfig.client.dispatch import Queue
from coreconfig.client.state import State, moves
from coreconfig.client.watch import Change, Move, change_of
from coreconfig.errors import CoreConfigError, Invalid
from coreconfig.model.trees import plain

EventName = Literal[
    "connected",
    "disconnected",
    "configuration_changed",
    "credential_rotated",
    "service_health_changed",
    "unknown_message",
    "error",
]
NAMES = frozenset(get_args(EventName))


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: `details` are the members of the server's frame, where there was one."""

    name: str
    message: str
    timestamp: str
    details: Mapping[str, Any] = field(default_factory=dict)
    error: CoreConfigError | None = None


@dataclass(frozen=True, slots=True)
class ConfigurationChanged:
    """Another snapshot is read now. `changes` are the fewest nodes that differ, `affected_keys` name them."""

    changes: tuple[Change, ...]
    revision: int
    timestamp: str
    name: str = "configuration_changed"

    @property
    def affected_keys(self) -> tuple[str, ...]:
        """The keys of the changes."""
        return tuple(change.key for change in self.changes)


EventCallback = Callable[[Any], Any]


class Subscription:
    """One callback for one event, until it is cancelled."""

    def __init__(self, callback: EventCallback, cancel: Callable[[Subscription], None]) -> None:
        self.active = True
        self._callback = callback
        self._cancel = cancel

    def cancel(self) -> None:
        """Never call back again."""
        self.active = False
        self._cancel(self)

    def call(self, payload: Any) -> Any:
        """Call back, unless cancelled meanwhile."""
        return self._callback(payload) if self.active else None


def _tell_changes(subscription: Subscription, moved: list[Move], after: State) -> Any:
    # made for each subscriber and when it is its turn: values that are handed out are its own
    changes = tuple(change_of(move, after) for move in moved)
    return subscription.call(ConfigurationChanged(changes, after.revision, after.timestamp))


class Events:
    """All subscriptions of one client."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._lock = threading.Lock()
        self._subscriptions: dict[str, tuple[Subscription, ...]] = {}
        self.last_error: Event | None = None

    def subscribe(self, name: str, callback: EventCallback) -> Subscription:
        """Call back with each event of this name. Raises `Invalid` (``unknown_event``, ``bad_callback``)."""
        if name not in NAMES:
            raise Invalid(
                f"there is no event {name!r}; there are {', '.join(sorted(NAMES))}", code="unknown_event"
            )
        self._queue.accept(callback)

        def remove(gone: Subscription) -> None:
            with self._lock:
                kept = (other for other in self._subscriptions.get(name, ()) if other is not gone)
                self._subscriptions[name] = tuple(kept)

        subscription = Subscription(callback, remove)
        with self._lock:
            self._subscriptions[name] = (*self._subscriptions.get(name, ()), subscription)
        return subscription

    def emit(self, event: Event) -> None:
        """Tell the subscribers, soon and elsewhere; the last error is kept for diagnostics."""
        if event.name == "error":
            self.last_error = event
        for subscription in self._subscriptions.get(event.name, ()):
            own = replace(event, details=plain(event.details))
            self._queue.put(partial(subscription.call, own))

    def swapped(self, before: State, after: State) -> None:
        """Another state is read: tell it as one event, unless it is the first snapshot or nothing differs."""
        subscriptions = self._subscriptions.get("configuration_changed", ())
        if not subscriptions or before.at is None:
            return
        moved = moves(before, after)
        if moved:
            for subscription in subscriptions:
                self._queue.put(partial(_tell_changes, subscription, moved, after))

    def after_fork(self, queue: Queue) -> None:
        """In a forked child: nobody holds the lock here, and the old queue has no thread."""
        self._lock = threading.Lock()
        self._queue = queue

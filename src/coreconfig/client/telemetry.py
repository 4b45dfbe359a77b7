"""The client's counts as OpenTelemetry instruments, where the program has OpenTelemetry.

All instruments are observed when the program's exporter asks, never written in a read.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Observation

    from coreconfig.client.health import Diagnostics

_log = logging.getLogger(__name__)


class Observed(Protocol):
    """What a client offers to look at."""

    def get_diagnostics(self) -> Diagnostics:
        """Its counts."""
        ...


Point = tuple[float, dict[str, str]]
_clients: weakref.WeakSet[Any] = weakref.WeakSet()
_ready: list[bool] = []


def observe(client: Observed) -> None:
    """Let the counts of this client be seen until it is gone; nothing happens without OpenTelemetry."""
    _clients.add(client)
    if _ready:
        return
    _ready.append(True)
    try:
        from opentelemetry.metrics import get_meter
    except ImportError:
        return
    meter = get_meter("coreconfig")
    for name, points, text in _COUNTERS:
        meter.create_observable_counter(name, [_callback(points)], description=text)
    for name, points, text in _GAUGES:
        meter.create_observable_gauge(name, [_callback(points)], unit="s", description=text)


def forget(client: Observed) -> None:
    """A closed client is not observed any more."""
    _clients.discard(client)


def _callback(
    points: Callable[[Diagnostics], Iterable[Point]],
) -> Callable[[CallbackOptions], Iterable[Observation]]:
    from opentelemetry.metrics import Observation

    def look(options: CallbackOptions) -> Iterable[Observation]:
        for client in list(_clients):
            seen = client.get_diagnostics()
            whose = {"service": seen.service, "environment": seen.environment}
            for value, attributes in points(seen):
                yield Observation(value, {**whose, **attributes})

    return look


def _staleness(seen: Diagnostics) -> Iterable[Point]:
    return [(seen.health.age, {})] if seen.health.age != float("inf") else []


def _retrieval(seen: Diagnostics) -> Iterable[Point]:
    return [] if seen.retrieval_seconds is None else [(seen.retrieval_seconds, {})]


_Points = Callable[["Diagnostics"], Iterable[Point]]
_COUNTERS: tuple[tuple[str, _Points, str], ...] = (
    (
        "config.cache.hit",
        lambda seen: [(n, {"layer": layer}) for layer, n in seen.hits.items()],
        "Reads answered by a snapshot, by the layer it came from",
    ),
    ("config.cache.miss", lambda seen: [(seen.misses, {})], "Reads of keys that definitely are not there"),
    (
        "config.cache.fallback",
        lambda seen: [(seen.fallbacks, {})],
        "Reads while the server confirmed nothing",
    ),
    (
        "config.default_used",
        lambda seen: [(seen.defaults_used, {})],
        "Reads answered by the caller's default",
    ),
    ("config.update.applied", lambda seen: [(seen.applied, {})], "Snapshots that were applied"),
    ("config.update.rejected", lambda seen: [(seen.rejected, {})], "Snapshots that a check refused"),
)
_GAUGES: tuple[tuple[str, _Points, str], ...] = (
    ("config.staleness", _staleness, "Since the server last confirmed what is read"),
    ("config.retrieval.duration", _retrieval, "What one read takes, sampled"),
)

"""How a client is: what it counts, and what it says when asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Literal

import msgspec

from coreconfig.client.json_values import as_json
from coreconfig.client.state import State
from coreconfig.client.store import Availability
from coreconfig.errors import Invalid, Issue
from coreconfig.model.values import check_value

Status = Literal["healthy", "degraded", "unhealthy"]


@dataclass(frozen=True, slots=True)
class HealthStatus:
    """One look at a client. `age` is in seconds since the server last confirmed what is read."""

    status: Status
    availability: Availability
    revision: int
    age: float
    connected: bool
    problems: tuple[Issue, ...] = ()


@dataclass(frozen=True, slots=True)
class Diagnostics:
    """Everything that helps to find out why a client reads what it reads."""

    health: HealthStatus
    service: str
    environment: str
    instance: str
    url: str
    source: str
    epoch: int
    digest: str
    hits: Mapping[str, int]
    """Reads answered by a snapshot, by the layer that it came from."""
    misses: int
    """Reads of keys that definitely are not there."""
    fallbacks: int
    """Reads while the server did not confirm what was read."""
    defaults_used: int
    applied: int
    rejected: int
    reconnects: int
    callback_failures: int
    watches: tuple[str, ...] = ()
    contracts: tuple[str, ...] = ()
    last_error: str | None = None
    retrieval_seconds: float | None = None
    """How long one read takes, measured now."""
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def status(self) -> Status:
        """That of `health`."""
        return self.health.status


class Tally:
    """Reads by layer, settled only when the layer changes, so that a read costs one increment."""

    def __init__(self) -> None:
        self._settled = 0
        self._stale = False
        self._layer = "defaults"
        self._hits: Counter[str] = Counter()
        self._fallbacks = 0

    def settle(self, hits: int, state: State, availability: Availability) -> None:
        """Count what was read so far for the layer so far; from now on for that of `state`."""
        self._count(hits)
        self._layer = state.source
        self._stale = availability is not Availability.CURRENT

    def hits(self, hits: int) -> dict[str, int]:
        """Reads by layer, when `hits` is their sum."""
        self._count(hits)
        return {layer: count for layer, count in self._hits.items() if count}

    def fallbacks(self, hits: int) -> int:
        """Reads while nobody confirmed what was read."""
        self._count(hits)
        return self._fallbacks

    def _count(self, hits: int) -> None:
        # two threads that settle at once may count a few reads for the wrong layer, none twice
        since, self._settled = hits - self._settled, hits
        self._hits[self._layer] += since
        self._fallbacks += since if self._stale else 0


def status_of(availability: Availability, problems: tuple[Issue, ...], *, required: bool) -> Status:
    """The word for it: unhealthy without a snapshot, degraded while anything is not as it should be."""
    if availability is Availability.DEFAULTS and required:
        return "unhealthy"
    return "healthy" if availability is Availability.CURRENT and not problems else "degraded"


def checked_health(checks: Mapping[str, Any]) -> dict[str, Any]:
    """What a program says of its checks, as it is sent. Raises `Invalid` for what no frame can carry."""
    if not isinstance(checks, Mapping):
        raise Invalid("checks are values by name", code="bad_option")
    told = as_json(checks)
    if issues := check_value(told):
        raise Invalid("the checks are no JSON", code="bad_option", issues=issues)
    if len(msgspec.json.encode(told)) > MAX_CHECKS_BYTES:
        raise Invalid(f"the checks take more than {MAX_CHECKS_BYTES} bytes", code="bad_option")
    return told  # type: ignore[no-any-return]  # a mapping stays one


MAX_CHECKS_BYTES = 16 * 1024


def sample_retrieval(state: State, reads: Any) -> float | None:
    """The seconds that one read takes, as the mean of a few; None where there is nothing to read."""
    key = next(iter(state.flat), None)
    if key is None:
        return None
    begun = perf_counter()
    for _ in range(_SAMPLES):
        reads.get(key)
    return (perf_counter() - begun) / _SAMPLES


_SAMPLES = 16

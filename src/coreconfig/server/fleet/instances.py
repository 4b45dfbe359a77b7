"""The instances whose sessions this replica owns: what each runs, what it refused, how it says it is.

All in memory; `Instances.changed` are those whose row has to be written, emptied by whoever writes them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

State = Literal["current", "behind", "rejected", "gone"]
HealthStatus = Literal["healthy", "degraded", "unhealthy", "unknown"]

Group = tuple[str, str]
"""(environment, service)."""

MAX_ISSUES = 50
MAX_TEXT = 2_000


class InstanceKey(NamedTuple):
    """An instance id counts within one service of one environment."""

    environment: str
    service: str
    instance: str

    def __str__(self) -> str:
        return f"{self.instance} of {self.environment}/{self.service}"


@dataclass(frozen=True, slots=True)
class Running:
    """The position of the snapshot that an instance runs."""

    epoch: int
    revision: int
    digest: str
    overlay: str | None = None

    def __str__(self) -> str:
        return f"revision {self.revision} of epoch {self.epoch}"


@dataclass(frozen=True, slots=True)
class Nack:
    """A push that was refused: which, why, and when (UTC, ISO 8601)."""

    epoch: int
    revision: int
    digest: str
    reason: str
    issues: list[dict[str, Any]]
    at: str


@dataclass(frozen=True, slots=True)
class Health:
    """What an instance last said about itself."""

    status: HealthStatus
    checks: dict[str, Any]
    at: str


class ServiceHealth(NamedTuple):
    """How many of the live instances of a service say that they are healthy, in one word and in numbers."""

    status: HealthStatus
    healthy: int
    total: int


NOT_KNOWN = ServiceHealth("unknown", 0, 0)
"""The health of a service of which nothing was heard."""


@dataclass(slots=True)
class Instance:
    """One live instance, as its session describes it."""

    key: InstanceKey
    session: str
    link: Literal["stream", "poll"]
    connected_at: str
    cohort: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    app_version: str = ""
    sdk: str = ""
    running: Running | None = None
    last_nack: Nack | None = None
    health: Health | None = None
    left_at: str | None = None
    settled: deque[str] = field(default_factory=lambda: deque(maxlen=16))
    """The nonces that were acknowledged last outside of a stream, so that each counts once."""

    @property
    def group(self) -> Group:
        """The service that it is an instance of, in its environment."""
        return (self.key.environment, self.key.service)


class Instances:
    """Every live instance of this replica, and what each view's instances should run.

    `on_change` is called after each change that belongs into an instance's row.
    """

    def __init__(self, on_change: Callable[[], None] = lambda: None) -> None:
        self.on_change = on_change
        self.changed: dict[InstanceKey, Instance] = {}
        self._live: dict[InstanceKey, Instance] = {}
        self._groups: dict[Group, dict[InstanceKey, Instance]] = {}
        self._aims: dict[Group, str] = {}
        self._health_moved: set[Group] = set()

    def __len__(self) -> int:
        return len(self._live)

    def aim(self, environment: str, service: str, digest: str) -> None:
        """Instances of this service in this environment should run what has this digest."""
        self._aims[environment, service] = digest

    def connected(self, instance: Instance) -> Instance:
        """An instance said hello; what is known of it from a session just before is kept."""
        before = self._live.get(instance.key)
        if before is not None:
            instance.last_nack = before.last_nack
            instance.health = before.health
        self._live[instance.key] = instance
        self._groups.setdefault(instance.group, {})[instance.key] = instance
        self._health_moved.add(instance.group)
        self._touch(instance)
        return instance

    def left(self, instance: Instance, at: str) -> None:
        """Its session has ended; unless the instance is back already in another one, it is gone."""
        if self._live.get(instance.key) is instance:
            del self._live[instance.key]
            self._leave_group(instance)
            instance.left_at = at
            self._touch(instance)

    def runs(self, instance: Instance, running: Running) -> None:
        """It activated this snapshot, or said that it runs it."""
        moved = instance.running is None or instance.running.digest != running.digest
        instance.running = running
        if moved:
            self._touch(instance)

    def refused(self, instance: Instance, nack: Nack) -> None:
        """It refused a push and runs what it ran."""
        instance.last_nack = nack
        self._touch(instance)

    def reported(self, instance: Instance, health: Health) -> None:
        """It said how it is."""
        moved = instance.health is None or instance.health.status != health.status
        instance.health = health
        if moved:
            self._health_moved.add(instance.group)
            self._touch(instance)

    def live(self, environment: str | None = None, service: str | None = None) -> Iterator[Instance]:
        """The live instances, all or those of an environment or a service."""
        for group, members in self._groups.items():
            if environment in (None, group[0]) and service in (None, group[1]):
                yield from members.values()

    def find(self, instance: str) -> list[Instance]:
        """The live instances with this id, one for each service and environment that has it."""
        return [one for key, one in self._live.items() if key.instance == instance]

    def get(self, key: InstanceKey) -> Instance | None:
        """The live instance with this key."""
        return self._live.get(key)

    def ahead_of(self, epoch: int, revision: int) -> int:
        """How many live instances run something newer than this position."""
        return sum(
            one.running is not None and (one.running.epoch, one.running.revision) > (epoch, revision)
            for one in self._live.values()
        )

    @property
    def greatest_epoch(self) -> int:
        """The greatest epoch that a live instance says it runs; 0 if none says anything."""
        return max((one.running.epoch for one in self._live.values() if one.running is not None), default=0)

    def state_of(self, instance: Instance) -> State:
        """Whether it runs what it should."""
        if instance.left_at is not None:
            return "gone"
        aim = self._aims.get(instance.group)
        if instance.running is not None and aim in (None, instance.running.digest):
            return "current"
        nack = instance.last_nack
        return "rejected" if nack is not None and aim in (None, nack.digest) else "behind"

    def health_of(self, group: Group) -> ServiceHealth:
        """The health of a service as its live instances say; ``unknown`` while none said anything."""
        members = self._groups.get(group, {})
        said: list[HealthStatus] = [one.health.status for one in members.values() if one.health is not None]
        healthy = said.count("healthy")
        return ServiceHealth(_overall(said, healthy), healthy, len(members))

    def health_moved(self, group: Group) -> None:
        """Somebody has yet to be told of the health of this service."""
        self._health_moved.add(group)

    def take_health_moved(self) -> set[Group]:
        """The services whose health may have changed since this was asked last."""
        moved, self._health_moved = self._health_moved, set()
        return moved

    def _leave_group(self, instance: Instance) -> None:
        members = self._groups[instance.group]
        del members[instance.key]
        if not members:
            del self._groups[instance.group]
        self._health_moved.add(instance.group)

    def _touch(self, instance: Instance) -> None:
        self.changed[instance.key] = instance
        self.on_change()


def _overall(said: list[HealthStatus], healthy: int) -> HealthStatus:
    if not said:
        return "unknown"
    if healthy == len(said):
        return "healthy"
    return "degraded" if healthy or "degraded" in said else "unhealthy"


def short(text: str | None) -> str:
    """A reason as it is kept: whatever a client sends, of bounded length."""
    return (text or "")[:MAX_TEXT]


def short_issues(issues: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The issues of a nack as they are kept: at most 50, texts of bounded length, only the known members."""
    return [
        {name: short(str(issue[name])) for name in ("code", "severity", "key", "message") if issue.get(name)}
        for issue in issues[:MAX_ISSUES]
    ]

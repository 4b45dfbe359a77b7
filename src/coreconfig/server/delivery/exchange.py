"""What the stream and ``POST /v1/sync`` do alike: find the view, know the instance, note acks and health."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Literal, Protocol, TypeVar

from sqlalchemy import Connection

from coreconfig import __version__
from coreconfig.errors import CoreConfigError, NotFound, StoreIntegrity, Unavailable
from coreconfig.server.access.actions import Action, Target
from coreconfig.server.access.caller import Caller
from coreconfig.server.access.decisions import Concealed, Refused, absence, demand
from coreconfig.server.audit.guard import record_refusal
from coreconfig.server.delivery.keys import ViewKey
from coreconfig.server.delivery.session import Settled
from coreconfig.server.delivery.states import LiveView
from coreconfig.server.delivery.views import ViewStore
from coreconfig.server.fleet.instances import (
    Health,
    Instance,
    InstanceKey,
    Instances,
    Nack,
    Running,
    short,
    short_issues,
)
from coreconfig.server.metrics import Metrics
from coreconfig.server.revisions.log import read_head
from coreconfig.server.revisions.world import World
from coreconfig.wire import frames
from coreconfig.wire.frames import At, Hello, Welcome

_log = logging.getLogger(__name__)
T = TypeVar("T")

FEATURES: Final = ("delta", "bookmark", "sync", "fetch", "health")
"""What this server can do beyond pushing snapshots."""


class CatchingUp(Protocol):
    """What the exchange needs of the replica."""

    @property
    def world(self) -> World:
        """The newest world."""
        ...

    async def fresh(self) -> World:
        """The newest world, after a look at the log if this process stood still."""
        ...

    async def catch_up(self, minimum: int | None = None) -> World:
        """A world at or after a revision, or at the head of the log. Raises `Unavailable` (``behind``)."""
        ...


class Transactions(Protocol):
    """What the exchange needs of the database."""

    async def reading(self, fn: Callable[[Connection], T]) -> T:
        """Run in a transaction that sees one state."""
        ...

    async def writing(self, fn: Callable[[Connection], T]) -> T:
        """Run in a transaction that is durable when this returns."""
        ...


class Exchange:
    """The instances of this replica and the views that they are given."""

    def __init__(
        self,
        database: Transactions,
        replica: CatchingUp,
        views: ViewStore,
        instances: Instances,
        metrics: Metrics,
    ) -> None:
        self._database = database
        self.replica = replica
        self.views = views
        self.instances = instances
        self._metrics = metrics
        self.installation = ""
        """Which log the revisions count in; known once `start` has read it."""

    async def start(self) -> None:
        """Read what every welcome says of this installation."""
        self.installation = (await self._database.reading(read_head)).installation

    def welcome(self, session: str, view: LiveView) -> Welcome:
        """The first frame of a session."""
        at = view.position
        return Welcome(session, at.epoch, at.revision, __version__, list(FEATURES), self.installation)

    async def view_for(self, caller: Caller, hello: Hello) -> LiveView:
        """The view that an instance is to run, at least as new as what it holds if this server can have that.

        Raises `NotFound` alike for what does not exist and what is foreign, and `Denied`.
        """
        demand(caller, Action.CONNECT, Target(hello.environment, hello.service))
        world = await self.replica.fresh()
        if hello.have is not None and hello.have.epoch == world.epoch:
            await self._try_to_reach(hello.have.revision)
        try:
            view = await self.views.live(ViewKey(hello.environment, hello.service))
        except NotFound as error:
            raise absence(caller, error) from None
        self.aim(view)
        return view

    async def note_refusal(self, error: CoreConfigError) -> None:
        """Record the refusal of a known caller; it is refused also if that fails."""
        if isinstance(error, Refused | Concealed):
            try:
                await self._database.writing(lambda tx: record_refusal(tx, error))
            except CoreConfigError:
                _log.exception("a refusal of %s could not be recorded", error.caller.principal)

    async def caught_up(self, revision: int | None) -> None:
        """Wait until the replica has this revision, or the newest. Raises `Unavailable` (``behind``)."""
        await self.replica.catch_up(revision)

    def instance_of(self, hello: Hello, session: str, link: Literal["stream", "poll"]) -> Instance:
        """The instance that says hello, now live."""
        instance = Instance(
            key=InstanceKey(hello.environment, hello.service, hello.instance),
            session=session,
            link=link,
            connected_at=utc_now(),
            cohort=hello.cohort,
            labels=hello.labels,
            app_version=hello.app_version,
            sdk=hello.sdk,
            running=running_of(hello.have) if hello.have is not None else None,
        )
        return self.instances.connected(instance)

    def aim(self, view: LiveView) -> None:
        """Note what the instances of a view should run."""
        if view.key.service is not None:
            self.instances.aim(view.key.environment, view.key.service, view.state.digest)

    def ahead(self, instance: Instance) -> None:
        """Alarm: an instance holds what this server does not have, and keeps it."""
        _log.error(
            "%s runs %s, newer than revision %d of epoch %d that this server has: the database went back;"
            " `coreconfig epoch new` makes what it holds count",
            *(instance.key, instance.running, self.replica.world.revision, self.replica.world.epoch),
        )

    def settled(self, instance: Instance, settled: Settled) -> None:
        """Note what became of a push."""
        self._metrics.acks.labels(outcome=settled.outcome).inc()
        if settled.outcome != "rejected":
            self.instances.runs(instance, running_of(settled.at))
            return
        self._metrics.nacks.inc()
        at = settled.at
        reason, issues = short(settled.reason), short_issues(settled.issues)
        self.instances.refused(instance, Nack(at.epoch, at.revision, at.digest, reason, issues, utc_now()))

    def runs(self, instance: Instance, at: At) -> None:
        """Note where an instance stands."""
        self.instances.runs(instance, running_of(at))

    def reported(self, instance: Instance, health: frames.Health) -> None:
        """Note what an instance says about itself."""
        self.instances.reported(instance, Health(health.status, health.checks, utc_now()))

    async def _try_to_reach(self, revision: int) -> None:
        """Catch up with what a client holds; a client that stays ahead of this server keeps what it has."""
        if revision > self.replica.world.revision:
            try:
                await self.replica.catch_up(revision)
            except (Unavailable, StoreIntegrity):
                return


def running_of(at: At) -> Running:
    """A position of the wire as the fleet keeps it."""
    return Running(at.epoch, at.revision, at.digest, at.overlay)


def utc_now() -> str:
    """Now, as ISO 8601 in UTC with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

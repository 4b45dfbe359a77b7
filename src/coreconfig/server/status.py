"""``/healthz``, ``/readyz`` and ``/metrics``: for whatever watches over the server."""

from __future__ import annotations

from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from coreconfig import __version__
from coreconfig.errors import CoreConfigError, StoreIntegrity
from coreconfig.server.fleet.instances import Instances
from coreconfig.server.metrics import CONTENT_TYPE, Metrics
from coreconfig.server.revisions.log import read_head
from coreconfig.server.revisions.replica import Replica
from coreconfig.server.web.errors import error_response
from coreconfig.server.web.models import Answer
from coreconfig.server.web.operations import Operation
from coreconfig.server.web.responses import REVISION_HEADER, json_response
from coreconfig.server.web.services import Transactions


class Alive(Answer):
    """The process runs."""

    status: str
    version: str


class Ready(Answer):
    """The process serves this revision and follows the log.

    `clients_ahead` counts instances that hold something newer than this server has: an alarm, and no reason
    to send requests elsewhere.
    """

    status: str
    epoch: int
    revision: int
    clients_ahead: int


class _Services(Protocol):
    @property
    def database(self) -> Transactions: ...
    @property
    def replica(self) -> Replica: ...
    @property
    def metrics(self) -> Metrics: ...
    @property
    def instances(self) -> Instances: ...


def routes(services: _Services) -> list[BaseRoute]:
    """The operations that need no token: they tell nothing about what is configured."""
    watched = _Status(services)
    return [
        Operation(
            "GET",
            "/healthz",
            watched.alive,
            id="healthz",
            tag="operations",
            summary="Is the process alive?",
            answers={200: Alive},
            public=True,
        ),
        Operation(
            "GET",
            "/readyz",
            watched.ready,
            id="readyz",
            tag="operations",
            summary="Can it serve? 503 with the code of what is wrong",
            answers={200: Ready},
            errors=(503,),
            public=True,
        ),
        Operation(
            "GET",
            "/metrics",
            watched.metrics,
            id="metrics",
            tag="operations",
            summary="Metrics for Prometheus",
            answers={200: {"type": "string"}},
            media_type="text/plain",
            public=True,
        ),
    ]


class _Status:
    def __init__(self, services: _Services) -> None:
        self._database = services.database
        self._replica = services.replica
        self._metrics = services.metrics
        self._instances = services.instances

    async def alive(self, request: Request) -> Response:
        return json_response({"status": "alive", "version": __version__})

    async def ready(self, request: Request) -> Response:
        problem, world = self._replica.problem, self._replica.world
        if problem is not None:
            return error_response(problem, status=503, headers={REVISION_HEADER: str(world.revision)})
        answer = {"status": "ready", "epoch": world.epoch, "revision": world.revision}
        return json_response({**answer, "clients_ahead": self._ahead()}, revision=world.revision)

    async def metrics(self, request: Request) -> Response:
        await self._measure()
        return Response(self._metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    async def _measure(self) -> None:
        """What is only worth measuring when somebody looks."""
        world = self._replica.world
        self._metrics.epoch.set(world.epoch)
        self._metrics.revision.set(world.revision)
        self._metrics.replica_healthy.set(self._replica.problem is None)
        self._metrics.log_damaged.set(isinstance(self._replica.problem, StoreIntegrity))
        self._metrics.clients_ahead.set(self._ahead())
        try:
            head = await self._database.reading(read_head)
        except CoreConfigError:
            # the database is away: /readyz says so, and the lag is not known
            self._metrics.replica_lag.set(float("nan"))
        else:
            self._metrics.replica_lag.set(max(0, head.revision - world.revision))

    def _ahead(self) -> int:
        world = self._replica.world
        return self._instances.ahead_of(world.epoch, world.revision)

"""``GET /v1/fleet``: who is connected, what they run, and what they refused."""

from __future__ import annotations

from typing import Any, Protocol, cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from coreconfig.errors import NotFound
from coreconfig.model.keys import check_id
from coreconfig.server.access.actions import Action
from coreconfig.server.access.caller import Caller, caller_of
from coreconfig.server.access.decisions import demand, may_read
from coreconfig.server.fleet.instances import Instance, Instances
from coreconfig.server.fleet.rows import find_rows
from coreconfig.server.web.models import Answer
from coreconfig.server.web.operations import Operation
from coreconfig.server.web.parameters import ID_SCHEMA, INSTANCE, Parameter
from coreconfig.server.web.responses import json_response
from coreconfig.server.web.services import Services, services_of

ENVIRONMENT: Parameter[str | None] = Parameter(
    "environment",
    "query",
    lambda text: check_id("environment", text),
    None,
    ID_SCHEMA,
    "only instances in this environment",
)
SERVICE: Parameter[str | None] = Parameter(
    "service",
    "query",
    lambda text: check_id("service", text),
    None,
    ID_SCHEMA,
    "only instances of this service",
)


class NackAnswer(Answer):
    """A push that an instance refused."""

    epoch: int
    revision: int
    digest: str
    reason: str
    issues: list[dict[str, Any]]
    timestamp: str


class InstanceAnswer(Answer):
    """An instance: who it is, what it runs, and whether that is what it should run."""

    instance: str
    service: str
    environment: str
    cohort: str | None
    labels: dict[str, str]
    app_version: str
    sdk: str
    link: str
    connected_at: str
    left_at: str | None
    epoch: int | None
    revision: int | None
    digest: str | None
    state: str
    last_nack: NackAnswer | None
    health: str | None
    checks: dict[str, Any]


class FleetAnswer(Answer):
    """All instances that the caller may see."""

    instances: list[InstanceAnswer]


class FleetServices(Services, Protocol):
    """What these routes ask of the process."""

    @property
    def instances(self) -> Instances:
        """The instances whose sessions this replica owns."""


async def list_instances(request: Request) -> Response:
    """The connected instances."""
    caller = caller_of(request)
    demand(caller, Action.READ_FLEET)
    instances = _services(request).instances
    found = instances.live(ENVIRONMENT.of(request), SERVICE.of(request))
    shown = [instance_json(instances, one) for one in found if _may_see(caller, one)]
    return json_response({"instances": shown})


async def show_instance(request: Request) -> Response:
    """One instance; also one that has left, as it was then."""
    caller, name = caller_of(request), INSTANCE.of(request)
    demand(caller, Action.READ_FLEET)
    services = _services(request)
    found = services.instances.find(name) or await services.database.reading(lambda tx: find_rows(tx, name))
    seen = [one for one in found if _may_see(caller, one)]
    if not seen:
        raise NotFound(f"there is no instance {name!r}", code="unknown_instance")
    newest = max(seen, key=lambda one: (one.left_at is None, one.connected_at))
    return json_response(instance_json(services.instances, newest))


def instance_json(instances: Instances, one: Instance) -> dict[str, Any]:
    """An instance as answers show it."""
    running, nack, health = one.running, one.last_nack, one.health
    return {
        "instance": one.key.instance,
        "service": one.key.service,
        "environment": one.key.environment,
        "cohort": one.cohort,
        "labels": one.labels,
        "app_version": one.app_version,
        "sdk": one.sdk,
        "link": one.link,
        "connected_at": one.connected_at,
        "left_at": one.left_at,
        "epoch": running.epoch if running else None,
        "revision": running.revision if running else None,
        "digest": running.digest if running else None,
        "state": instances.state_of(one),
        "last_nack": None
        if nack is None
        else {
            "epoch": nack.epoch,
            "revision": nack.revision,
            "digest": nack.digest,
            "reason": nack.reason,
            "issues": nack.issues,
            "timestamp": nack.at,
        },
        "health": health.status if health else None,
        "checks": health.checks if health else {},
    }


def routes() -> list[BaseRoute]:
    """The routes of the fleet."""
    return [
        Operation(
            "GET",
            "/v1/fleet",
            list_instances,
            id="list_instances",
            summary="Connected instances",
            tag="fleet",
            parameters=(ENVIRONMENT, SERVICE),
            answers={200: FleetAnswer},
        ),
        Operation(
            "GET",
            "/v1/fleet/{instance}",
            show_instance,
            id="show_instance",
            summary="One instance",
            tag="fleet",
            answers={200: InstanceAnswer},
            errors=(404,),
        ),
    ]


def _services(request: Request) -> FleetServices:
    return cast("FleetServices", services_of(request))


def _may_see(caller: Caller, one: Instance) -> bool:
    return may_read(caller, one.key.environment, one.key.service)

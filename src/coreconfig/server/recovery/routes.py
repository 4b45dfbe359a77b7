"""``POST /v1/epochs``: begin an epoch."""

from __future__ import annotations

from typing import Protocol, cast

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from coreconfig.server.access.actions import Action
from coreconfig.server.access.caller import caller_of
from coreconfig.server.access.decisions import demand
from coreconfig.server.fleet.instances import Instances
from coreconfig.server.recovery.commands import new_epoch, sound_world
from coreconfig.server.revisions.replica import Replica
from coreconfig.server.web.bodies import read_model
from coreconfig.server.web.models import Answer, Body, Revision
from coreconfig.server.web.operations import Operation
from coreconfig.server.web.responses import json_response
from coreconfig.server.web.services import Services, services_of


class NewEpoch(Body):
    """Why an epoch begins; `epoch` asks for a greater number than the next one."""

    reason: str = Field(min_length=1, max_length=2_000)
    epoch: Revision | None = None


class EpochAnswer(Answer):
    """The epoch that has begun, and its first revision."""

    epoch: int
    revision: int


class RecoveryServices(Services, Protocol):
    """What these routes ask of the process."""

    @property
    def replica(self) -> Replica:
        """The worlds."""

    @property
    def instances(self) -> Instances:
        """Who is connected here."""


def routes() -> list[BaseRoute]:
    """The operations of recovery that need a running server."""
    return [
        Operation(
            "POST",
            "/v1/epochs",
            begin,
            id="begin_epoch",
            tag="operations",
            summary="Begin an epoch: every client takes what the server has, whatever it holds",
            body=NewEpoch,
            answers={201: EpochAnswer},
            errors=(409, 507),
        )
    ]


async def begin(request: Request) -> Response:
    """Begin an epoch; this server is in it when it answers."""
    caller, services = caller_of(request), cast("RecoveryServices", services_of(request))
    demand(caller, Action.BEGIN_EPOCH)
    asked = await read_model(request, NewEpoch)
    sound, seen = await services.database.reading(sound_world), services.instances.greatest_epoch
    row = await services.database.writing(
        lambda tx: new_epoch(tx, caller, asked.reason, sound=sound, seen=seen, wanted=asked.epoch)
    )
    await services.replica.follow(row)
    answer = {"epoch": row.epoch, "revision": row.revision}
    return json_response(answer, status=201, revision=row.revision)

"""``GET /v1/environments`` and ``GET /v1/environments/{env}``."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from coreconfig.model.documents import to_document
from coreconfig.model.environments import Environment, Environments, environment_in, known_services
from coreconfig.server.access.actions import Action, Target
from coreconfig.server.access.caller import Caller, caller_of
from coreconfig.server.access.decisions import cut, demand
from coreconfig.server.web.models import Answer
from coreconfig.server.web.operations import Operation
from coreconfig.server.web.parameters import AT, ENV, IF_NONE_MATCH, MIN_REVISION
from coreconfig.server.web.preconditions import etag_of
from coreconfig.server.web.responses import encoded_response
from coreconfig.server.web.worlds import requested_world
from coreconfig.wire import json


class EnvironmentSummary(Answer):
    """An environment in a list; `services` are those that it or its ancestors declare."""

    id: str
    name: str
    type: str
    inherits: list[str]
    status: str
    services: list[str]


class EnvironmentList(Answer):
    """The environments that the caller may see."""

    revision: int
    environments: list[EnvironmentSummary]


class EnvironmentAnswer(Answer):
    """The document of an environment, in the shape of an environment file."""

    revision: int
    environment: dict[str, Any]
    status: str


def routes() -> list[BaseRoute]:
    """The read operations on environments."""
    parameters = (AT, MIN_REVISION, IF_NONE_MATCH)
    return [
        Operation(
            "GET",
            "/v1/environments",
            list_environments,
            id="list_environments",
            tag="environments",
            summary="List environments",
            parameters=parameters,
            answers={200: EnvironmentList, 304: None},
            errors=(404,),
        ),
        Operation(
            "GET",
            "/v1/environments/{env}",
            show_environment,
            id="show_environment",
            tag="environments",
            summary="The document of an environment",
            parameters=parameters,
            answers={200: EnvironmentAnswer, 304: None},
            errors=(404,),
        ),
    ]


async def list_environments(request: Request) -> Response:
    """Every environment that the caller's token takes in."""
    caller = caller_of(request)
    world = await requested_world(request)
    seen = [env for _, env in sorted(world.environments.items()) if caller.in_scope(env.id)]
    listed = [_summary(caller, world.environments, env) for env in seen]
    etag = etag_of(json.encode(listed))
    body = json.encode({"revision": world.revision, "environments": listed})
    return encoded_response(request, body, world=world, etag=etag)


async def show_environment(request: Request) -> Response:
    """One environment with all of its layers, without what the caller may not read."""
    caller, name = caller_of(request), ENV.of(request)
    demand(caller, Action.READ_ENVIRONMENT, Target(name))
    world = await requested_world(request)
    environment = environment_in(world.environments, name)
    document = _cut_document(caller, environment)
    # the order of members depends on how this process came by them, and says nothing
    etag = etag_of(json.encode([document, environment.status], ordered=True))
    body = json.encode({"revision": world.revision, "environment": document, "status": environment.status})
    return encoded_response(request, body, world=world, etag=etag)


def _summary(caller: Caller, environments: Environments, environment: Environment) -> dict[str, Any]:
    services = sorted(known_services(environments, environment.id))
    if caller.kind == "service":
        services = [name for name in services if name == caller.service]
    return {
        "id": environment.id,
        "name": environment.name,
        "type": environment.type,
        "inherits": [name for name in environment.inherits if caller.in_scope(name)],
        "status": environment.status,
        "services": services,
    }


def _cut_document(caller: Caller, environment: Environment) -> dict[str, Any]:
    document = to_document(environment)
    if not caller.covers(()):
        overrides = document["overrides"]
        overrides["configuration"] = cut(caller, environment.id, None, overrides["configuration"])
        for service, entry in document["services"].items():
            if "configuration" in entry:
                entry["configuration"] = cut(caller, environment.id, service, entry["configuration"])
    return document

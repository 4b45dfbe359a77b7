"""The routes of resolved configuration, of the stream, and of its exchange in one request."""

from __future__ import annotations

from typing import Protocol

from starlette.routing import BaseRoute, WebSocketRoute

from coreconfig.server.delivery.answers import (
    ConfigurationAnswer,
    ExplanationAnswer,
    HistoryAnswer,
    KeyAnswer,
    SyncFrames,
)
from coreconfig.server.delivery.hub import Hub
from coreconfig.server.delivery.polling import sync
from coreconfig.server.delivery.reads import explain_key, read_configuration, read_history, read_key
from coreconfig.server.delivery.schemas import sync_schema
from coreconfig.server.web.operations import Operation
from coreconfig.server.web.parameters import (
    AT,
    BEFORE,
    EXPLAIN,
    FLAT,
    IF_NONE_MATCH,
    LIMIT,
    MIN_REVISION,
    PREFIX,
)

_PLACES = {
    "environment": "/v1/environments/{env}",
    "service": "/v1/environments/{env}/services/{service}",
}


class HasHub(Protocol):
    """What these routes are built from."""

    @property
    def hub(self) -> Hub:
        """All connections; it is the endpoint of the stream."""


def routes(services: HasHub) -> list[BaseRoute]:
    """Every route of this package."""
    reads = [route for what, place in _PLACES.items() for route in _reads(what, place)]
    poll = Operation(
        "POST",
        "/v1/sync",
        sync,
        id="sync",
        summary="The exchange of the stream in one request",
        tag="stream",
        body=sync_schema(),
        answers={200: SyncFrames},
        errors=(404,),
    )
    return [*reads, poll, WebSocketRoute("/v1/stream", services.hub, name="stream")]


def _reads(what: str, place: str) -> list[BaseRoute]:
    return [
        Operation(
            "GET",
            f"{place}/configuration",
            read_configuration,
            id=f"read_{what}_configuration",
            summary=f"Resolved configuration of {_an(what)}",
            tag="configuration",
            parameters=(PREFIX, FLAT, EXPLAIN, AT, MIN_REVISION, IF_NONE_MATCH),
            answers={200: ConfigurationAnswer, 304: None},
            errors=(404,),
        ),
        Operation(
            "GET",
            f"{place}/configuration/{{key:path}}",
            read_key,
            id=f"read_{what}_key",
            summary=f"One resolved key of {_an(what)}",
            tag="configuration",
            parameters=(AT, MIN_REVISION, IF_NONE_MATCH),
            answers={200: KeyAnswer, 304: None},
            errors=(404,),
        ),
        Operation(
            "GET",
            f"{place}/explain/{{key:path}}",
            explain_key,
            id=f"explain_{what}_key",
            summary="Why a key has its value",
            tag="configuration",
            parameters=(AT, MIN_REVISION),
            answers={200: ExplanationAnswer},
            errors=(404,),
        ),
        Operation(
            "GET",
            f"{place}/history/{{key:path}}",
            read_history,
            id=f"{what}_key_history",
            summary="Every revision that moved a key",
            tag="configuration",
            parameters=(LIMIT, BEFORE, MIN_REVISION),
            answers={200: HistoryAnswer},
            errors=(404,),
        ),
    ]


def _an(what: str) -> str:
    return "an environment" if what == "environment" else "a service in an environment"

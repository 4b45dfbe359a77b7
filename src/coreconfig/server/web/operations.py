"""An operation: one method on one path, with its documentation, its strict input and its endpoint.

It is a plain Starlette route, so a hot read pays for nothing that it does not use; what FastAPI would derive
from signatures is written down in the operation instead (`coreconfig.server.web.openapi` collects it).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from coreconfig.errors import Invalid
from coreconfig.server.web.parameters import PATH_PARAMETERS, Parameter
from coreconfig.server.web.services import services_of

Endpoint = Callable[[Request], Awaitable[Response]]
Shape = type[BaseModel] | dict[str, Any] | None
"""A pydantic model, a JSON Schema, or nothing (an answer without a body)."""

EXCHANGE = "coreconfig.exchange"
"""Where the outermost layer waits to hear which operation a request was for."""

_PLACEHOLDER = re.compile(r"\{(\w+)(?::\w+)?\}")


@dataclass(frozen=True)
class Documentation:
    """What the OpenAPI document says of an operation."""

    id: str
    summary: str
    tag: str
    body: Shape = None
    body_required: bool = True
    answers: Mapping[int, Shape] = field(default_factory=dict)
    errors: frozenset[int] = frozenset()
    media_type: str = "application/json"
    public: bool = False


class Operation(Route):
    """A route that refuses what it does not know before its endpoint runs.

    `errors` are the statuses that the endpoint itself can fail with; those that every operation shares are
    added. `public` ones answer without a token. `max_body` is in bytes; None means the server's setting.
    """

    def __init__(
        self,
        method: str,
        path: str,
        endpoint: Endpoint,
        *,
        id: str,  # noqa: A002 - OpenAPI calls it so
        summary: str,
        tag: str,
        parameters: Sequence[Parameter[Any]] = (),
        body: Shape = None,
        body_required: bool = True,
        answers: Mapping[int, Shape] | None = None,
        errors: Sequence[int] = (),
        max_body: int | None = None,
        media_type: str = "application/json",
        public: bool = False,
    ) -> None:
        # a quoted segment of a key may hold a slash
        routed = path.replace("{key}", "{key:path}")
        super().__init__(routed, self._strict(endpoint), methods=[method], name=id)
        self.method = method
        self.template = _PLACEHOLDER.sub(r"{\1}", path)
        self.max_body = max_body
        self.parameters = (*self._path_parameters(path), *parameters)
        self._query_names = frozenset(p.name for p in parameters if p.place == "query")
        shared = _shared_errors(has_body=body is not None, public=public)
        self.documentation = Documentation(
            id=id,
            summary=summary,
            tag=tag,
            body=body,
            body_required=body_required,
            answers=answers or {200: None},
            errors=shared | frozenset(errors),
            media_type=media_type,
            public=public,
        )

    @staticmethod
    def _path_parameters(path: str) -> list[Parameter[Any]]:
        return [PATH_PARAMETERS[name] for name in _PLACEHOLDER.findall(path)]

    def _strict(self, endpoint: Endpoint) -> Endpoint:
        async def run(request: Request) -> Response:
            exchange = request.scope.get(EXCHANGE)
            if exchange is not None:
                exchange.route = self.template
            self._check_query(request)
            self._check_accept(request)
            request.scope["coreconfig.max_body"] = self.max_body or services_of(request).settings.max_body
            return await endpoint(request)

        return run

    def _check_query(self, request: Request) -> None:
        """A misspelt parameter that is passed over would change what the request means."""
        if not request.scope["query_string"]:
            return
        names = [name for name, _ in request.query_params.multi_items()]
        for name in names:
            if name not in self._query_names:
                known = f"it takes {', '.join(sorted(self._query_names)) or 'none'}"
                raise Invalid(f"unknown query parameter {name[:80]!r}: {known}", code="unknown_parameter")
            if names.count(name) > 1:
                raise Invalid(f"query parameter {name!r} is given more than once", code="repeated_parameter")

    def _check_accept(self, request: Request) -> None:
        accepted = request.headers.get("accept")
        if accepted is not None and not _accepts(accepted, self.documentation.media_type):
            raise HTTPException(406, f"this operation answers with {self.documentation.media_type} only")


def _accepts(header: str, media_type: str) -> bool:
    """Whether an ``Accept`` header leaves room for this media type (RFC 9110, 12.5.1)."""
    kind = media_type.partition("/")[0]
    ranges = [part.replace(" ", "").lower() for part in header.split(",") if part.strip()]
    wanted = (media_type, f"{kind}/*", "*/*")
    return not ranges or any(
        r.partition(";")[0] in wanted and not re.search(r";q=0(\.0*)?$", r) for r in ranges
    )


def _shared_errors(*, has_body: bool, public: bool) -> frozenset[int]:
    always = {HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_ACCEPTABLE}
    with_body = (
        {HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE} if has_body else set()
    )
    with_caller = set() if public else {HTTPStatus.UNAUTHORIZED, HTTPStatus.SERVICE_UNAVAILABLE}
    return frozenset(int(status) for status in always | with_body | with_caller)

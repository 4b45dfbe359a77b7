"""Failures become answers here and nowhere else: one body, one status for each class of error."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from http import HTTPStatus

from fastapi.exceptions import RequestValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import Scope

from coreconfig.errors import CoreConfigError, Invalid, NotAuthenticated
from coreconfig.server.web.bodies import issues_of
from coreconfig.wire import json
from coreconfig.wire.codes import body_of, status_of

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

_CODES = {
    404: "no_such_route",
    405: "method_not_allowed",
    406: "not_acceptable",
    413: "body_too_large",
    415: "unsupported_media_type",
}


def error_response(
    error: CoreConfigError,
    *,
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
    incident: str | None = None,
) -> Response:
    """The answer to a request that failed with this error."""
    body = body_of(error)
    if incident is not None:
        body["error"]["incident"] = incident
    content = json.encode(body)
    answer = Response(content, status or status_of(error), headers, "application/json")
    if error.retry_after is not None:
        answer.headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    if isinstance(error, NotAuthenticated):
        answer.headers["WWW-Authenticate"] = 'Bearer realm="coreconfig"'
    return answer


def install(app: Starlette) -> None:
    """Give the application its answers to every error that is raised on purpose."""
    app.add_exception_handler(CoreConfigError, _expected)
    app.add_exception_handler(RequestValidationError, _unreadable)
    app.add_exception_handler(HTTPException, _plain)


async def _expected(request: Request, error: Exception) -> Response:
    assert isinstance(error, CoreConfigError)  # noqa: S101 - it is registered for this class
    return error_response(error)


async def _unreadable(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - it is registered for this class
    issues = issues_of(error.errors())
    return error_response(
        Invalid("the request is not what this operation takes", code="bad_request", issues=issues)
    )


async def _plain(request: Request, error: Exception) -> Response:
    """What Starlette itself raises: no such route, no such method."""
    assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for this class
    status = error.status_code
    headers = dict(error.headers or {})
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(allowed_methods(request.app.routes, request.scope))
    code = _CODES.get(status, HTTPStatus(status).phrase.lower().replace(" ", "_"))
    message = _explained(request, error, headers)
    return error_response(CoreConfigError(message, code=code), status=status, headers=headers)


def _explained(request: Request, error: HTTPException, headers: Mapping[str, str]) -> str:
    if error.status_code == HTTPStatus.NOT_FOUND:
        return f"there is nothing at {request.url.path[:200]!r}; /openapi.json lists every operation"
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return f"{request.method[:20]} is not possible here, only {headers['Allow']}"
    return str(error.detail)


def allowed_methods(routes: Iterable[BaseRoute], scope: Scope) -> list[str]:
    """Every method that some route has at this path; Starlette's own answer names one route's only."""
    listed = list(routes)

    def exists(method: str) -> bool:
        asked = {**scope, "method": method}
        return any(route.matches(asked)[0] is Match.FULL for route in listed)

    return [method for method in METHODS if exists(method)]

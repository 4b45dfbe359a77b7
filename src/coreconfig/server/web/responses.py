"""Answers: JSON encoded once, with the revision they stand for and their ETag."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from coreconfig.server.web.preconditions import if_none_match, quoted
from coreconfig.server.web.services import WorldAt
from coreconfig.wire import json

REVISION_HEADER = "X-CoreConfig-Revision"


def json_response(
    content: Any, *, status: int = 200, headers: Mapping[str, str] | None = None, revision: int | None = None
) -> Response:
    """`content` as JSON; `revision` is the one that it was read at or written as."""
    response = Response(json.encode(content), status, headers, "application/json")
    if revision is not None:
        response.headers[REVISION_HEADER] = str(revision)
    return response


def encoded_response(
    request: Request, body: bytes, *, world: WorldAt, etag: str, headers: Mapping[str, str] | None = None
) -> Response:
    """A read that is encoded already; 304 without a body when the caller holds this ETag.

    `etag` comes without its quotation marks.
    """
    tag = quoted(etag)
    known = if_none_match(request)
    fresh = known is not None and known.matches(tag, weak=True)
    response = (
        Response(status_code=304, headers=headers)
        if fresh
        else Response(body, 200, headers, "application/json")
    )
    response.headers["ETag"] = tag
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers[REVISION_HEADER] = str(world.revision)
    return response


def read_response(request: Request, content: Any, *, world: WorldAt, etag: str) -> Response:
    """A read that has yet to be encoded; see `encoded_response`."""
    return encoded_response(request, json.encode(content), world=world, etag=etag)

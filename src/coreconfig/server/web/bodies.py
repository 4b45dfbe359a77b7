"""Request bodies: size, media type, strict JSON, then the model with every deviation at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from coreconfig.errors import Invalid, Issue, TooLarge
from coreconfig.model.keys import format_key
from coreconfig.model.values import MAX_ISSUES, decode_json

MAX_BODY_BYTES = 1024 * 1024
MAX_CHANGE_BYTES = 16 * 1024 * 1024
BODY_WITHIN = 60.0
"""Seconds within which a body has to arrive."""

M = TypeVar("M", bound=BaseModel)


# pydantic's kinds of finding by their ending, our codes for them, and our words where its own say little.
_FINDINGS = (
    ("missing", "missing_member", "this member is needed"),
    ("extra_forbidden", "unknown_member", "no member of this name is known here"),
    ("model_type", "wrong_type", "an object is expected"),
    ("_type", "wrong_type", None),
    ("pattern_mismatch", "wrong_format", None),
    ("too_short", "wrong_length", None),
    ("too_long", "wrong_length", None),
    ("_equal", "out_of_bounds", None),
    ("literal_error", "not_allowed", None),
    ("enum", "not_allowed", None),
)


async def read_body(request: Request, within: float = BODY_WITHIN) -> bytes:
    """The raw body, at most as large as the operation allows.

    Raises `TooLarge` (``body_too_large``) as soon as that is known, and `Invalid` (``body_cut_off``,
    ``body_too_slow`` after `within` seconds).
    """
    kept: bytes | None = getattr(request, "_body", None)
    if kept is not None:
        return kept
    limit: int = request.scope.get("coreconfig.max_body", MAX_BODY_BYTES)
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced[:20]) > limit:
        raise _too_large(limit)
    try:
        async with asyncio.timeout(within):
            body = await _received(request, limit)
    except ClientDisconnect:
        told = "the connection ended before the body was complete"
        raise Invalid(told, code="body_cut_off") from None
    except TimeoutError:
        raise Invalid(f"the body did not arrive within {within:g} s", code="body_too_slow") from None
    request._body = body  # where Starlette keeps it, so that it can be asked for again
    return body


async def _received(request: Request, limit: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise _too_large(limit)
    return bytes(body)


async def read_json(request: Request) -> Any:
    """The body as a JSON value. Raises what `read_body` and `decode_json` raise; 415 for others."""
    check_media_type(request)
    body = await read_body(request)
    if not body.strip():
        raise Invalid("a body is needed and none was sent; send JSON", code="body_missing")
    return decode_json(body)


async def read_model(request: Request, model: type[M]) -> M:
    """The body as a model. Raises `Invalid` (``bad_body``) with one issue for each deviation."""
    return to_model(await read_json(request), model)


def to_model(value: Any, model: type[M]) -> M:
    """A decoded value as a model. Raises `Invalid` (``bad_body``) with one issue for each deviation."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        issues = issues_of(error.errors(include_url=False, include_context=False, include_input=False))
        raise Invalid("the body is not what this operation takes", code="bad_body", issues=issues) from None


def issues_of(errors: Iterable[ErrorDetails | dict[str, Any]]) -> list[Issue]:
    """pydantic's findings as issues; the key is the place in the body."""
    listed = [cast("dict[str, Any]", error) for error in errors][:MAX_ISSUES]
    return [_issue(error["type"], error["msg"], _place(error["loc"])) for error in listed]


def _issue(kind: str, text: str, place: str | None) -> Issue:
    """The library's finding under a code of ours: its own names change with its releases."""
    for ending, code, own in _FINDINGS:
        if kind.endswith(ending):
            return Issue(code, own or text, key=place)
    return Issue("rule_broken", text, key=place)


def check_media_type(request: Request) -> None:
    """Raise 415 unless the body says that it is JSON in UTF-8."""
    sent = request.headers.get("content-type", "")
    media_type, _, parameters = sent.partition(";")
    charset = parameters.strip().lower().removeprefix("charset=").strip('"')
    if media_type.strip().lower() != "application/json" or charset not in ("", "utf-8"):
        shown = f"not {sent[:80]!r}" if sent else "and the request does not say what it sends"
        raise HTTPException(415, f"send Content-Type: application/json, {shown}")


def _place(location: tuple[int | str, ...]) -> str | None:
    if not location:
        return None
    return format_key(tuple(str(part) for part in location)).encode("utf-8", "replace").decode()


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body is larger than {limit} bytes; send it in parts", code="body_too_large")

"""Answers of hot reads: 304 before anything is encoded, and what was encoded or compressed once is kept."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable, MutableMapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from coreconfig.server.web.preconditions import if_none_match, quoted
from coreconfig.server.web.responses import REVISION_HEADER

COMPRESS_FROM_BYTES: Final = 1024
_COMPRESS_IN_THREAD_FROM: Final = 64 * 1024
_LEVEL: Final = 5
"""Half the time of the highest level for nearly the same size."""

Kept = MutableMapping[object, Any]


async def answer(
    request: Request,
    revision: int,
    etag: str,
    body: Callable[[], bytes],
    *,
    kept: Kept | None = None,
    name: object = None,
) -> Response:
    """A read at a revision: 304 if the caller holds this state, else the body, compressed if accepted.

    What is made is kept in `kept` under `name`, where given.
    """
    headers = {
        "ETag": quoted(etag),
        REVISION_HEADER: str(revision),
        "Cache-Control": "private, no-cache",
        "Vary": "Accept-Encoding, Authorization",
    }
    known = if_none_match(request)
    if known is not None and known.matches(headers["ETag"], weak=True):
        return Response(status_code=304, headers=headers)
    text = _kept(kept, ("body", name), body)
    if len(text) >= COMPRESS_FROM_BYTES and accepts_gzip(request):
        text = await _compressed(text, kept, ("gzip", name))
        headers["Content-Encoding"] = "gzip"
    return Response(text, 200, headers, "application/json")


async def compressed(
    request: Request, text: bytes, kept: Kept | None = None, name: object = None
) -> Response:
    """A body that is not a read of a state, compressed if that is accepted and worth it."""
    headers = {"Cache-Control": "no-store", "Vary": "Accept-Encoding"}
    if len(text) >= COMPRESS_FROM_BYTES and accepts_gzip(request):
        text = await _compressed(text, kept, ("gzip", name))
        headers["Content-Encoding"] = "gzip"
    return Response(text, 200, headers, "application/json")


def accepts_gzip(request: Request) -> bool:
    """Whether ``Accept-Encoding`` names gzip and does not exclude it (RFC 9110, 12.5.3)."""
    accepted = request.headers.get("accept-encoding", "")
    if accepted in ("", "identity"):
        return False
    for part in accepted.lower().split(","):
        coding, _, weight = part.partition(";")
        if coding.strip() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _kept(kept: Kept | None, name: object, make: Callable[[], bytes]) -> bytes:
    if kept is None:
        return make()
    made: bytes | None = kept.get(name)
    if made is None:
        made = kept[name] = make()
    return made


async def _compressed(text: bytes, kept: Kept | None, name: object) -> bytes:
    made: bytes | None = kept.get(name) if kept is not None else None
    if made is not None:
        return made
    if len(text) < _COMPRESS_IN_THREAD_FROM:
        made = gzip.compress(text, _LEVEL, mtime=0)
    else:
        made = await asyncio.to_thread(gzip.compress, text, _LEVEL, mtime=0)
    if kept is not None:
        kept[name] = made
    return made

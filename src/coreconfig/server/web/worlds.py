"""Which world a read is answered from: the newest, one that is new enough, or one of the past."""

from __future__ import annotations

from starlette.requests import Request

from coreconfig.errors import Invalid
from coreconfig.server.web.parameters import AT, MIN_REVISION
from coreconfig.server.web.services import WorldAt, services_of


async def requested_world(request: Request) -> WorldAt:
    """The world that ``?at=`` or ``X-CoreConfig-Min-Revision`` asks for, else the one at hand.

    Raises `Unavailable` (``behind``) when the minimum is not reached in time, `NotFound` for a revision that
    is not kept, `Invalid` when both are given and exclude each other.
    """
    replica = services_of(request).replica
    at, minimum = AT.of(request), MIN_REVISION.of(request)
    if at is not None and minimum is not None and at < minimum:
        raise Invalid(f"at={at} lies before the minimum revision {minimum}", code="bad_parameter")
    if at is not None:
        return await replica.at(at)
    if minimum is None:
        return await replica.fresh()
    if replica.world.revision >= minimum:
        return replica.world
    return await replica.catch_up(minimum)

"""``GET /v1/revisions`` and ``GET /v1/revisions/{n}``: the log, without what the caller may not read."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from coreconfig.model.keys import parse_key
from coreconfig.server.access.actions import Action
from coreconfig.server.access.caller import Caller, caller_of
from coreconfig.server.access.decisions import WITHHELD, demand, may_read, may_read_whole
from coreconfig.server.revisions.floor import absent
from coreconfig.server.revisions.log import LogRow, row_at, rows_newest_first
from coreconfig.server.web.models import Answer
from coreconfig.server.web.operations import Operation
from coreconfig.server.web.parameters import BEFORE, LIMIT, MIN_REVISION, REVISION
from coreconfig.server.web.responses import json_response
from coreconfig.server.web.services import services_of
from coreconfig.server.web.worlds import requested_world


class RevisionSummary(Answer):
    """A revision in a list."""

    revision: int
    epoch: int
    kind: str
    timestamp: str
    author: str
    reason: str | None
    change: str


class RevisionList(Answer):
    """A page of the log, newest first; `next` is the `before` of the following page, null at the end."""

    revisions: list[RevisionSummary]
    next: int | None


class RevisionAnswer(RevisionSummary):
    """A revision with its edits; `withheld` counts those about environments that the caller may not see."""

    hash: str
    edits: list[dict[str, Any]]
    withheld: int


def routes() -> list[BaseRoute]:
    """The read operations on the log."""
    return [
        Operation(
            "GET",
            "/v1/revisions",
            list_revisions,
            id="list_revisions",
            tag="revisions",
            summary="The log, newest first",
            parameters=(BEFORE, LIMIT, MIN_REVISION),
            answers={200: RevisionList},
        ),
        Operation(
            "GET",
            "/v1/revisions/{n}",
            show_revision,
            id="show_revision",
            tag="revisions",
            summary="One revision with its edits",
            parameters=(MIN_REVISION,),
            answers={200: RevisionAnswer},
            errors=(404,),
        ),
    ]


async def list_revisions(request: Request) -> Response:
    """A page of the log."""
    caller = caller_of(request)
    demand(caller, Action.READ_LOG)
    before, limit = BEFORE.of(request), LIMIT.of(request)
    world = await requested_world(request)
    rows = await services_of(request).database.reading(
        lambda tx: rows_newest_first(tx, before=before, limit=limit + 1)
    )
    page = rows[:limit]
    following = page[-1].revision if len(rows) > limit else None
    return json_response(
        {"revisions": [_summary(caller, row) for row in page], "next": following}, revision=world.revision
    )


async def show_revision(request: Request) -> Response:
    """One row of the log."""
    caller, number = caller_of(request), REVISION.of(request)
    demand(caller, Action.READ_LOG)
    world = await requested_world(request)
    row = await services_of(request).database.reading(lambda tx: _kept(tx, number))
    seen = [edit for edit in row.edits if may_read(caller, edit["environment"])]
    answer = {
        **_summary(caller, row),
        "hash": row.hash,
        "edits": [_cut(caller, edit) for edit in seen],
        "withheld": len(row.edits) - len(seen),
    }
    return json_response(answer, revision=world.revision)


def _kept(tx: Connection, number: int) -> LogRow:
    row = row_at(tx, number)
    if row is None:
        raise absent(tx, number)
    return row


def _summary(caller: Caller, row: LogRow) -> dict[str, Any]:
    """A row without its edits; who made a foreign one, and why, is withheld."""
    concerns = not row.edits or any(may_read(caller, edit["environment"]) for edit in row.edits)
    return {
        "revision": row.revision,
        "epoch": row.epoch,
        "kind": row.kind,
        "timestamp": row.committed_at,
        "author": row.author if concerns else WITHHELD,
        "reason": row.reason if concerns or row.reason is None else WITHHELD,
        "change": row.change_id,
    }


def _cut(caller: Caller, edit: dict[str, Any]) -> dict[str, Any]:
    """The edit without values that the caller may not read."""
    environment = edit["environment"]
    if edit["kind"] == "value":
        readable = may_read(caller, environment, edit.get("service"), parse_key(edit["key"]))
        return edit if readable or "value" not in edit else {**edit, "value": WITHHELD}
    readable = may_read_whole(caller, environment)
    return edit if readable or "document" not in edit else {**edit, "document": {}}

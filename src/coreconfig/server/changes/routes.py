"""The write routes: each is shorthand for a change with the fitting edits."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from coreconfig.errors import Conflict, NotFound
from coreconfig.model.documents import check_name_of
from coreconfig.model.edit_form import edits_from_json
from coreconfig.model.edits import Edit, EnvironmentEdit, ValueEdit
from coreconfig.model.environments import Environments
from coreconfig.model.trees import MISSING, get_at
from coreconfig.model.values import check_value, refuse
from coreconfig.server.access.actions import Action
from coreconfig.server.access.caller import caller_of
from coreconfig.server.access.decisions import demand
from coreconfig.server.changes import store
from coreconfig.server.changes.bodies import (
    ChangeAnswer,
    ChangeBody,
    ChangesAnswer,
    ReceiptAnswer,
    RevertBody,
    ValueBody,
)
from coreconfig.server.changes.guards import key_matches
from coreconfig.server.changes.model import Guard
from coreconfig.server.changes.requests import change_services, proposal_of, propose, propose_once
from coreconfig.server.changes.reverting import demand_untouched, undoing
from coreconfig.server.changes.rights import authorise, authorise_revert
from coreconfig.server.changes.visibility import cut_change
from coreconfig.server.environments.shapes import DOCUMENT, UPDATE
from coreconfig.server.web.bodies import MAX_CHANGE_BYTES, read_body, read_json, read_model, to_model
from coreconfig.server.web.operations import Operation
from coreconfig.server.web.parameters import (
    CHANGE,
    DRY_RUN,
    ENV,
    IDEMPOTENCY_KEY,
    IF_MATCH,
    KEY,
    LIMIT,
    REVISION,
    SERVICE,
    Parameter,
    matching,
    text,
)
from coreconfig.server.web.preconditions import if_match
from coreconfig.server.web.responses import json_response

BEFORE_CHANGE: Parameter[str | None] = Parameter(
    "before",
    "query",
    matching(r"[A-Za-z0-9-]{1,64}"),
    None,
    {"type": "string", "pattern": "^[A-Za-z0-9-]{1,64}$"},
    "only what came before this change: `next` of the last page",
)
REASON: Parameter[str | None] = Parameter(
    "reason", "query", text(2_000), None, {"type": "string", "maxLength": 2000}, "why, for the history"
)


async def post_change(request: Request) -> Response:
    """Propose a change of up to 1,000 edits, over any environments: one revision."""
    body = await read_model(request, ChangeBody)
    proposal = await proposal_of(
        request,
        edits_from_json(body.edits),
        reason=body.reason,
        source=body.source,
        expected_revision=body.expected_revision,
    )
    return await propose(request, proposal, dry_run=DRY_RUN.of(request))


async def put_key(request: Request) -> Response:
    """Set one key in a base layer or in a service's layer."""
    body = await read_model(request, ValueBody)
    edit = _value_edit(request, "set", body.value)
    refuse(check_value(edit.value, edit.path), "the value cannot be accepted")
    proposal = await proposal_of(
        request,
        [edit],
        reason=body.reason,
        expected_revision=body.expected_revision,
        guard=_key_guard(request, edit),
    )
    return await propose(request, proposal, dry_run=DRY_RUN.of(request))


async def delete_key(request: Request) -> Response:
    """Take one key out of a layer, so that it is inherited again."""
    edit = _value_edit(request, "delete")

    async def edits() -> list[Edit]:
        replica = change_services(request).replica
        authorise(caller_of(request), [edit], replica.world.environments)
        if not _has_entry(replica.world.environments, edit):
            world = await replica.catch_up()  # another server may have written it
            if edit.environment in world.environments and not _has_entry(world.environments, edit):
                raise _no_entry()
        return [edit]

    return await propose_once(request, edits, reason=REASON.of(request), guard=_key_guard(request, edit))


def _has_entry(environments: Environments, edit: ValueEdit) -> bool:
    environment = environments.get(edit.environment)
    return environment is not None and get_at(environment.layer(edit.service), edit.path) is not MISSING


def _no_entry() -> NotFound:
    return NotFound(
        "this layer has no entry at the key, so there is nothing to delete;"
        " a value that is inherited is removed by an `unset` edit",
        code="key_not_found",
    )


async def post_environment(request: Request) -> Response:
    """Create an environment from its document."""
    document = await read_json(request)
    name = document.get("id") if isinstance(document, dict) else None
    refuse(list(check_name_of("environment", name, "id")), "the environment cannot be accepted")
    edits = edits_from_json(
        [{"kind": "environment", "environment": name, "operation": "create", "document": document}]
    )
    proposal = await proposal_of(request, edits, reason=REASON.of(request))
    return await propose(request, proposal, dry_run=DRY_RUN.of(request), status=201)


async def patch_environment(request: Request) -> Response:
    """Replace attributes and facts of an environment; values are set by changes."""
    document = await read_json(request)
    name = ENV.of(request)
    edits = edits_from_json(
        [{"kind": "environment", "environment": name, "operation": "update", "document": document}]
    )
    proposal = await proposal_of(request, edits, reason=REASON.of(request))
    return await propose(request, proposal, dry_run=DRY_RUN.of(request))


async def delete_environment(request: Request) -> Response:
    """Delete an environment; refused while others inherit from it."""
    name = ENV.of(request)
    edits: list[Edit] = [EnvironmentEdit(name, "delete", {})]
    proposal = await proposal_of(request, edits, reason=REASON.of(request))
    return await propose(request, proposal, dry_run=DRY_RUN.of(request))


async def revert_revision(request: Request) -> Response:
    """Restore what a revision replaced, as a new revision."""
    body = to_model({} if not await read_body(request) else await read_json(request), RevertBody)
    revision, caller = REVISION.of(request), caller_of(request)
    demand(caller, Action.READ_LOG)

    async def edits() -> list[Edit]:
        replica = change_services(request).replica
        if revision < 1:
            raise NotFound(f"there is no revision {revision}", code="unknown_revision")
        before, after = await replica.at(revision - 1), await replica.at(revision)
        restoring, conflicts = undoing(before.environments, after.environments, replica.world.environments)
        authorise_revert(caller, restoring, revision)
        demand_untouched(conflicts)
        if not restoring:
            told = f"revision {revision} changed nothing that could be restored"
            raise Conflict(told, code="nothing_to_revert")
        return restoring

    reason = body.reason or f"revert of revision {revision}"
    return await propose_once(request, edits, reason=reason, kind="revert")


async def list_changes(request: Request) -> Response:
    """Changes, newest first."""
    limit, caller = LIMIT.of(request), caller_of(request)
    demand(caller, Action.READ_CHANGES)
    before = BEFORE_CHANGE.of(request)
    found = await change_services(request).database.reading(
        lambda tx: store.list_changes(tx, caller, before=before, limit=limit)
    )
    following = found[-1]["id"] if len(found) == limit else None
    return json_response({"changes": found, "next": following})


async def show_change(request: Request) -> Response:
    """One change, with its edits and what it moved."""
    change, caller = CHANGE.of(request), caller_of(request)
    demand(caller, Action.READ_CHANGES)
    found = await change_services(request).database.reading(lambda tx: store.show_change(tx, change))
    return json_response(cut_change(caller, found))


def _value_edit(request: Request, operation: Any, value: Any = None) -> ValueEdit:
    service = SERVICE.of(request) if "service" in request.path_params else None
    return ValueEdit(ENV.of(request), service, KEY.of(request), operation, value)


def _key_guard(request: Request, edit: ValueEdit) -> Guard | None:
    precondition = if_match(request)
    return key_matches(edit, precondition) if precondition else None


_WRITE: list[Parameter[Any]] = [DRY_RUN, IDEMPOTENCY_KEY]
_ERRORS = (404, 409, 413, 503, 507)
_BASE = "/v1/environments/{env}/configuration/{key:path}"
_SERVICE = "/v1/environments/{env}/services/{service}/configuration/{key:path}"


def routes() -> list[Operation]:
    """All operations of this module."""
    receipt: dict[int, Any] = {200: ReceiptAnswer}
    return [
        Operation(
            "POST",
            "/v1/changes",
            post_change,
            id="propose_change",
            summary="Propose a change",
            tag="changes",
            parameters=_WRITE,
            body=ChangeBody,
            answers=receipt,
            errors=_ERRORS,
            max_body=MAX_CHANGE_BYTES,
        ),
        Operation(
            "GET",
            "/v1/changes",
            list_changes,
            id="list_changes",
            summary="List changes",
            tag="changes",
            parameters=[LIMIT, BEFORE_CHANGE],
            answers={200: ChangesAnswer},
            errors=(404,),
        ),
        Operation(
            "GET",
            "/v1/changes/{id}",
            show_change,
            id="show_change",
            summary="Show a change",
            tag="changes",
            answers={200: ChangeAnswer},
            errors=(404,),
        ),
        Operation(
            "POST",
            "/v1/revisions/{n}/revert",
            revert_revision,
            id="revert_revision",
            summary="Restore what a revision replaced",
            tag="revisions",
            parameters=_WRITE,
            body=RevertBody,
            body_required=False,
            answers=receipt,
            errors=_ERRORS,
        ),
        Operation(
            "POST",
            "/v1/environments",
            post_environment,
            id="create_environment",
            summary="Create an environment",
            tag="environments",
            parameters=[*_WRITE, REASON],
            body=DOCUMENT,
            answers={200: ReceiptAnswer, 201: ReceiptAnswer},
            errors=_ERRORS,
            max_body=MAX_CHANGE_BYTES,
        ),
        Operation(
            "PATCH",
            "/v1/environments/{env}",
            patch_environment,
            id="update_environment",
            summary="Update attributes and facts of an environment",
            tag="environments",
            parameters=[*_WRITE, REASON],
            body=UPDATE,
            answers=receipt,
            errors=_ERRORS,
        ),
        Operation(
            "DELETE",
            "/v1/environments/{env}",
            delete_environment,
            id="delete_environment",
            summary="Delete an environment",
            tag="environments",
            parameters=[*_WRITE, REASON],
            answers=receipt,
            errors=_ERRORS,
        ),
        *_key_operations(_BASE, "base"),
        *_key_operations(_SERVICE, "service"),
    ]


def _key_operations(path: str, layer: str) -> list[Operation]:
    return [
        Operation(
            "PUT",
            path,
            put_key,
            id=f"set_{layer}_key",
            summary=f"Set a key in the {layer} layer",
            tag="configuration",
            parameters=[*_WRITE, IF_MATCH],
            body=ValueBody,
            answers={200: ReceiptAnswer},
            errors=(*_ERRORS, 412),
            max_body=MAX_CHANGE_BYTES,
        ),
        Operation(
            "DELETE",
            path,
            delete_key,
            id=f"delete_{layer}_key",
            summary=f"Delete a key from the {layer} layer",
            tag="configuration",
            parameters=[*_WRITE, IF_MATCH, REASON],
            answers={200: ReceiptAnswer},
            errors=(*_ERRORS, 412),
        ),
    ]

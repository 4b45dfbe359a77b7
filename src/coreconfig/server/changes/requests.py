"""From a request to a proposal and from its receipt to an answer, once however often the request comes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any, Protocol, cast

from starlette.requests import Request
from starlette.responses import Response

from coreconfig.errors import CoreConfigError
from coreconfig.model.edits import Edit, EnvironmentEdit
from coreconfig.server.access.caller import Caller, caller_of
from coreconfig.server.changes.commands import Proposals
from coreconfig.server.changes.model import Proposal, Receipt
from coreconfig.server.changes.visibility import cut_receipt
from coreconfig.server.web.bodies import read_body
from coreconfig.server.web.parameters import DRY_RUN, IDEMPOTENCY_KEY
from coreconfig.server.web.responses import json_response
from coreconfig.server.web.services import Services, services_of


class ChangeServices(Services, Protocol):
    """What these routes ask of the process beyond what all routes may."""

    @property
    def proposals(self) -> Proposals:
        """Where changes are proposed."""


def change_services(request: Request) -> ChangeServices:
    """The services that these routes use."""
    return cast("ChangeServices", services_of(request))


async def proposal_of(request: Request, edits: Sequence[Edit], **members: Any) -> Proposal:
    """The proposal of these edits; `members` are those of `Proposal`."""
    members.setdefault("kind", _kind_of(edits))
    key = IDEMPOTENCY_KEY.of(request)
    if key is None:
        return Proposal(tuple(edits), **members)
    asked = f"{request.method} {request.url.path}?{request.url.query}\0".encode()
    fingerprint = sha256(asked + await read_body(request)).hexdigest()
    return Proposal(tuple(edits), idempotency_key=key, fingerprint=fingerprint, **members)


def _kind_of(edits: Sequence[Edit]) -> str:
    """What the log calls a change, whichever route it came by."""
    return "environment" if any(isinstance(edit, EnvironmentEdit) for edit in edits) else "configuration"


async def propose_once(
    request: Request, edits: Callable[[], Awaitable[Sequence[Edit]]], **members: Any
) -> Response:
    """Propose edits that follow from the present state.

    That is another one when the request comes again; then its first answer counts, not what would follow now.
    """
    proposals, caller = change_services(request).proposals, caller_of(request)
    asked, dry_run = await proposal_of(request, (), **members), DRY_RUN.of(request)
    repeated = None if dry_run else await proposals.repeated(caller, asked)
    try:
        asked = replace(asked, edits=() if repeated else tuple(await edits()))
    except CoreConfigError:
        # the first of two may have been on its way when the second came
        repeated = None if dry_run else await proposals.repeated(caller, asked)
        if repeated is None:
            raise
    if repeated is not None:
        return _receipt_response(caller, repeated, 200)
    return await propose(request, asked, dry_run=dry_run)


async def propose(request: Request, proposal: Proposal, *, dry_run: bool, status: int = 200) -> Response:
    """The receipt, as far as the caller may read it. Raises what `Proposals.propose` raises."""
    caller = caller_of(request)
    receipt = await change_services(request).proposals.propose(caller, proposal, dry_run=dry_run)
    return _receipt_response(caller, receipt, 200 if dry_run else status)


def _receipt_response(caller: Caller, receipt: Receipt, status: int) -> Response:
    return json_response(cut_receipt(caller, receipt.to_json()), status=status, revision=receipt.revision)

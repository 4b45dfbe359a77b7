"""Idempotency keys: a request that is sent again is answered as it was the first time, and not done again."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, insert, select

from coreconfig.errors import Conflict
from coreconfig.server.changes.model import Proposal, Receipt
from coreconfig.server.changes.tables import idempotency
from coreconfig.wire import json


def answered(tx: Connection, principal: str, proposal: Proposal) -> Receipt | None:
    """The receipt that this key was answered with; None where it is new, or there is no key.

    Raises `Conflict` (``idempotency_mismatch``) if the key stood for another request.
    """
    if proposal.idempotency_key is None:
        return None
    row = tx.execute(
        select(idempotency.c.request_hash, idempotency.c.response).where(
            idempotency.c.principal == principal, idempotency.c.key == proposal.idempotency_key
        )
    ).first()
    if row is None:
        return None
    if row.request_hash != proposal.fingerprint:
        raise Conflict(
            "this Idempotency-Key was used for another request; take a new key for a new request",
            code="idempotency_mismatch",
        )
    said: dict[str, Any] = msgspec.json.decode(row.response)
    return Receipt(**said, repeated=True)


def remember(tx: Connection, principal: str, proposal: Proposal, receipt: Receipt, now: str) -> None:
    """Keep the receipt under the proposal's key, in the transaction that does what it says."""
    if proposal.idempotency_key is None:
        return
    tx.execute(
        insert(idempotency).values(
            principal=principal,
            key=proposal.idempotency_key,
            request_hash=proposal.fingerprint,
            status=200,
            response=json.encode(receipt.to_json()).decode(),
            created_at=now,
        )
    )

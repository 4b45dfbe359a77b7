"""Decide and record in one call: no authorised write goes unrecorded, no record lacks its decision."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, insert

from coreconfig.server.access.actions import Action, Target
from coreconfig.server.access.caller import Caller
from coreconfig.server.access.decisions import Concealed, Refused, demand
from coreconfig.server.audit.tables import audit
from coreconfig.wire import json

# Built once: SQLAlchemy then finds its compiled form by identity.
_RECORD = insert(audit).inline()


def guard(
    tx: Connection, caller: Caller, action: Action, target: Target, detail: dict[str, Any] | None = None
) -> None:
    """Let the caller through and record it in this transaction, or raise the refusal.

    A refusal ends the transaction, which would take its record with it; so the error carries what has to be
    written, and `record_refusal` writes it in a transaction of its own.
    """
    demand(caller, action, target)
    record(tx, caller, action, target, detail)


def record(
    tx: Connection, caller: Caller, action: Action, target: Target, detail: dict[str, Any] | None = None
) -> None:
    """Record what was authorised before this transaction began, because deciding it took long."""
    _record(tx, caller, action, target, allowed=True, detail=detail)


def record_refusal(tx: Connection, error: Refused | Concealed) -> None:
    """Record that a known caller was refused."""
    detail = {"code": error.code}
    _record(tx, error.caller, error.action, error.target, allowed=False, detail=detail)


def _record(
    tx: Connection,
    caller: Caller,
    action: Action,
    target: Target,
    *,
    allowed: bool,
    detail: dict[str, Any] | None,
) -> None:
    row = {
        "at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "principal": caller.principal,
        "action": action.value,
        "target": str(target),
        "allowed": allowed,
        "detail": json.encode(detail or {}, ordered=True).decode(),
    }
    tx.execute(_RECORD, row)

"""Change requests as rows: saving one with its commit, listing and showing them."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import msgspec
from sqlalchemy import Connection, RowMapping, and_, insert, or_, select

from coreconfig.errors import NotFound
from coreconfig.model.canonical import canonical
from coreconfig.model.edits import edit_to_json
from coreconfig.server.access.caller import Caller
from coreconfig.server.changes.model import Proposal, Receipt
from coreconfig.server.changes.tables import change_request
from coreconfig.server.changes.visibility import sees_some
from coreconfig.server.revisions.rows import LogRow
from coreconfig.wire import json

# Built once: SQLAlchemy then finds its compiled form by identity.
_SAVE = insert(change_request).inline()


def save(tx: Connection, caller: Caller, proposal: Proposal, receipt: Receipt, row: LogRow, now: str) -> None:
    """Store a change that the log row commits."""
    edits = [edit_to_json(edit) for edit in proposal.edits]
    facts = {
        "id": row.change_id,
        "state": receipt.state,
        "author": caller.principal,
        "reason": proposal.reason,
        "source": proposal.source,
        "created_at": now,
        "updated_at": now,
        "revision": row.revision,
        "subject": subject_of(edits, receipt.effective),
        "body": json.encode(edits).decode(),
        "affected": json.encode(receipt.affected).decode(),
        "effective": json.encode(receipt.effective).decode(),
        "issues": json.encode(receipt.issues).decode(),
    }
    tx.execute(_SAVE, facts)


def subject_of(edits: list[dict[str, Any]], effective: list[dict[str, Any]]) -> str:
    """What an approval is bound to: the SHA-256 over the edits and their effective difference."""
    return sha256(canonical([edits, effective]).encode()).hexdigest()


def list_changes(tx: Connection, caller: Caller, *, before: str | None, limit: int) -> list[dict[str, Any]]:
    """Changes that the caller may see, newest first; `before` is the last id of the page before."""
    query = select(change_request).order_by(change_request.c.created_at.desc(), change_request.c.id.desc())
    if before is not None:
        seen = tx.execute(select(change_request.c.created_at).where(change_request.c.id == before)).scalar()
        if seen is None:
            raise NotFound(f"there is no change {before!r} to continue from", code="bad_cursor")
        older = change_request.c.created_at < seen
        same_time = and_(change_request.c.created_at == seen, change_request.c.id < before)
        query = query.where(or_(older, same_time))
    found: list[dict[str, Any]] = []
    for row in tx.execute(query).mappings():
        if _visible(caller, row):
            found.append(_summary(row))
        if len(found) == limit:
            break
    return found


def show_change(tx: Connection, change: str) -> dict[str, Any]:
    """One change with its edits and its effective difference. Raises `NotFound` (``unknown_change``)."""
    row = tx.execute(select(change_request).where(change_request.c.id == change)).mappings().first()
    if row is None:
        raise NotFound(f"there is no change {change!r}", code="unknown_change")
    return {
        **_summary(row),
        "edits": msgspec.json.decode(row["body"]),
        "affected": msgspec.json.decode(row["affected"]),
        "effective": msgspec.json.decode(row["effective"]),
        "issues": msgspec.json.decode(row["issues"]),
        "subject": row["subject"],
    }


def _visible(caller: Caller, row: RowMapping) -> bool:
    affected, edits = msgspec.json.decode(row["affected"]), msgspec.json.decode(row["body"])
    return sees_some(caller, affected, edits, row["author"])


def _summary(row: RowMapping) -> dict[str, Any]:
    return {
        name: row[name]
        for name in ("id", "state", "author", "reason", "source", "created_at", "updated_at", "revision")
    }

"""Tokens as they are stored."""

from __future__ import annotations

import json

from sqlalchemy import Connection, Row, func, select

from coreconfig.server.identity.tables import token
from coreconfig.server.identity.tokens import TokenRecord

Version = tuple[int, int]
"""How many tokens there are and how many of them are revoked; rows never change otherwise."""


def all_tokens(tx: Connection) -> list[TokenRecord]:
    """Every token that was ever created, oldest first."""
    rows = tx.execute(select(token).order_by(token.c.created_at, token.c.id))
    return [_record(row) for row in rows]


def version_of(tx: Connection) -> Version:
    """Changes with every creation and every revocation."""
    row = tx.execute(select(func.count(), func.count(token.c.revoked_at)).select_from(token)).one()
    return int(row[0]), int(row[1])


def _record(row: Row[tuple[object, ...]]) -> TokenRecord:
    columns = dict(row._mapping)
    for name in ("environments", "roles", "keys"):
        columns[name] = tuple(json.loads(str(columns[name])))
    return TokenRecord(**columns)

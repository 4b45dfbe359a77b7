"""Tables of change requests, and of the answers that a repeated request gets again."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text

from coreconfig.server.db.metadata import metadata

change_request = Table(
    "change_request",
    metadata,
    Column("id", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("reason", Text),
    Column("source", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("updated_at", Text, nullable=False),
    Column("revision", BigInteger),
    Column("subject", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("affected", Text, nullable=False),
    Column("effective", Text, nullable=False),
    Column("issues", Text, nullable=False),
    Index(None, "created_at", "id"),
)
"""`body` (the edits), `affected`, `effective`, `issues` are JSON texts; `revision` is set by the commit."""

idempotency = Table(
    "idempotency",
    metadata,
    Column("principal", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("request_hash", Text, nullable=False),
    Column("status", Integer, nullable=False),
    Column("response", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Index(None, "created_at"),
)
"""What a principal's key was answered with, and the hash of the request that it belongs to."""

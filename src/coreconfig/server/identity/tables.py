"""The table of tokens."""

from __future__ import annotations

from sqlalchemy import Column, Table, Text

from coreconfig.server.db.metadata import metadata

token = Table(
    "token",
    metadata,
    Column("id", Text, primary_key=True),
    Column("secret_hash", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("service", Text),
    Column("environments", Text, nullable=False),
    Column("roles", Text, nullable=False),
    Column("keys", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("revoked_at", Text),
)
"""Only the SHA-256 of a secret is kept; `environments`, `roles` and `keys` are JSON lists."""

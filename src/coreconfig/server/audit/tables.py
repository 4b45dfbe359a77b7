"""The table of the audit."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, Table, Text

from coreconfig.server.db.metadata import metadata

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Text, nullable=False),
    Column("principal", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("allowed", Boolean, nullable=False),
    Column("detail", Text, nullable=False),
    Index(None, "principal", "id"),
)
"""One row for each decision that is recorded; `detail` is a JSON text."""

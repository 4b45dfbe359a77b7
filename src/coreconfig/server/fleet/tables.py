"""The table of instances: one row for each that is connected, or was."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Table, Text

from coreconfig.server.db.metadata import metadata

fleet_instance = Table(
    "fleet_instance",
    metadata,
    Column("environment", Text, primary_key=True),
    Column("service", Text, primary_key=True),
    Column("instance", Text, primary_key=True),
    Column("replica", Text, nullable=False),
    Column("session", Text, nullable=False),
    Column("link", Text, nullable=False),
    Column("cohort", Text),
    Column("labels", Text, nullable=False),
    Column("app_version", Text, nullable=False),
    Column("sdk", Text, nullable=False),
    Column("connected_at", Text, nullable=False),
    Column("left_at", Text),
    Column("epoch", BigInteger),
    Column("revision", BigInteger),
    Column("digest", Text),
    Column("overlay", Text),
    Column("last_nack", Text),
    Column("health", Text),
)
"""`labels`, `last_nack` and `health` are JSON texts; `replica` is the process that owns the session."""

"""The table that says which programs may work on this database."""

from __future__ import annotations

from sqlalchemy import Column, Integer, Table, Text

from coreconfig.server.db.metadata import metadata

compatibility = Table(
    "compatibility",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("oldest", Text, nullable=False),
)
"""One row. `oldest` is the lowest schema that a program has to know to work here: a migration that takes away
what older programs use raises it, one that only adds leaves it."""

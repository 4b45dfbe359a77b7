"""Tables of the log and of what is derived from it."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table, Text

from coreconfig.server.db.dialects import key_text, row_number
from coreconfig.server.db.metadata import metadata

head = Table(
    "head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("hash", Text, nullable=False),
    Column("installation", Text, nullable=False),
)
"""One row, which every writer locks: so commit order is revision order."""

log = Table(
    "log",
    metadata,
    Column("revision", row_number, primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("change_id", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("reason", Text),
    Column("committed_at", Text, nullable=False),
    Column("edits", Text, nullable=False),
    Column("previous", Text, nullable=False),
    Column("hash", Text, nullable=False),
)
"""One row for each revision; `edits` is the canonical JSON that was hashed."""

checkpoint = Table(
    "checkpoint",
    metadata,
    Column("revision", row_number, primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),
    Column("hash", Text, nullable=False),
    Column("taken_at", Text, nullable=False),
    Column("checksum", Text, nullable=False),
    Column("world", LargeBinary, nullable=False),
)
"""A world, so that nobody has to read the log from its first row."""

movement = Table(
    "movement",
    metadata,
    Column("environment", Text, primary_key=True),
    Column("key", key_text, primary_key=True),
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),
    Column("services", Text, nullable=False),
    Column("entries", Text, nullable=False),
    Index(None, "environment", "revision"),
    sqlite_with_rowid=False,
)
"""Which keys of which views a revision moved; the primary key answers "this key and everything below it"."""

"""Every fact that holds for one database product only: a module for each, behind one protocol."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol
from zlib import crc32

from sqlalchemy import BigInteger, Connection, Engine, Integer, Text, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from coreconfig.errors import CoreConfigError, Invalid

READ_THREADS = 4

# Advisory locks belong to a database; any number that nobody else takes will do.
_MIGRATION_LOCK = int.from_bytes(b"coreconf")

_TURNS = int.from_bytes(b"turn")

key_text = Text().with_variant(Text(collation="C"), "postgresql")
"""Text that compares by code point: ranges over keys mean what `last_moved` takes them for."""


row_number = BigInteger().with_variant(Integer(), "sqlite")
"""A number that is a primary key by itself: in SQLite only ``INTEGER`` needs no index for that."""

Noticed = Callable[[int | None], None]
"""Called with the revision that was announced, None for "there may be some"."""


class Dialect(Protocol):
    """What `Database` needs to know about a product."""

    name: str
    """The database as messages call it; never with a password."""
    writers: int
    """How many transactions may write at once; with one, they run in the order of the calls."""

    def hold(self) -> AbstractContextManager[object]:
        """Keep other servers off where the product allows one alone (`Conflict`, ``database_in_use``)."""

    def writing(self) -> Engine:
        """Connections whose transactions are durable when their commit returns."""

    def reading(self) -> Engine:
        """Connections whose transactions see one state from the first statement to the last."""

    def listening(self, noticed: Noticed) -> AbstractContextManager[object]:
        """Call `noticed`, from a thread of its own, about revisions that others committed, if told."""

    def failure(self, error: DBAPIError, *, committing: bool) -> CoreConfigError | None:
        """What a driver's error means, in a commit or before it; None if it is a fault of the program."""


def dialect_of(text: str) -> Dialect:
    """The dialect for a database URL.

    Raises `Invalid`: ``bad_database_url``, ``database_not_supported``, ``postgres_not_installed``.
    """
    from coreconfig.server.db.dialects.postgresql import SCHEMES, PostgreSQL
    from coreconfig.server.db.dialects.sqlite import SQLite, path_of

    scheme = text.partition("://")[0]
    if scheme in SCHEMES:  # libpq reads its own URLs, which may name several hosts
        return PostgreSQL.at(text)
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise Invalid(
            f"{_without_password(text)!r} is not a database URL; write sqlite:///file.db"
            " or postgresql://user@host/database",
            code="bad_database_url",
        ) from None
    if url.get_backend_name() == "sqlite":
        return SQLite(path_of(url))
    raise Invalid(
        f"{url.get_backend_name()} is not a database that CoreConfig knows; write sqlite:///file.db"
        " or postgresql://user@host/database",
        code="database_not_supported",
    )


def lock_schema(tx: Connection) -> None:
    """Let no other process migrate until this transaction ends, and give migrations the time they need.

    An SQLite transaction that writes is alone from the beginning. Tables in use are waited for shortly only:
    whoever came after a waiting migration would have to wait as well.
    """
    if tx.dialect.name != "postgresql":
        return
    tx.execute(
        text("SELECT set_config('lock_timeout', '0', true), set_config('statement_timeout', '0', true)")
    )
    tx.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
    tx.execute(text("SET LOCAL lock_timeout = '5s'"))


def take_turn(tx: Connection, what: str) -> None:
    """Be the only transaction that does this until it ends, where what decides is no single row.

    An SQLite transaction that writes is alone from the beginning.
    """
    if tx.dialect.name == "postgresql":
        place = {"space": _TURNS, "what": crc32(what.encode()) - 2**31}
        tx.execute(text("SELECT pg_advisory_xact_lock(:space, :what)"), place)


def _without_password(text: str) -> str:
    return text if "@" not in text else "…@" + text.rpartition("@")[2]

"""The schema through time: Alembic, run from inside the package on the caller's connection.

Several servers may share a database, and not all of them are of one version while they are replaced. So a
schema first grows (new tables, new columns that may be absent) and loses what nobody uses any more in a later
version; and the database says which programs may work on it (`tables.compatibility`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from coreconfig import __version__
from coreconfig.errors import Invalid
from coreconfig.server.db.dialects import lock_schema

if TYPE_CHECKING:
    from alembic.config import Config

SCHEMA = "0003"
"""The newest schema that this program knows. Numbers are ordered; a test holds this against the files."""

_VERSIONS = "alembic_version"
_NO_PROGRAM = "9999"


def ensure_schema(tx: Connection, *, migrate: bool = True) -> None:
    """Bring an empty or older database up to `SCHEMA`, all or nothing; of two who try one waits.

    A newer schema is good enough as long as it says that programs of this one may use it.

    Raises `Invalid`: ``database_newer``, ``database_foreign`` (tables of somebody else), ``database_older``
    (only if it may not migrate).
    """
    found = schema_of(tx)
    if found is None or found < SCHEMA:
        if migrate:
            lock_schema(tx)
        found = schema_of(tx)  # what somebody else made while this one waited
    if found == SCHEMA:
        return
    if found is not None and found > SCHEMA:
        if oldest_program(tx) <= SCHEMA:
            return
        raise Invalid(
            f"the database has schema {found}, and this program (CoreConfig {__version__}) knows schemas "
            f"up to {SCHEMA} only, which that one has left behind; start the CoreConfig that wrote it, or "
            "a newer one, or restore a backup made before the upgrade",
            code="database_newer",
        )
    if not migrate:
        raise Invalid(
            f"the database has schema {found or 'none'}, and this program needs {SCHEMA}; "
            "run `coreconfig migrate` first",
            code="database_older",
        )
    upgrade(tx)


def schema_of(tx: Connection) -> str | None:
    """The schema of a database, None for an empty one. Raises `Invalid` (``database_foreign``)."""
    tables = inspect(tx).get_table_names()
    if _VERSIONS in tables:
        found = tx.execute(text("SELECT version_num FROM alembic_version")).scalar()
        return None if found is None else str(found)
    if tables:
        raise Invalid(
            f"the database holds tables of another program ({', '.join(sorted(tables)[:3])}); "
            "give CoreConfig a database of its own",
            code="database_foreign",
        )
    return None


def oldest_program(tx: Connection) -> str:
    """The lowest schema that a program has to know to work on this database."""
    said = tx.execute(text("SELECT oldest FROM compatibility WHERE id = 1")).scalar()
    return _NO_PROGRAM if said is None else str(said)


def configuration(tx: Connection) -> Config:
    """Alembic's configuration without a file: it works on the caller's connection and transaction."""
    from alembic.config import Config  # takes long to load, and is needed on the day of an upgrade only

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = tx
    return config


def upgrade(tx: Connection, to: str = SCHEMA) -> None:
    """Run the migrations that are missing."""
    from alembic import command

    command.upgrade(configuration(tx), to)

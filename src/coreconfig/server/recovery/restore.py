"""Restoring a backup: an older state begins an epoch of its own, so that every client follows there."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from coreconfig.errors import Conflict, CoreConfigError, Invalid, StoreIntegrity
from coreconfig.server.access.actions import Action, Target
from coreconfig.server.access.caller import ADMIN, Caller
from coreconfig.server.audit.guard import record
from coreconfig.server.db.dialects.sqlite import SQLite
from coreconfig.server.db.dialects.sqlite_file import SQLiteFile, file_of, sync
from coreconfig.server.db.migrations import ensure_schema, schema_of
from coreconfig.server.identity.tables import token
from coreconfig.server.recovery.commands import utc_now
from coreconfig.server.recovery.verify import Verified, opened, verify_file
from coreconfig.server.revisions.epochs import begin_epoch, following
from coreconfig.server.revisions.log import LogRow, read_head
from coreconfig.server.revisions.rows import Head


@dataclass(frozen=True, slots=True)
class Restored:
    """What is served from now on: the backup's state, as the first revision of an epoch.

    `aside` is where the replaced database lies, None where there was none.
    """

    backup: Verified
    row: LogRow
    aside: Path | None


@dataclass(frozen=True, slots=True)
class Replaced:
    """What has to be known of a database before it gives way."""

    head: Head
    tokens: list[dict[str, Any]]


def restore(
    url: str,
    backup: Path,
    *,
    reason: str | None = None,
    epoch: int | None = None,
    other_installation: bool = False,
) -> Restored:
    """Put a verified backup in the place of the database, in an epoch greater than both have ever been in.

    The backup itself is only read. Who may do what is not taken back: tokens that were created or revoked
    since are carried over. Until the last step, which is one rename, the database is as it was.

    Raises `Conflict` (``database_in_use``, ``another_installation``, ``epoch_too_low``), `StoreIntegrity` (a
    damaged backup, or ``epoch_unknown``: the database that would be replaced cannot be read), `Invalid`
    (``backup_not_supported``, ``bad_backup_file``) and `NotFound` (``no_database``).
    """
    target, source = file_of(url), SQLiteFile(backup.resolve())
    source.demand()
    if source.path == target.path:
        raise Invalid("the backup is the database itself; name another file", code="bad_backup_file")
    with SQLite(target.path).hold(), _workplace(target.path) as copy:
        source.copy_to(copy)
        verified = verify_file(copy)
        replaced = _replaced(target, is_epoch_given=epoch is not None)
        _demand_same(verified.head, replaced, other=other_installation)
        known = (verified.head.epoch, replaced.head.epoch if replaced else 0)
        chosen = following(*known, wanted=epoch)
        row = _prepared(copy, chosen, replaced, reason or f"restored from {backup.name}")
        aside = _aside(target.path, chosen) if target.path.exists() else None
        target.replace_by(copy, aside)
    return Restored(verified, row, aside)


@contextmanager
def _workplace(database: Path) -> Iterator[Path]:
    """A name beside the database for the file that will take its place; nothing of it stays behind."""
    copy = database.with_name(f".{database.name}.{token_hex(4)}")
    try:
        yield copy
    finally:
        for end in ("", "-wal", "-shm", "-journal"):
            copy.with_name(copy.name + end).unlink(missing_ok=True)


def _replaced(target: SQLiteFile, *, is_epoch_given: bool) -> Replaced | None:
    """What is there now; None where there is no database, or one that nobody can read any more."""
    if not target.path.exists():
        return None
    try:
        with opened(target.path) as database:
            return database.read(_read)
    except (CoreConfigError, SQLAlchemyError) as error:
        if getattr(error, "code", None) == "database_foreign":
            raise
        if is_epoch_given:
            return None
        raise StoreIntegrity(
            f"{target.path} cannot be read ({error}), so it is not known in which epoch clients are; say with"
            " --epoch a number that is greater than every epoch that was ever in use",
            code="epoch_unknown",
        ) from error


def _read(tx: Connection) -> Replaced | None:
    if schema_of(tx) is None:
        return None
    tokens = [dict(row) for row in tx.execute(select(token)).mappings()]
    return Replaced(read_head(tx), tokens)


def _demand_same(backup: Head, replaced: Replaced | None, *, other: bool) -> None:
    if replaced is not None and replaced.head.installation != backup.installation and not other:
        raise Conflict(
            "the backup is of another installation than the database that it would replace; say"
            " --other-installation if that is meant",
            code="another_installation",
        )


def _prepared(copy: Path, epoch: int, replaced: Replaced | None, reason: str) -> LogRow:
    """Bring the copy to this program's schema and begin the epoch in it."""

    def begin(tx: Connection) -> LogRow:
        if replaced is not None:
            _carry_over(tx, replaced.tokens)
        who = _operator()
        detail = {"reason": reason, "epoch": epoch}
        record(tx, who, Action.BEGIN_EPOCH, Target(name="restore"), detail)
        facts = {"author": who.principal, "reason": reason, "committed_at": utc_now()}
        return begin_epoch(tx, epoch, kind="restored", **facts)

    with opened(copy) as database:
        database.write(ensure_schema)
        row = database.write(begin)
    SQLiteFile(copy).settle()
    sync(copy)
    return row


def _carry_over(tx: Connection, tokens: list[dict[str, Any]]) -> None:
    """Tokens as they are now: a restore lets no revoked one in again, and locks nobody out."""
    held = set(tx.execute(select(token.c.id)).scalars())
    for one in tokens:
        if one["id"] not in held:
            tx.execute(insert(token), one)
        elif one["revoked_at"] is not None:
            same = (token.c.id == one["id"], token.c.revoked_at.is_(None))
            tx.execute(update(token).where(*same).values(revoked_at=one["revoked_at"]))


def _operator() -> Caller:
    """Whoever has the database's file in his hands needs no token."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container without a user of that number
        name = "unknown"
    return Caller(principal=f"host:{name}", kind="local", roles=frozenset({ADMIN}))


def _aside(database: Path, epoch: int) -> Path:
    """A name that is free, for the file that gives way."""
    first = database.with_name(f"{database.name}.before-epoch-{epoch}")
    names = (first, *(first.with_name(f"{first.name}.{number}") for number in range(2, 1000)))
    return next(name for name in names if not name.exists())

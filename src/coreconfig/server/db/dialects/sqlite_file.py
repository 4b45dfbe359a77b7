"""An SQLite database as a file: copied while it is in use, checked, and put in the place of another."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from sqlalchemy.exc import DBAPIError

from coreconfig.errors import Invalid, NotFound, StoreIntegrity
from coreconfig.server.db.dialects import dialect_of
from coreconfig.server.db.dialects.sqlite import SQLite

_BUSY_SECONDS = 30.0
_SIDE_FILES = ("-wal", "-shm", "-journal")


def file_of(url: str) -> SQLiteFile:
    """The file behind a database URL. Raises `Invalid`: ``backup_not_supported``, and as `dialect_of`."""
    dialect = dialect_of(url)
    if isinstance(dialect, SQLite):
        return SQLiteFile(dialect.path)
    raise Invalid(
        f"{dialect.name} has backup tools of its own: take one with pg_dump or a base backup; after restoring"
        " it, start the server and run `coreconfig epoch new --reason …`, so that clients follow",
        code="backup_not_supported",
    )


class SQLiteFile:
    """One database file; no method needs a server, and `copy_to` does not mind one."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def demand(self) -> None:
        """Raise `NotFound` (``no_database``) unless there is a file, which SQLite itself would make."""
        if not self.path.is_file():
            raise NotFound(f"there is no file {self.path}", code="no_database")

    def copy_to(self, target: Path) -> None:
        """Write the state of one moment into a new file, durably and in one piece.

        All pages are copied in one step, which holds a read lock: writers go on beside it, and what they
        commit meanwhile is not in the copy (https://www.sqlite.org/backup.html).
        """
        self.demand()
        with self._explained(target), closing(self._reading()) as source:
            # created here, so that nobody else can read it for a moment
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            with closing(sqlite3.connect(target, isolation_level=None)) as copy:
                source.backup(copy)
                copy.execute("PRAGMA journal_mode=DELETE").close()  # all of it in one file
        sync(target)

    def check(self) -> None:
        """Raise `StoreIntegrity` (``database_corrupt``) unless every page and index is as it should be."""
        self.demand()
        with self._explained(self.path), closing(self._reading()) as connection:
            (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        if found != "ok":
            raise StoreIntegrity(f"{self.path} is damaged ({found})", code="database_corrupt")

    def settle(self) -> None:
        """Take over what lies in the write-ahead log; afterwards the one file is everything."""
        with (
            self._explained(self.path),
            closing(sqlite3.connect(self.path, isolation_level=None)) as connection,
        ):
            connection.execute("PRAGMA journal_mode=DELETE").close()

    def replace_by(self, copy: Path, aside: Path | None) -> None:
        """Put `copy` in the place of this file, which is kept as `aside`. Nobody may have either open.

        The name leads to a whole database at every moment, also if the machine stops in the middle.
        """
        if aside is not None:
            _like(self.path, copy)
            self._keep(aside)
        copy.replace(self.path)
        sync_folder(self.path.parent)

    def _keep(self, aside: Path) -> None:
        with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(self.path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
        try:
            os.link(self.path, aside)
        except OSError:  # a file system without links
            shutil.copyfile(self.path, aside)
        for end in _SIDE_FILES:  # of a damaged file; beside the new one they would damage that too
            side = self.path.with_name(self.path.name + end)
            if side.exists():
                side.replace(aside.with_name(aside.name + end))

    def _reading(self) -> sqlite3.Connection:
        address = f"file:{quote(str(self.path))}?mode=ro"
        return sqlite3.connect(address, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)

    @contextmanager
    def _explained(self, written: Path) -> Iterator[None]:
        """Errors of the driver as our own; a full disk is that of the file that is written."""
        try:
            yield
        except sqlite3.Error as error:
            name = getattr(error, "sqlite_errorname", "")
            path = written if name == "SQLITE_FULL" else self.path
            meant = SQLite(path).failure(DBAPIError(None, None, error), committing=False)
            raise (meant or error) from error


def _like(path: Path, other: Path) -> None:
    """Let whoever could open one file open the other: a server may run as another user than this one."""
    had = path.stat()
    other.chmod(had.st_mode & 0o777)
    if (had.st_uid, had.st_gid) != (os.geteuid(), os.getegid()):
        os.chown(other, had.st_uid, had.st_gid)


def sync(path: Path) -> None:
    """Have the content of a file on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Have the names in a folder on the disk."""
    sync(path)

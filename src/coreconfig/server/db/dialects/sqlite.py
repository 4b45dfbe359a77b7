"""SQLite: one file, one server, one writer."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import DBAPIError

from coreconfig.errors import CoreConfigError, Invalid, StorageFull, StoreIntegrity, Unavailable
from coreconfig.server.db.dialects import READ_THREADS, Noticed
from coreconfig.server.db.filelock import FileLock

_BUSY_TIMEOUT = 5000  # milliseconds that a statement waits for another process's lock
_CHECKPOINT_PAGES = 1000  # the write-ahead log is taken over into the file about every 4 MB


def path_of(url: URL) -> Path:
    """The file that a URL names. Raises `Invalid` (``bad_database_url``)."""
    if url.database in (None, "", ":memory:") or url.query:
        raise Invalid(
            "the database has to be a plain file, since it must survive the server: sqlite:///file.db",
            code="bad_database_url",
        )
    path = Path(os.path.realpath(str(url.database)))
    if not path.parent.is_dir():
        raise Invalid(
            f"the folder {path.parent} does not exist; create it or name another file",
            code="bad_database_url",
        )
    return path


class SQLite:
    """One file, one server, one writer; durable at commit (WAL with ``synchronous=FULL``)."""

    writers = 1

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = str(path)

    def hold(self) -> FileLock:
        """See `Dialect`; a second writer would not break the file, but two worlds would diverge in time."""
        return FileLock(self.path)

    def writing(self) -> Engine:
        """See `Dialect`. The driver's own transactions begin too late, at the first write: lost updates."""
        return self._engine("BEGIN IMMEDIATE", 1, ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL"))

    def reading(self) -> Engine:
        """See `Dialect`; these connections refuse to write."""
        return self._engine("BEGIN", READ_THREADS, ("PRAGMA query_only=ON",))

    def _engine(self, begin: str, connections: int, pragmas: tuple[str, ...]) -> Engine:
        engine = create_engine(
            URL.create("sqlite", database=str(self.path)),
            connect_args={
                "isolation_level": None,
                "check_same_thread": False,
                "timeout": _BUSY_TIMEOUT / 1000,
                "cached_statements": 256,
            },
            pool_size=connections,
            max_overflow=0,
            pool_timeout=30,
        )
        common = ("PRAGMA foreign_keys=ON", f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
        event.listen(engine, "connect", _on_connect((*pragmas, *common)))
        event.listen(engine, "begin", _on_begin(begin))
        return engine

    def listening(self, noticed: Noticed) -> AbstractContextManager[object]:
        """See `Dialect`; nobody else writes into the file."""
        return nullcontext()

    def failure(self, error: DBAPIError, *, committing: bool) -> CoreConfigError | None:
        """See `Dialect`; result codes: https://www.sqlite.org/rescode.html."""
        name = getattr(error.orig, "sqlite_errorname", None) or ""
        if name == "SQLITE_FULL" or (
            name.startswith(("SQLITE_IOERR", "SQLITE_CANTOPEN")) and self._is_full()
        ):
            return StorageFull(
                f"the disk that holds {self.path} is full, so nothing was stored; free some space "
                "and the next write goes through",
                retry_after=10,
            )
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            return StoreIntegrity(
                f"{self.path} is damaged or not a database of CoreConfig ({error.orig}); restore a backup",
                code="database_corrupt",
            )
        return self._unavailable(name, error)

    def _unavailable(self, name: str, error: DBAPIError) -> Unavailable | None:
        for start, code, text in _TROUBLE:
            if name.startswith(start):
                return Unavailable(
                    f"{self.path}: {text} ({error.orig}); nothing was stored", code=code, retry_after=5
                )
        return None

    def _is_full(self) -> bool:
        try:
            room = os.statvfs(self.path.parent)
        except OSError:
            return False
        return room.f_bavail == 0 or (room.f_files > 0 and room.f_favail == 0)


_TROUBLE = (
    ("SQLITE_READONLY", "storage_read_only", "cannot be written, the file or its file system is read-only"),
    ("SQLITE_CANTOPEN", "storage_unreachable", "cannot be opened; check the path and the permissions"),
    ("SQLITE_PERM", "storage_unreachable", "cannot be opened; check the permissions"),
    ("SQLITE_IOERR", "storage_failed", "the disk failed to read or write"),
    ("SQLITE_BUSY", "database_busy", "another process holds the write lock"),
    ("SQLITE_LOCKED", "database_busy", "another transaction holds the lock"),
)


def _on_connect(pragmas: tuple[str, ...]) -> Callable[[sqlite3.Connection, object], None]:
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        for pragma in pragmas:
            connection.execute(pragma).close()

    return prepare


def _on_begin(statement: str) -> Callable[[Connection], None]:
    def begin(connection: Connection) -> Any:
        connection.exec_driver_sql(statement)

    return begin

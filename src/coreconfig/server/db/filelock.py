"""One server for one database file."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from coreconfig.errors import Conflict, Unavailable


class FileLock:
    """An advisory lock on ``<file>.lock``, which the operating system gives up however its process ends.

    The lock file stays where it is: if it were removed, a third process could lock another of the same name.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._path = database.with_name(database.name + ".lock")
        self._file: int | None = None

    def __enter__(self) -> Self:
        """Take the lock. Raises `Conflict` (``database_in_use``) naming the process that has it."""
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Unavailable(
                f"{self._path} cannot be created ({error.strerror}); the server has to write in that folder",
                code="storage_unreachable",
            ) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(file, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(file)
            raise self._in_use(holder) from None
        _write_pid(file)
        self._file = file
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _in_use(self, holder: str) -> Conflict:
        return Conflict(
            f"another server (process {holder}) has {self._database} open; stop that one, "
            "or give this one a database of its own",
            code="database_in_use",
        )


def _write_pid(file: int) -> None:
    os.ftruncate(file, 0)
    try:
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
    except OSError:
        return  # a full disk: the lock holds all the same, and only its holder's number is not shown

"""Transactions: plain functions over a connection, run in threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from coreconfig.errors import Unavailable
from coreconfig.server.db.dialects import READ_THREADS, Dialect, Noticed, dialect_of
from coreconfig.server.db.migrations import ensure_schema

T = TypeVar("T")


class Database:
    """An open database. What is passed to it runs inside one transaction and must not keep the connection.

    Errors of the product come out as our own: `StorageFull`; `Unavailable` with ``storage_read_only``,
    ``storage_failed``, ``storage_refused``, ``storage_unreachable``, ``database_connections`` or
    ``database_busy``; `StoreIntegrity` (``database_corrupt``). Whatever is raised, nothing of the transaction
    was stored, and the next one may succeed. There is one exception, where the product is another process:
    `Unavailable` (``outcome_unknown``) after a commit whose answer was lost.
    """

    def __init__(self, dialect: Dialect, held: ExitStack) -> None:
        self._dialect = dialect
        self._held = held
        one_at_a_time = dialect.writers == 1
        self._turn: AbstractContextManager[object] = threading.Lock() if one_at_a_time else nullcontext()
        self._write_engine = dialect.writing()
        self._read_engine = dialect.reading()
        self._writer = ThreadPoolExecutor(dialect.writers, "coreconfig-writer")
        self._readers = ThreadPoolExecutor(READ_THREADS, "coreconfig-reader")
        self._closed = False

    @property
    def name(self) -> str:
        """The database as messages call it; never with a password."""
        return self._dialect.name

    @classmethod
    def open(cls, url: str, *, migrate: bool = True) -> Database:
        """Open, and bring the schema up to date; with `migrate` false ``database_older`` is raised instead.

        Raises `Invalid` (``bad_database_url``, ``database_not_supported``, ``database_newer``,
        ``database_foreign``, ``database_encoding``, ``postgres_not_installed``) and `Conflict`
        (``database_in_use``: another server has the file).
        """
        dialect = dialect_of(url)
        with ExitStack() as held:
            held.enter_context(dialect.hold())
            database = cls(dialect, held.pop_all())
        try:
            database.write(lambda tx: ensure_schema(tx, migrate=migrate))
        except BaseException:
            database.close()
            raise
        return database

    def read(self, fn: Callable[[Connection], T]) -> T:
        """Run in a transaction that sees one state throughout and cannot write."""
        self._demand_open()
        try:
            with self._read_engine.connect() as tx, tx.begin():
                return fn(tx)
        except (DBAPIError, PoolTimeout) as error:
            self._explain(error, committing=False)
            raise

    def write(self, fn: Callable[[Connection], T]) -> T:
        """Run in a transaction that is durable when this returns.

        With SQLite it holds the write lock from the first statement. With PostgreSQL a statement sees what
        was committed before it, and who decides by what he reads locks that first (`log.lock_head`).
        """
        self._demand_open()
        committing = False
        try:
            with self._turn, self._write_engine.connect() as tx, tx.begin() as transaction:
                result = fn(tx)
                committing = True
                transaction.commit()
                return result
        except (DBAPIError, PoolTimeout) as error:
            self._explain(error, committing=committing)
            raise

    async def reading(self, fn: Callable[[Connection], T]) -> T:
        """`read` in one of a few reader threads."""
        return await self._in(self._readers, self.read, fn)

    async def writing(self, fn: Callable[[Connection], T]) -> T:
        """`write` in a writer thread. Cancelling takes nothing back.

        With SQLite in the order of the calls; elsewhere only who waits for one before he asks for the next
        has an order.
        """
        return await self._in(self._writer, self.write, fn)

    async def _in(
        self,
        threads: ThreadPoolExecutor,
        run: Callable[[Callable[[Connection], T]], T],
        fn: Callable[[Connection], T],
    ) -> T:
        self._demand_open()
        return await asyncio.get_running_loop().run_in_executor(threads, run, fn)

    def listen(self, noticed: Noticed) -> None:
        """Call `noticed`, in another thread, about revisions of other servers, where that is told.

        It is a hint that may be missing, late or wrong; None stands for "there may be some". Until `close`.
        """
        self._held.enter_context(self._dialect.listening(noticed))

    def close(self) -> None:
        """Let running transactions finish, then close the file and let another server have it."""
        self._closed = True
        for threads in (self._writer, self._readers):
            threads.shutdown(wait=True, cancel_futures=True)
        self._read_engine.dispose()
        with self._turn:
            self._write_engine.dispose()
        self._held.close()

    def _demand_open(self) -> None:
        if self._closed:
            raise Unavailable("the server is shutting down", code="database_closed", retry_after=1)

    def _explain(self, error: DBAPIError | PoolTimeout, *, committing: bool) -> None:
        """Raise what the product's error means; return if it is a fault of the program."""
        if isinstance(error, PoolTimeout):
            raise Unavailable(
                f"{self._dialect.name} is busy: all connections to it are in use; nothing was stored",
                code="database_busy",
                retry_after=1,
            ) from error
        meant = self._dialect.failure(error, committing=committing)
        if meant is None:
            return
        if meant.code == "storage_read_only":
            self._write_engine.dispose()  # another host may be the one that can be written by now
            self._read_engine.dispose()
        raise meant from error

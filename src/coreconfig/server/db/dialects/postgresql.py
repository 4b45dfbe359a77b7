"""PostgreSQL 13 and newer, by psycopg 3: several servers, several writers, one truth.

The address is libpq's own (https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING), so
that what an operator knows about hosts, certificates and password files holds. With several hosts the one
that can write is used, for reads too: a standby that lags would show a log that goes back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from coreconfig.errors import CoreConfigError, Invalid, StorageFull, StoreIntegrity, Unavailable
from coreconfig.server.db.dialects import READ_THREADS, Noticed
from coreconfig.server.db.notices import Listening

if TYPE_CHECKING:
    import psycopg

SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")

WRITERS = 4

_DEFAULTS = {
    "application_name": "coreconfig",
    "client_encoding": "utf8",
    "connect_timeout": "5",  # seconds for each host
    # a peer that is gone without a word is found out within 15 s, also in the middle of a statement
    "keepalives": "1",
    "keepalives_idle": "5",
    "keepalives_interval": "3",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
}
# Milliseconds. A process that was stopped in the middle of a transaction loses it and its locks.
_WRITING = {
    "lock_timeout": "10000",
    "statement_timeout": "30000",
    "idle_in_transaction_session_timeout": "5000",
}
_READING = {"statement_timeout": "30000", "idle_in_transaction_session_timeout": "60000"}
_SET = "SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) AS given (name, value)"
# An acknowledged write has to survive a crash also where somebody made commits faster than that.
_DURABLE = (
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
)


class PostgreSQL:
    """A database of its own on a server that others may use too; see `Dialect`."""

    writers = WRITERS

    def __init__(self, parameters: Mapping[str, str]) -> None:
        self.parameters = {**_DEFAULTS, **parameters}
        if "," in parameters.get("host", "") or "," in parameters.get("hostaddr", ""):
            self.parameters.setdefault("target_session_attrs", "read-write")
        self.name = _name_of(self.parameters)
        self._own: WeakKeyDictionary[ConnectionPoolEntry, int] = WeakKeyDictionary()

    @classmethod
    def at(cls, url: str) -> Self:
        """The database at a URL. Raises `Invalid` (``bad_database_url``, ``postgres_not_installed``)."""
        try:
            from psycopg import ProgrammingError
            from psycopg.conninfo import conninfo_to_dict
        except ImportError as error:
            raise Invalid(
                f"PostgreSQL needs psycopg, which cannot be loaded ({error}):"
                " pip install 'coreconfig[postgres]'",
                code="postgres_not_installed",
            ) from error
        try:
            said = conninfo_to_dict("postgresql://" + url.partition("://")[2])
        except ProgrammingError:
            raise _bad_address() from None  # libpq's own words would repeat the password
        parameters = {name: str(value) for name, value in said.items() if value is not None}
        ports = parameters.get("port", "").split(",")
        if "@" in parameters.get("host", "") or not all(port.isdecimal() or not port for port in ports):
            raise _bad_address()
        return cls(parameters)

    def hold(self) -> AbstractContextManager[object]:
        """See `Dialect`; any number of servers may share it."""
        return nullcontext()

    def writing(self) -> Engine:
        """See `Dialect`. Each statement sees what was committed before it: after a lock, the newest."""

        def prepare(connection: psycopg.Connection[Any], place: ConnectionPoolEntry) -> None:
            _prepare_writing(connection)
            self._own[place] = connection.info.backend_pid

        return self._engine(WRITERS, prepare)

    def reading(self) -> Engine:
        """See `Dialect`; the product refuses writes in these transactions."""
        return self._engine(READ_THREADS, lambda connection, _place: _prepare_reading(connection))

    def _engine(
        self, connections: int, prepare: Callable[[psycopg.Connection[Any], ConnectionPoolEntry], None]
    ) -> Engine:
        engine = create_engine(
            "postgresql+psycopg://",
            pool_size=connections,
            max_overflow=0,
            pool_timeout=10,
            pool_pre_ping=True,  # connections that a restart has broken are replaced, not handed out
            use_native_hstore=False,
        )

        def connect(_dialect: object, _record: object, _args: object, parameters: dict[str, Any]) -> None:
            parameters.update(self.parameters)

        event.listen(engine, "do_connect", connect)
        event.listen(engine, "connect", prepare)
        return engine

    def listening(self, noticed: Noticed) -> AbstractContextManager[object]:
        """See `Dialect`: one connection that does nothing else, never a pooled one.

        What this process committed it does not have to be told.
        """
        name = f"{self.parameters['application_name']} notices"
        parameters = {**self.parameters, "application_name": name}
        return Listening(parameters, noticed, is_own=lambda pid: pid in self._own.values())

    def failure(self, error: DBAPIError, *, committing: bool) -> CoreConfigError | None:
        """See `Dialect`; codes: https://www.postgresql.org/docs/current/errcodes-appendix.html."""
        state = getattr(error.orig, "sqlstate", None) or ""
        text = str(error.orig).strip().replace("\n", "; ")
        if _is_lost(error, state):
            return self._lost(text, state, committing=committing)
        if not state and isinstance(error.orig, _data_error()):
            return Invalid("text with a NUL character cannot be stored or looked for", code="bad_text")
        if state == "53100":
            return StorageFull(
                f"the disk of {self.name} is full, so nothing was stored ({text}); free some space there and"
                " the next write goes through",
                retry_after=10,
            )
        if state.startswith("XX") and state != "XX000":
            return StoreIntegrity(
                f"{self.name} is damaged ({text}); restore a backup", code="database_corrupt"
            )
        for start, code, meaning, wait in _TROUBLE:
            if state.startswith(start):
                return Unavailable(
                    f"{self.name} {meaning} ({text}); nothing was stored", code=code, retry_after=wait
                )
        return None

    def _lost(self, text: str, state: str, *, committing: bool) -> Unavailable:
        if committing:
            return Unavailable(
                f"the connection to {self.name} broke during the commit ({text}): the change may be stored or"
                " not; send it again with the same Idempotency-Key, or look first",
                code="outcome_unknown",
                retry_after=1,
            )
        if state.startswith("533") or any(words in text for words in _NO_CONNECTION_LEFT):
            return Unavailable(
                f"{self.name} has no connection left for this server ({text}); raise its max_connections,"
                f" of which each CoreConfig server takes up to {WRITERS + READ_THREADS + 1}",
                code="database_connections",
                retry_after=5,
            )
        return Unavailable(
            f"{self.name} cannot be reached ({text}); nothing was stored",
            code="storage_unreachable",
            retry_after=2,
        )


# A refused connection comes without a code; where the server speaks another language, as unreachable.
_NO_CONNECTION_LEFT = ("too many clients", "too many connections", "remaining connection slots")

# The first that fits counts: start of the code, our code, what it means, seconds until another try.
_TROUBLE = (
    ("25006", "storage_read_only", "is read-only, a standby or being switched over", 5),
    ("40", "database_busy", "could not run this beside another transaction", 1),
    ("55P03", "database_busy", "is held by another transaction for too long", 1),
    ("57014", "database_busy", "took too long", 5),
    ("53", "storage_failed", "lacks resources", 5),
    ("58", "storage_failed", "failed to read or write", 5),
    ("42501", "storage_refused", "does not let this user do that", 30),
)


def _bad_address() -> Invalid:
    return Invalid(
        "this is not an address of a PostgreSQL database; write postgresql://user@host:5432/database,"
        " with %40 for an @ in a name or a password",
        code="bad_database_url",
    )


def _data_error() -> type[Exception]:
    """What the driver raises for text that the product cannot hold, before it is sent."""
    from psycopg import DataError

    return DataError


def _is_lost(error: DBAPIError, state: str) -> bool:
    """Whether there is no connection (any more), so that the server cannot have answered the statement."""
    import psycopg

    if error.connection_invalidated or state.startswith(("08", "57P", "25P03", "28", "3D", "533")):
        return True
    return not state and isinstance(error.orig, psycopg.OperationalError)


def _prepare_writing(connection: psycopg.Connection[Any]) -> None:
    from psycopg import IsolationLevel

    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise Invalid(
            f"the database stores text as {encoding}, which lacks characters that values may hold: make"
            " one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0",
            code="database_encoding",
        )
    _configure(connection, _WRITING, _DURABLE)
    connection.isolation_level = IsolationLevel.READ_COMMITTED


def _prepare_reading(connection: psycopg.Connection[Any]) -> None:
    from psycopg import IsolationLevel

    _configure(connection, _READING)
    connection.isolation_level = IsolationLevel.REPEATABLE_READ
    connection.read_only = True


def _configure(connection: psycopg.Connection[Any], settings: Mapping[str, str], *more: str) -> None:
    """Settings of the session; outside a transaction, since rolling one back would take them with it."""
    connection.autocommit = True
    connection.execute(_SET, [list(settings), list(settings.values())]).close()
    for statement in more:
        connection.execute(statement).close()
    connection.autocommit = False


def _name_of(parameters: Mapping[str, str]) -> str:
    host = parameters.get("host") or parameters.get("hostaddr") or "the local socket"
    port = f" port {parameters['port']}" if parameters.get("port") else ""
    return f"PostgreSQL database {parameters.get('dbname', 'of this user')} at {host}{port}"

"""Notices: "there is a new revision", told to every server by the commit itself (PostgreSQL only).

They are hints. Whoever follows the log also looks by itself, so a notice that is lost costs one interval.
"""

from __future__ import annotations

import logging
import random
import selectors
import socket
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from sqlalchemy import Connection, bindparam, func, select

if TYPE_CHECKING:
    import psycopg

CHANNEL: Final = "coreconfig"
"""Channels belong to a database, so installations beside one another do not hear each other."""

HEARTBEAT: Final = 10.0
"""Seconds of silence after which the connection is asked whether it still lives."""
LONGEST_PAUSE: Final = 5.0
"""Seconds between two attempts to connect, at most."""

_NOTIFY = select(func.pg_notify(CHANNEL, bindparam("revision")))

log = logging.getLogger(__name__)


def notify(tx: Connection, revision: int) -> None:
    """Tell every server about a revision, when and if this transaction commits."""
    if tx.dialect.name == "postgresql":
        # the number alone: a notice is limited in length, and what it says has to be read from the log anyway
        tx.execute(_NOTIFY, {"revision": str(revision)})


class Listening:
    """One connection that hears notices, in a thread of its own; it comes back by itself after every failure.

    `noticed` is called in that thread: with the revision of a notice, and with None after each connection was
    made, because of what may have been missed before it. `is_own` tells from the id of the database's process
    whether a notice comes from this program itself; then it is passed over.
    """

    def __init__(
        self,
        parameters: Mapping[str, str],
        noticed: Callable[[int | None], None],
        *,
        is_own: Callable[[int], bool] = lambda _: False,
    ) -> None:
        self._parameters: dict[str, Any] = dict(parameters)
        self._noticed = noticed
        self._is_own = is_own
        self._wake, self._woken = socket.socketpair()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="coreconfig-notices", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._wake.close()
        self._thread.join(timeout=30)  # longer than anything that libpq waits for
        if not self._thread.is_alive():
            self._woken.close()

    def _run(self) -> None:
        pause = 0.1
        while not self._stopping.is_set():
            try:
                with self._connect() as connection:
                    pause = 0.1
                    self._noticed(None)
                    self._listen(connection)
            except Exception as error:  # noqa: BLE001 - whatever it was, polling goes on and so does this
                log.warning("notices are not heard, new revisions are found by looking: %s", error)
            self._stopping.wait(random.uniform(0.05, pause))  # noqa: S311 - spreads load, hides nothing
            pause = min(pause * 2, LONGEST_PAUSE)

    def _connect(self) -> psycopg.Connection[Any]:
        import psycopg

        connection = psycopg.connect(autocommit=True, **self._parameters)
        connection.execute(f"LISTEN {CHANNEL}")
        return connection

    def _listen(self, connection: psycopg.Connection[Any]) -> None:
        """Hear notices until the connection breaks, which raises, or somebody stops this."""
        with selectors.DefaultSelector() as ready:
            ready.register(connection.fileno(), selectors.EVENT_READ)
            ready.register(self._woken, selectors.EVENT_READ)
            while not self._stopping.is_set():
                if not ready.select(HEARTBEAT):
                    connection.execute("SELECT 1")
                for notice in connection.notifies(timeout=0):
                    if not self._is_own(notice.pid):
                        self._noticed(_revision_of(notice.payload))


def _revision_of(payload: str) -> int | None:
    """A payload is a hint like the notice itself: also one that is no number says that there is something."""
    return int(payload) if payload.isascii() and payload.isdecimal() and len(payload) < 20 else None

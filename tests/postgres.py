"""Real PostgreSQL servers for tests: made by `initdb`, on free ports, with fsync, gone with the test session.

In this order: the server that CORECONFIG_TEST_POSTGRES names (an address whose user may create databases),
the programs that are installed here. Without either what needs PostgreSQL is left out; in CI it fails.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

NAMED = os.environ.get("CORECONFIG_TEST_POSTGRES")  # read before any test hides the caller's variables
START_SECONDS = 60.0
USER = "coreconfig"
_numbers = itertools.count(1)


class Databases(Protocol):
    """Where empty databases come from."""

    def url(self, database: str = "postgres") -> str:
        """The address of a database."""


@contextmanager
def new_database(server: Databases) -> Iterator[str]:
    """The address of an empty database, which is dropped afterwards."""
    name = sql.Identifier(f"test_{os.getpid()}_{next(_numbers)}")
    with psycopg.connect(server.url(), autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(name))
    try:
        yield server.url(name.as_string().strip('"'))
    finally:
        with psycopg.connect(server.url(), autocommit=True) as admin:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


@dataclass(frozen=True)
class Named:
    """A server that somebody else runs."""

    address: str

    def url(self, database: str = "postgres") -> str:
        """See `Databases`."""
        return urlunsplit(urlsplit(self.address)._replace(path=f"/{database}"))


class Postgres:
    """A server of this session's own, started and stopped as its process; `folder` holds all that is its."""

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.port = free_port()
        self.settings = dict(settings or {})
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        """The folder of the data."""
        return self.folder / "data"

    def url(self, database: str = "postgres") -> str:
        """See `Databases`."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def create(self) -> None:
        """Make an empty cluster; its text sorts as people do, which is what code has to be safe from."""
        locale = ["--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US"]
        made = self.run("initdb", "--username", USER, "--auth=trust", "--encoding=UTF8", "--no-sync", *locale)
        assert made.returncode == 0, made.stderr.decode()

    def follow(self, leader: Postgres, name: str) -> None:
        """Make a copy of a running server, which will follow it as a standby under this name."""
        source = f"host=127.0.0.1 port={leader.port} user={USER} application_name={name}"
        made = self.run("pg_basebackup", "--dbname", source, "--write-recovery-conf", "--checkpoint=fast")
        assert made.returncode == 0, made.stderr.decode()

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        """Run one of PostgreSQL's programs on the data of this server."""
        command = [str(binaries() / program), "--pgdata", str(self.data), *arguments]
        return subprocess.run(command, capture_output=True, cwd=self.folder, check=False, **account())

    def start(self) -> Postgres:
        """Start, and return when it answers."""
        given = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.folder),
            "max_connections": "60",
            "shared_buffers": "32MB",
            **self.settings,
        }
        options = [word for name, value in given.items() for word in ("-c", f"{name}={value}")]
        dies_with_us = ["setpriv", "--pdeathsig", "INT"] if shutil.which("setpriv") else []
        command = [*dies_with_us, str(binaries() / "postgres"), "-D", str(self.data), *options]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **account()
            )
        self.await_answer()
        return self

    def await_answer(self) -> None:
        """Wait until it takes connections."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            with suppress(psycopg.OperationalError), psycopg.connect(self.url(), connect_timeout=2):
                return
            ended = self.process is None or self.process.poll() is not None
            if ended or time.monotonic() > deadline:
                raise AssertionError((self.folder / "log").read_text())
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT in good order, SIGQUIT as a crash would."""
        process, self.process = self.process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)
            process.wait(30)

    def execute(self, statement: str, *values: Any, database: str = "postgres") -> list[Any]:
        """Run one statement as its owner; what it gives."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement, values)  # type: ignore[arg-type]  # statements of tests
            return cursor.fetchall() if cursor.description else []


@contextmanager
def cluster(settings: Mapping[str, str] | None = None) -> Iterator[Postgres]:
    """A running server with an empty cluster."""
    with folder() as place:
        server = Postgres(place, settings)
        server.create()
        try:
            yield server.start()
        finally:
            server.stop()


@contextmanager
def folder() -> Iterator[Path]:
    """A folder that the account of the server can use: pytest's own are closed to it."""
    path = Path(tempfile.mkdtemp(prefix="coreconfig-postgres-"))
    if os.geteuid() == 0:
        as_whom = pwd.getpwuid(account()["user"])
        os.chown(path, as_whom.pw_uid, as_whom.pw_gid)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def account() -> dict[str, Any]:
    """As whom the server runs: it refuses to be root."""
    if os.geteuid() != 0:
        return {}
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    as_whom = known.get("postgres") or known["nobody"]
    return {"user": as_whom.pw_uid, "group": as_whom.pw_gid, "extra_groups": []}


def binaries() -> Path:
    """The folder of the newest programs that are installed; leaves the test out if there are none."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if found:
        return max(found, key=lambda path: int(path.parent.name))
    if (on_path := shutil.which("initdb")) is not None:
        return Path(on_path).resolve().parent
    missing("PostgreSQL's programs are not installed (Debian: apt-get install postgresql)")
    raise AssertionError  # not reached


def missing(what: str) -> None:
    """Leave out what cannot be run here; CI has to have everything."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def postgres() -> Iterator[Databases]:
    """The server that all tests share that only need databases on it."""
    if NAMED:
        yield Named(NAMED)
        return
    with cluster() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: Databases) -> Iterator[str]:
    """An empty PostgreSQL database."""
    with new_database(postgres) as url:
        yield url

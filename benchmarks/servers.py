"""The servers that are measured, ours and others', each a process of its own on a free port."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from benchmarks.figures import PYTHON

START_SECONDS = 30


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Running:
    """A server process."""

    port: int
    process: subprocess.Popen[bytes]

    def memory(self) -> int:
        """Its resident memory in bytes."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * 4096


@contextmanager
def _running(port: int, *command: str) -> Iterator[Running]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _await_port(port, process)
        yield Running(port, process)
    finally:
        process.terminate()
        process.wait(START_SECONDS)


def _await_port(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError(f"{process.args} did not start")


@contextmanager
def folder() -> Iterator[Path]:
    """A folder that goes away."""
    made = Path(tempfile.mkdtemp(prefix="coreconfig-bench-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextmanager
def coreconfig(database: Path, port: int | None = None) -> Iterator[Running]:
    """Our server over this SQLite file."""
    port = port or free_port()
    serve = ("-m", "coreconfig.cli", "serve", "--database", str(database), "--port", str(port))
    with _running(port, PYTHON, *serve) as running:
        yield running


@contextmanager
def redis() -> Iterator[Running]:
    """A Redis that keeps nothing."""
    with folder() as place:
        port = free_port()
        options = ("--port", str(port), "--save", "", "--dir", str(place), "--maxclients", "12000")
        with _running(port, "redis-server", *options) as running:
            yield running


@contextmanager
def etcd() -> Iterator[Running]:
    """An etcd of one member."""
    with folder() as place:
        port, peer = free_port(), f"http://127.0.0.1:{free_port()}"
        client = f"http://127.0.0.1:{port}"
        options = (
            "--data-dir",
            str(place),
            "--listen-client-urls",
            client,
            "--advertise-client-urls",
            client,
        )
        peers = ("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer)
        names = ("--initial-cluster", f"default={peer}")
        with _running(port, "etcd", *options, *peers, *names) as running:
            time.sleep(1)  # it listens before it has elected itself
            yield running


@contextmanager
def bare_route(body: Path) -> Iterator[Running]:
    """A Starlette application whose one route returns the bytes of a file."""
    port = free_port()
    with _running(port, PYTHON, "-m", "benchmarks.bare_route", str(port), str(body)) as running:
        yield running


class Requests:
    """HTTP over one kept connection, as thin as the standard library has it."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._connection.connect()
        assert self._connection.sock is not None
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of the answer. Raises `RuntimeError` for anything but success."""
        sent = None if body is None else json.dumps(body)
        self._connection.request(method, path, sent, {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        read = answer.read()
        if answer.status not in (200, 201):
            raise RuntimeError(f"{method} {path}: {answer.status} {read!r}")
        return json.loads(read)

    def timed(self, method: str, path: str, body: Any = None) -> float:
        """The seconds that one request took."""
        began = time.perf_counter()
        self(method, path, body)
        return time.perf_counter() - began


def create_environment(ask: Requests, services: int, configuration: dict[str, Any]) -> None:
    """The environment ``bench`` with services ``s0``, ``s1`` and so on."""
    document = {
        "id": "bench",
        "type": "development",
        "overrides": {"configuration": configuration},
        "services": {f"s{number}": {} for number in range(services)},
    }
    ask("POST", "/v1/environments", document)


class Swarm:
    """Many subscribers in a process of their own."""

    def __init__(self, kind: str, port: int, count: int, *options: str) -> None:
        command = (
            PYTHON,
            "-m",
            "benchmarks.swarm",
            kind,
            "--port",
            str(port),
            "--count",
            str(count),
            *options,
        )
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def told(self) -> dict[str, Any]:
        """What it says next."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the subscribers ended with {self._process.wait()}")
        told: dict[str, Any] = json.loads(line)
        return told

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        stream: IO[str] | None = self._process.stdin
        assert stream is not None
        stream.close()
        self._process.wait(60)

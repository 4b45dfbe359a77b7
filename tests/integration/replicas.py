"""Several `serve` processes on one PostgreSQL database, for tests of what they do together."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import httpx2
from tests.acceptance.command_line import environment
from tests.integration.streaming import Server, create, put

from coreconfig.cli.tour.processes import Child

LONG = os.environ.get("CORECONFIG_TEST_LONG") == "true"
"""The long form: more rounds, longer faults."""


class Replica:
    """One `serve` process; its port stays the same when it is started again."""

    def __init__(self, database: str, folder: Path, number: int) -> None:
        self.database = database
        self.folder = folder
        self.number = number
        self.url = ""
        self.child = self._start(port=0)

    def _start(self, port: int) -> Child:
        command = [sys.executable, "-m", "coreconfig.cli", "serve", "--stop-with-stdin"]
        command += ["--database", self.database, "--port", str(port), "--log-level", "warning"]
        child = Child(f"server {self.number}", command, environment(self.folder), self.folder)
        _, found = child.wait_for(r"^serving at (\S+),", seconds=60)
        self.url = found[1]
        return child

    def freeze(self) -> None:
        """Stop it in the middle of whatever it does."""
        os.kill(self.child.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.child.pid, signal.SIGCONT)

    def stop(self) -> None:
        """End it."""
        self.thaw()
        self.child.stop()

    def client(self) -> Server:
        """A caller of this one."""
        return Server(self.url)


@contextmanager
def replicas(database: str, folder: Path, count: int) -> Iterator[list[Replica]]:
    """So many servers on one database, which has the environment `demo` with the service `engine`."""
    with ExitStack() as running:
        found = []
        for number in range(1, count + 1):
            found.append(Replica(database, folder, number))
            running.callback(found[-1].stop)
        with httpx2.Client(base_url=found[0].url, timeout=10) as http:
            edit = create("demo", {}, {"engine": {}})
            answer = http.post("/v1/changes", json={"edits": [edit]})
            assert answer.status_code == 200, answer.text
        yield found


async def until(condition: Callable[[], Any], seconds: float = 15.0) -> None:
    """Wait for a state; `condition` may be a coroutine function."""
    deadline = time.monotonic() + seconds
    while True:
        met = condition()
        if await met if asyncio.iscoroutine(met) else met:
            return
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


class Reader(threading.Thread):
    """Reads the whole configuration again and again; whatever is not a good answer, or older, is a fault."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.url = url
        self.faults: list[str] = []
        self.slowest = 0.0
        self.reads = 0
        self.position = (0, 0)
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()

    def run(self) -> None:
        """Read until the context ends."""
        with httpx2.Client(base_url=self.url, timeout=30) as http:
            while not self._ended.wait(0.02):
                self._read(http)

    def _read(self, http: httpx2.Client) -> None:
        began = time.monotonic()
        try:
            answer = http.get("/v1/environments/demo/services/engine/configuration")
        except httpx2.TransportError as error:
            self.faults.append(repr(error))
            return
        self.slowest = max(self.slowest, time.monotonic() - began)
        self.reads += 1
        if answer.status_code != 200:
            self.faults.append(answer.text)
            return
        position = (0, answer.json()["revision"])
        if position < self.position:
            self.faults.append(f"{position} after {self.position}")
        self.position = position


class Writer(threading.Thread):
    """Writes numbers to a key of its own; repeats what got no clear answer, as the same request."""

    def __init__(self, urls: list[str], name: str) -> None:
        super().__init__(daemon=True)
        self.urls = urls
        self.key = name
        self.acknowledged: dict[int, int] = {}
        """Values and their revisions."""
        self.at: list[float] = []
        """When each was acknowledged."""
        self.refused: list[str] = []
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()

    def run(self) -> None:
        """Write until the context ends."""
        turn = 0
        with httpx2.Client(timeout=15) as http:
            for value in range(1_000_000):
                while not self._ended.is_set():
                    turn += 1
                    if self._write(http, self.urls[turn % len(self.urls)], value):
                        break
                    self._ended.wait(0.1)
                if self._ended.is_set():
                    return

    def _write(self, http: httpx2.Client, url: str, value: int) -> bool:
        body = {"edits": [put("demo/engine", self.key, value)]}
        headers = {"Idempotency-Key": f"{self.key}-{value}"}
        with suppress(httpx2.TransportError):
            answer = http.post(f"{url}/v1/changes", json=body, headers=headers)
            if answer.status_code == 200:
                self.acknowledged[value] = answer.json()["revision"]
                self.at.append(time.monotonic())
                return True
            self.refused.append(answer.json()["error"]["code"])
        return False

    def longest_gap(self) -> float:
        """The longest time between two writes that followed one another, in seconds."""
        return max((after - before for before, after in zip(self.at, self.at[1:], strict=False)), default=0.0)

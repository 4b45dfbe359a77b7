"""The processes of a run: servers that can be killed and held still, and agents that hold the clients."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
from tests.consistency.history import History, Left, event_of
from tests.consistency.launch import BUG, SHARED

ROOT = Path(__file__).resolve().parents[2]
START_WITHIN = 60.0
_GRACE = 10.0


class NotStarted(AssertionError):
    """A process did not do what it was started for; what it said is in the message."""


class Process:
    """A process of ours, started by `launch`; its standard error goes to a file in the folder."""

    def __init__(self, name: str, folder: Path, variables: Mapping[str, str]) -> None:
        self.name = name
        self._errors = folder / f"{name}.log"
        self._variables = {**_inherited(folder), **variables}
        self._process: subprocess.Popen[bytes] | None = None
        self._held = False

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def begin(self, *arguments: str, **pipes: Any) -> subprocess.Popen[bytes]:
        """Start it; it ends when its standard input does."""
        with self._errors.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.consistency.launch", *arguments],
                stdin=subprocess.PIPE,
                stderr=errors,
                env=self._variables,
                cwd=ROOT,
                **pipes,
            )
        return self._process

    def kill(self) -> None:
        """End it as a crash would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end, and see to it that it does."""
        self.go_on()
        self._end(signal.SIGTERM)

    def hold(self) -> None:
        """Let it stand still (SIGSTOP) until `go_on`."""
        if self.is_running:
            self._held = True
            self._send(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it run again."""
        if self._held:
            self._held = False
            self._send(signal.SIGCONT)

    def story(self) -> str:
        """The last that it said."""
        return self._errors.read_text(errors="replace")[-2000:] if self._errors.exists() else ""

    def _send(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            with suppress(ProcessLookupError):  # it ended in this very moment
                os.kill(self._process.pid, number)

    def _end(self, number: signal.Signals) -> None:
        process = self._process
        if process is None:
            return
        self._held = False
        self._send(number)
        try:
            process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):  # nobody reads the rest
                    pipe.close()


class Server(Process):
    """One replica on a port that stays its own."""

    def __init__(
        self, name: str, folder: Path, database: str, *, bug: str | None = None, shared: bool = False
    ) -> None:
        super().__init__(name, folder, {**({BUG: bug} if bug else {}), **({SHARED: "1"} if shared else {})})
        self.database = database
        self.port = free_port()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and return once it takes connections."""
        self.begin_serving()
        self.await_answer()

    def begin_serving(self) -> None:
        """Start it, and return at once."""
        self.begin(
            "serve",
            "--stop-with-stdin",
            "--log-level",
            "warning",
            "--database",
            self.database,
            "--port",
            str(self.port),
            stdout=subprocess.DEVNULL,
        )

    def await_answer(self) -> None:
        """Wait until it takes connections. Raises `NotStarted` when it ends instead."""
        deadline = time.monotonic() + START_WITHIN
        while not _answers(self.port):
            if not self.is_running or time.monotonic() > deadline:
                raise NotStarted(f"{self.name} does not answer: {self.story()}")
            time.sleep(0.02)


class Agent(Process):
    """A process with clients in it; what they see comes into the history."""

    def __init__(self, name: str, folder: Path, history: History, *, bug: str | None = None) -> None:
        super().__init__(name, folder, {BUG: bug} if bug else {})
        self.clients: list[str] = []
        self._history = history
        self._numbers = count(1)
        self._answers: dict[int, dict[str, Any]] = {}
        self._told = 0
        self._news = threading.Condition()
        self._speaking = threading.Lock()
        self._ended = False

    def start(self) -> None:
        """Start it, without clients."""
        process = self.begin("agent", stdout=subprocess.PIPE)
        threading.Thread(target=self._listen, args=(process,), name=self.name, daemon=True).start()

    def join(self, **spec: Any) -> None:
        """Have it start a client (see `agent.ClientSpec`), and wait until that has something to read."""
        self.clients.append(spec["client"])
        self.ask("start", **spec)

    def ask(self, do: str, *, within: float = 90.0, **arguments: Any) -> None:
        """Have something done, and wait until it is. Raises `NotStarted` when it fails."""
        number = self.tell(do, **arguments)
        with self._news:
            self._news.wait_for(lambda: number in self._answers or self._ended, within)
            answer = self._answers.get(number, {"failed": "it was not answered"})
        if "failed" in answer:
            raise NotStarted(f"{self.name} could not {do} {arguments}: {answer['failed']}\n{self.story()}")

    def quiet(self, within: float = 60.0) -> None:
        """Wait until everything that it was told is done."""
        with self._news:
            done = self._news.wait_for(lambda: len(self._answers) >= self._told or self._ended, within)
        if not done:
            raise NotStarted(f"{self.name} is still at work: {self.story()}")

    def tell(self, do: str, **arguments: Any) -> int:
        """Have something done without waiting; its number. Raises `NotStarted` when it has ended."""
        assert self._process is not None
        assert self._process.stdin is not None
        with self._speaking:
            number = next(self._numbers)
            line = msgspec.json.encode({"do": do, "number": number, **arguments}) + b"\n"
            try:
                self._process.stdin.write(line)
                self._process.stdin.flush()
            except (OSError, ValueError) as error:
                raise NotStarted(f"{self.name} has ended: {error}") from None
            self._told += 1
        return number

    def kill(self) -> None:
        """End it as a crash would; its clients are gone with it."""
        super().kill()
        for client in self.clients:
            self._history.note(Left(client, time.monotonic()))

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with suppress(ValueError):  # closed while it was read
            for line in process.stdout:
                if not line.endswith(b"\n"):
                    break  # cut off by its end
                if line.startswith(b'{"did":'):
                    self._answered(msgspec.json.decode(line))
                else:
                    self._history.note(event_of(line))
        with self._news:
            self._ended = True
            self._news.notify_all()

    def _answered(self, answer: dict[str, Any]) -> None:
        with self._news:
            self._answers[answer["did"]] = answer
            self._news.notify_all()


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(("127.0.0.1", port))
            probe.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return probe.recv(12) == b"HTTP/1.1 200"
        except OSError:
            return False


def _inherited(folder: Path) -> dict[str, str]:
    """The variables of this process without what configures CoreConfig, and with caches in the folder."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("CORECONFIG_", "CONSIS"))
    }
    return {**kept, "XDG_CACHE_HOME": str(folder / "cache"), "PYTHONUNBUFFERED": "1"}

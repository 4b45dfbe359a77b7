"""The server, the four services and the connection to them: everything that the tour's steps act on."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from coreconfig.cli.api import Api
from coreconfig.cli.tour.files import example_folder
from coreconfig.cli.tour.processes import Child, Line
from coreconfig.cli.tour.screen import StepFailed, now

ENVIRONMENT = "trading-demo"
SERVICES = ("database-service", "trading-engine", "ai-orchestration", "data-bridge")
DEFAULT_PORT = 8400

START_SECONDS = 30.0
ARRIVE_SECONDS = 20.0
RETURN_SECONDS = 60.0
"""How long a connected service may take to run what it should once faults have stopped."""


class Stage:
    """Starts and stops processes; a context manager, since none of them may be left behind."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.folder = folder
        self.example = example_folder()
        self.port = free_port() if port is None else port
        self.moved = port is None and self.port != DEFAULT_PORT
        self.url = f"http://127.0.0.1:{self.port}"
        self.server: Child | None = None
        self.services: dict[str, Child] = {}
        self.api = Api(self.url, cache=folder / "cache", timeout=10.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        children = [*self.services.values(), *([self.server] if self.server else [])]
        for child in children:
            child.ask_to_stop()
        for child in children:
            child.stop()
        self.api.close()

    def start_server(self) -> None:
        """Start the server and wait until it is ready to serve."""
        command = [sys.executable, "-m", "coreconfig.cli", "serve", "--stop-with-stdin"]
        command += ["--database", f"sqlite:///{self.folder / 'demo.db'}", "--port", str(self.port)]
        self.server = Child("the server", command, self._environment(), self.folder)
        self.server.wait_for(r"^serving at ", seconds=START_SECONDS)

    def kill_server(self) -> int:
        """Kill the server as a crash would, and say which process it was."""
        if self.server is None:
            raise StepFailed("there is no server to kill")
        pid, server = self.server.pid, self.server
        self.server = None
        server.kill()
        return pid

    def start_service(self, service: str) -> None:
        """Start one of the example's programs."""
        program = self.example / "services" / f"{service.replace('-', '_')}.py"
        command = [sys.executable, str(program), "--environment", ENVIRONMENT, "--url", self.url, "--ask"]
        self.services[service] = Child(service, command, self._environment(), self.folder)

    def marks(self) -> dict[str, int]:
        """How much each service has printed so far: what comes later is news."""
        return {name: len(child.lines) for name, child in self.services.items()}

    def ask(self, service: str, key: str) -> tuple[str, float]:
        """What a service itself says that it holds at a key, and the seconds that the answer took."""
        child = self.services[service]
        since, asked = len(child.lines), now()
        child.tell(key)
        line, _ = child.wait_for(r"\? ", since=since, seconds=ARRIVE_SECONDS)
        return line.text.partition("? ")[2], line.at - asked

    def reported(self, service: str, key: str, value: Any, *, since: int, seconds: float) -> Line:
        """The line in which a service tells that the key now has the value."""
        pattern = f"{key}: .* -> {json.dumps(value)} "
        return self.services[service].wait_for(pattern, since=since, seconds=seconds)[0]

    def fleet(self) -> list[dict[str, Any]]:
        """The instances as the server sees them."""
        instances: list[dict[str, Any]] = self.api.get("/v1/fleet").body["instances"]
        return instances

    def _environment(self) -> dict[str, str]:
        """This process's environment without settings that would lead the children elsewhere."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CORECONFIG_")}
        return {**kept, "XDG_CACHE_HOME": str(self.folder / "cache"), "PYTHONUNBUFFERED": "1"}


def free_port(wanted: int = DEFAULT_PORT) -> int:
    """The wanted port of this machine if nobody listens on it, else any free one."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            chosen: int = probe.getsockname()[1]
            return chosen
    raise StepFailed("no port of this machine is free")

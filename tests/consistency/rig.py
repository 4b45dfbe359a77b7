"""A system to be tried: replicas on one database, a proxy before each, agents with clients, the history."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import create_engine, text
from tests.consistency.callers import Caller
from tests.consistency.check import Limits, Violation, check
from tests.consistency.history import Calm, Fault, History, Left, Log, Row, Seen
from tests.consistency.processes import Agent, Server
from tests.consistency.proxy import Proxy

SERVICES = ("alpha", "beta")
BASE = {
    "id": "base",
    "type": "testing",
    "overrides": {"configuration": {"registers": {"r0": "begin", "r1": "begin"}, "batch": {}}},
}
CHILD: dict[str, Any] = {
    "id": "child",
    "type": "testing",
    "inherits": ["base"],
    "services": {name: {"configuration": {"name": name}} for name in SERVICES},
}
_ARRIVED_EVERY = 0.1


class Rig:
    """Everything that a run needs; what was started ends with it.

    `bug` is seeded into every process. Without `database` it is an SQLite file in the folder, which several
    replicas then share as if the product allowed it.
    """

    def __init__(
        self,
        folder: Path,
        *,
        bug: str | None = None,
        replicas: int = 1,
        database: str | None = None,
        seed: int = 0,
        limits: Limits | None = None,
        patience: float = 10.0,
    ) -> None:
        """`patience`: seconds that a story waits for what should happen before it goes on."""
        self.folder = folder
        self.bug = bug
        self.history = History()
        self.limits = limits or Limits()
        self.patience = patience
        self.database = database or f"sqlite:///{folder}/consistency.db"
        shared = replicas > 1 and database is None
        self.servers = [
            Server(f"server-{n}", folder, self.database, bug=bug, shared=shared) for n in range(replicas)
        ]
        self.proxies = [Proxy(server.port, seed=seed + n) for n, server in enumerate(self.servers)]
        self.agents: list[Agent] = []
        self._running = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as running:
            for proxy in self.proxies:
                running.enter_context(proxy)
            for server in self.servers:
                running.callback(server.kill)  # what matters was noted before
            self.start_servers()
            running.callback(self._stop_agents)
            self._running = running.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()

    def _stop_agents(self) -> None:
        for agent in self.agents:
            agent.stop()

    # who takes part

    def caller(self, name: str, *, through_proxies: bool = False, **options: Any) -> Caller:
        """A program that writes and reads over HTTP."""
        places: Sequence[Server | Proxy] = self.proxies if through_proxies else self.servers
        made = Caller(name, [place.url for place in places], self.history, **options)
        self._running.callback(made.close)
        return made

    def agent(self) -> Agent:
        """A process for clients."""
        made = Agent(f"agent-{len(self.agents)}", self.folder, self.history, bug=self.bug)
        self.agents.append(made)
        made.start()
        return made

    def environments(self) -> None:
        """Create `base`, and `child` with its services, which inherits from it."""
        import httpx2

        revision = 0
        for document in (BASE, CHILD):
            answer = httpx2.post(f"{self.servers[0].url}/v1/environments", json=document, timeout=30)
            assert answer.status_code == 201, answer.text
            revision = answer.json()["revision"]
        for server in self.servers:
            minimum = {"X-CoreConfig-Min-Revision": str(revision)}
            known = httpx2.get(f"{server.url}/v1/environments", headers=minimum, timeout=30)
            assert known.status_code == 200, known.text

    # what happens

    def fault(self, what: str, where: str = "") -> None:
        """Note that something is broken or mended."""
        self.history.note(Fault(time.monotonic(), what, where))

    def stop_servers(self) -> None:
        """End all servers in good order."""
        for server in self.servers:
            self.fault("stop", server.name)
            server.stop()

    def start_servers(self) -> None:
        """Start those that do not run."""
        begun = [server for server in self.servers if not server.is_running]
        for server in begun:
            server.begin_serving()
        for server in begun:
            server.await_answer()

    def log(self) -> Log:
        """The log as the database has it, noted."""
        noted = Log(time.monotonic(), tuple(read_log(self.database)))
        self.history.note(noted)
        return noted

    def settle(self) -> None:
        """Faults have stopped and nobody writes: wait until all clients have arrived, and note the end."""
        for place in self.proxies:
            place.clear()
        for agent in self._living():
            agent.quiet()
        self.history.note(Calm(time.monotonic()))
        deadline = time.monotonic() + self.limits.connected + 0.5
        # what was on its way to a server when everybody stopped may still become a row
        while not self._see(read_log(self.database)) and time.monotonic() < deadline:
            time.sleep(_ARRIVED_EVERY)
        for agent in self._living():
            agent.ask("finish")
        self.log()

    def judge(self) -> list[Violation]:
        """What the history shows."""
        return check(self.history, self.limits)

    def _living(self) -> list[Agent]:
        return [agent for agent in self.agents if agent.is_running]

    def _see(self, rows: list[Row]) -> bool:
        """Have every client say where it is; whether all are where the log is."""
        begun = time.monotonic()
        for agent in self._living():
            agent.ask("see")
        gone = {left.client for left in self.history.of(Left)}
        living = {client for agent in self._living() for client in agent.clients} - gone
        latest = {seen.client: seen for seen in self.history.of(Seen) if seen.asked >= begun}
        return all(client in latest and _is_at_end(latest[client], rows) for client in living)


def _is_at_end(seen: Seen, rows: list[Row]) -> bool:
    return seen.current and (seen.epoch, seen.revision) == (rows[-1].epoch, len(rows))


def read_log(database: str) -> list[Row]:
    """Every row of the log of a database, read without any code of the server."""
    engine = create_engine(database)
    try:
        with engine.connect() as tx:
            found = tx.execute(text("SELECT epoch, revision, reason, edits FROM log ORDER BY revision")).all()
    finally:
        engine.dispose()
    return [
        Row(epoch, revision, reason, tuple(json.loads(edits))) for epoch, revision, reason, edits in found
    ]

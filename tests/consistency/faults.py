"""What is broken in a run, one thing after another: processes, connections, messages."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.consistency.history import OUTAGE
from tests.consistency.rig import Rig
from tests.postgres import Postgres


@dataclass(frozen=True)
class Lengths:
    """How long faults last, in seconds: from, to."""

    usual: tuple[float, float] = (0.3, 1.0)
    held: tuple[float, float] = (0.3, 1.5)


SHORT = Lengths()


class Faults:
    """Breaks something, waits, and mends it; `others` are what only some runs can break."""

    def __init__(
        self,
        rig: Rig,
        seed: int,
        *,
        lengths: Lengths = SHORT,
        others: Mapping[str, Callable[[], None]] | None = None,
    ) -> None:
        self._rig = rig
        self._random = random.Random(seed)
        self._lengths = lengths
        self._kinds: dict[str, Callable[[], None]] = {
            "half-open": self._half_open,
            "kill": self._kill,
            "hold": self._hold,
            "hold the clients": self._hold_clients,
            "cut": self._cut,
            "refuse": self._refuse,
            "delay": lambda: self._weather(delay=0.3),
            "duplicate": lambda: self._weather(duplicate=0.5),
            "reorder": lambda: self._weather(reorder=0.4),
            "repeat": lambda: self._weather(repeat=0.5),
            "garble": lambda: self._weather(garble=0.3),
            "lose answers": self._lose_answers,
            **(others or {}),
        }

    def one(self) -> None:
        """Something at random."""
        self._kinds[self._random.choice(list(self._kinds))]()

    def each(self) -> Iterator[str]:
        """Everything once; what takes longest to be noticed comes first, the rest in random order."""
        first, *rest = self._kinds
        for kind in [first, *self._random.sample(rest, len(rest))]:
            self._kinds[kind]()
            yield kind

    def mend(self) -> None:
        """Let everything run again."""
        for proxy in self._rig.proxies:
            proxy.clear()
        for process in [*self._rig.servers, *self._rig.agents]:
            process.go_on()
        self._rig.start_servers()

    @contextmanager
    def _lasting(self, what: str, where: str, length: tuple[float, float] | None = None) -> Iterator[None]:
        self._rig.fault(what, where)
        try:
            yield
            time.sleep(self._random.uniform(*(length or self._lengths.usual)))
        finally:
            self._rig.fault(f"end of {what}", where)

    def _one_of(self, things: Sequence[Any]) -> Any:
        return self._random.choice(things)

    def _kill(self) -> None:
        server = self._one_of(self._rig.servers)
        with self._lasting("kill", server.name):
            server.kill()
        server.start()

    def _hold(self) -> None:
        server = self._one_of(self._rig.servers)
        with self._lasting("hold", server.name, self._lengths.held):
            server.hold()
        server.go_on()

    def _hold_clients(self) -> None:
        agent = self._one_of(self._rig.agents)
        with self._lasting("hold", agent.name, self._lengths.held):
            agent.hold()
        agent.go_on()

    def _cut(self) -> None:
        proxy = self._one_of(self._rig.proxies)
        with self._lasting("cut", proxy.url):
            proxy.cut()

    def _half_open(self) -> None:
        proxy = self._one_of(self._rig.proxies)
        with self._lasting("half-open", proxy.url):
            proxy.half_open()

    def _lose_answers(self) -> None:
        proxy = self._one_of(self._rig.proxies)
        with self._lasting("lose answers", proxy.url):
            proxy.lose_answers(3)

    def _refuse(self) -> None:
        proxy = self._one_of(self._rig.proxies)
        with self._lasting("refuse", proxy.url):
            proxy.set(refuse=True)
            proxy.cut()
        proxy.set(refuse=False)

    def _weather(self, **members: float) -> None:
        proxy = self._one_of(self._rig.proxies)
        with self._lasting(f"weather {members}", proxy.url):
            proxy.set(**members)
        proxy.clear()


class DatabaseFaults:
    """What is broken of a PostgreSQL server that belongs to the run."""

    def __init__(self, rig: Rig, server: Postgres, seed: int) -> None:
        self._rig = rig
        self._server = server
        self._random = random.Random(seed)

    @property
    def kinds(self) -> dict[str, Callable[[], None]]:
        """What there is, by name."""
        return {
            "crash the database": lambda: self._restart(signal.SIGQUIT),
            "restart the database": lambda: self._restart(signal.SIGINT),
            "end its connections": lambda: self._terminate("true"),
            "end what listens": lambda: self._terminate("starts_with(query, 'LISTEN')"),
        }

    def _restart(self, how: signal.Signals) -> None:
        self._rig.fault(OUTAGE, how.name)
        self._server.stop(how)
        time.sleep(self._random.uniform(0.0, 3.0))
        self._server.start()
        self._rig.fault(f"end of {OUTAGE}", how.name)

    def _terminate(self, which: str) -> None:
        self._rig.fault("end connections", which)
        ours = f"pid <> pg_backend_pid() AND backend_type = 'client backend' AND {which}"
        found = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {ours}"  # noqa: S608  # our own text
        self._server.execute(found)
        time.sleep(self._random.uniform(0.0, 1.0))

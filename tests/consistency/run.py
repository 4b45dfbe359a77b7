"""A random run: clients, writers and readers at work while one thing after another is broken."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.consistency.callers import Caller
from tests.consistency.faults import SHORT, Faults, Lengths
from tests.consistency.processes import Agent
from tests.consistency.rig import SERVICES, Rig
from tests.consistency.work import Reader, SdkWriter, Workers, Writer

PATTERNS = (
    [["**"], ["batch.*"]],
    [["registers"], ["objects.**", "name"]],
    [["registers.*"], ["batch", "batch.k1"]],
)


@dataclass(frozen=True)
class Plan:
    """How much of everything. Without `seconds` every fault comes once."""

    seed: int
    seconds: float | None = None
    clients: int = 4
    writers: int = 3
    readers: int = 2
    pause: float = 0.1
    """Seconds between two writes of one writer, on average."""
    jitter: float | None = 0.02
    """What clients use for chance in their schedules, so that they come back soon; None: real chance."""
    lengths: Lengths = SHORT
    restarts_clients: bool = True


def random_run(rig: Rig, plan: Plan, others: Mapping[str, Callable[[], None]] | None = None) -> None:
    """Do it, and see to it that everything has arrived at the end. The history is the rig's."""
    rig.environments()
    lots = random.Random(plan.seed)
    crew = Crew(rig, plan)
    crew.begin()
    more = {**(others or {}), **({"kill the clients": crew.restart} if plan.restarts_clients else {})}
    faults = Faults(rig, plan.seed, lengths=plan.lengths, others=more)
    workers = Workers()
    try:
        _employ(rig, plan, crew, workers, lots)
        _break(faults, plan.seconds)
    finally:
        faults.mend()
        workers.stop()
    rig.settle()


def _employ(rig: Rig, plan: Plan, crew: Crew, workers: Workers, lots: random.Random) -> None:
    callers: list[Caller] = []
    for number in range(plan.writers):
        caller = rig.caller(f"writer-{number}", through_proxies=number % 2 == 1)
        callers.append(caller)
        pause = _pause(lots, plan.pause)
        workers.repeat(caller.name, Writer(caller, lots.randrange(2**32)).step, pause)
    for number in range(plan.readers):
        caller = rig.caller(f"reader-{number}", through_proxies=number % 2 == 1)
        step = Reader(caller, callers, lots.randrange(2**32)).step
        workers.repeat(caller.name, step, _pause(lots, plan.pause))
    workers.repeat(
        "sdk writer", SdkWriter(crew.current, lots.randrange(2**32)).step, _pause(lots, plan.pause * 3)
    )


def _pause(lots: random.Random, mean: float) -> Callable[[], float]:
    own = random.Random(lots.randrange(2**32))
    return lambda: own.uniform(0.0, 2 * mean)


def _break(faults: Faults, seconds: float | None) -> None:
    if seconds is None:
        for _ in faults.each():
            pass
        return
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        faults.one()


class Crew:
    """The clients, all in one process, which may be killed and begun anew on the same cache files."""

    def __init__(self, rig: Rig, plan: Plan) -> None:
        self._rig = rig
        self._plan = plan
        self._generation = 0
        self._agent: Agent | None = None

    def current(self) -> Agent | None:
        """The process that can be asked, if there is one now."""
        return self._agent

    def begin(self) -> None:
        """Start a process with all clients; what they are called tells generations apart."""
        self._generation += 1
        agent = self._rig.agent()
        for number in range(self._plan.clients):
            agent.join(
                client=f"client-{number}-{self._generation}",
                environment="child",
                service=SERVICES[number % len(SERVICES)],
                url=self._rig.proxies[number % len(self._rig.proxies)].url,
                patterns=PATTERNS[number % len(PATTERNS)],
                cache_dir=str(self._rig.folder / f"cache-{number}"),
                jitter=self._plan.jitter,
                failing_callbacks=0.05,
                hot_reload=number % 4 != 3,
                poll_interval=15.0 if number % 4 != 3 else 0.5,
            )
        self._agent = agent

    def restart(self) -> None:
        """Kill the process, and begin again with what its clients left on disk."""
        agent, self._agent = self._agent, None
        if agent is not None:
            self._rig.fault("kill", agent.name)
            agent.kill()
        self.begin()

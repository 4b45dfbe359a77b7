"""Random work: programs that write in every way there is, and others that read with and without minimum."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from tests.consistency.callers import Caller, View
from tests.consistency.history import Edit, Guard
from tests.consistency.processes import Agent, NotStarted

LAYERS: tuple[View, ...] = (
    ("child", None),
    ("child", "alpha"),
    ("child", "beta"),
    ("base", None),
    ("base", "alpha"),
)
VIEWS: tuple[View, ...] = (("child", "alpha"), ("child", "beta"), ("child", None), ("base", None))
REGISTERS = tuple(f"registers.r{n}" for n in range(4))
OBJECTS = tuple(f"objects.o{n}" for n in range(3))


class Workers:
    """Threads that repeat a step until they are told to stop. What one raises is raised by `stop`."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._failures: list[BaseException] = []

    def repeat(self, name: str, step: Callable[[], None], pause: Callable[[], float]) -> None:
        """Do this again and again, with pauses of so many seconds."""

        def run() -> None:
            try:
                while not self._stopping.wait(pause()):
                    step()
            except BaseException as error:  # noqa: BLE001  # handed to the thread that waits
                self._failures.append(error)

        thread = threading.Thread(target=run, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def stop(self) -> None:
        """Let every step end."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(60)
        if self._failures:
            raise self._failures[0]


class Writer:
    """Writes at random: single keys and batches, with and without conditions, sent once and again."""

    def __init__(self, caller: Caller, seed: int) -> None:
        self._caller = caller
        self._random = random.Random(seed)
        self._marks = 0

    def step(self) -> None:
        """One write."""
        choose = self._random.choices
        (kind,) = choose(
            (self._plain, self._if_match, self._expected, self._batch, self._object), (3, 3, 2, 3, 2)
        )
        kind()

    def _mark(self) -> str:
        self._marks += 1
        return f"{self._caller.name} {self._marks}"

    def _value(self) -> Any:
        mark = self._mark()
        return self._random.choice([mark, self._marks, self._marks / 4, [mark, None, True], {"mark": mark}])

    def _how(self) -> dict[str, Any]:
        tries = self._random.choice((1, 1, 3))
        again = tries > 1 and self._random.random() < 0.3
        return {"tries": tries, "again": again, "at": self._random.randrange(8)}

    def _plain(self) -> None:
        view, key = self._random.choice(LAYERS), self._random.choice(REGISTERS)
        self._caller.put(key, self._value(), view=view, **self._how())

    def _if_match(self) -> None:
        view, key = self._random.choice(LAYERS[:3]), self._random.choice(REGISTERS)
        state = self._caller.state_of(view, key, at=self._random.randrange(8))
        if state is not None:
            self._caller.put(key, self._value(), view=view, guard=state, **self._how())

    def _expected(self) -> None:
        view, key = self._random.choice(LAYERS[:3]), self._random.choice(REGISTERS)
        read = self._caller.read(view, at=self._random.randrange(8))
        if read.revision is not None:
            guard = Guard("expected_revision", *view, key, 0, read.revision)
            self._caller.put(key, self._value(), view=view, guard=guard, **self._how())

    def _batch(self) -> None:
        mark = self._mark()
        keys = self._random.sample(range(10), self._random.randint(2, 10))
        layers = self._random.choice(([("child", "alpha")], [("child", None)], list(LAYERS)))
        edits = [Edit(*self._random.choice(layers), f"batch.k{n}", "set", mark) for n in keys]
        self._caller.write(edits, **self._how())

    def _object(self) -> None:
        view, key = self._random.choice(LAYERS), self._random.choice(OBJECTS)
        mark = self._mark()
        edit = self._random.choice(
            [
                Edit(*view, key, "set", {"a": mark, "b": {"c": mark}}),
                Edit(*view, key, "merge", {"b": {"d": mark}}),
                Edit(*view, f"{key}.b.c", "set", mark),
                Edit(*view, f"{key}.b", "delete"),
                Edit(*view, key, "delete"),
                Edit(*view, f"{key}.a", "unset"),
            ]
        )
        self._caller.write([edit], **self._how())


class Reader:
    """Reads whole configurations at any replica, half of the time with the newest known revision named."""

    def __init__(self, caller: Caller, others: list[Caller], seed: int) -> None:
        self._caller = caller
        self._others = others
        self._random = random.Random(seed)

    def step(self) -> None:
        """One read."""
        known = max(other.last_known for other in [self._caller, *self._others])
        minimum = known if self._random.random() < 0.5 else None
        self._caller.read(self._random.choice(VIEWS), minimum=minimum, at=self._random.randrange(8))


class SdkWriter:
    """Has clients write."""

    def __init__(self, agent: Callable[[], Agent | None], seed: int) -> None:
        self._agent = agent
        self._random = random.Random(seed)
        self._count = 0

    def step(self) -> None:
        """One write, if there is somebody to make it; its answer goes into the history by itself."""
        agent = self._agent()
        if agent is None or not agent.clients:
            return
        self._count += 1
        client, mark = self._random.choice(agent.clients), f"sdk {self._count}"
        keys = self._random.sample(range(10), self._random.randint(1, 5))
        scope = self._random.choice(("service", "environment"))
        values = {f"batch.k{n}": mark for n in keys}
        write = f"{client}-sdk-{self._count}"
        with suppress(NotStarted):  # it was killed in this very moment
            agent.tell("set", client=client, write=write, values=values, scope=scope, expected=None)

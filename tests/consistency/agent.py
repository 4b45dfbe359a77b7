"""A process with real clients in it: commands come in as lines of JSON, what they see goes out as events.

Each client has watches, and a program that reads it all the time and spoils what it is handed out.
"""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, BinaryIO

import msgspec
from tests.consistency.history import (
    Edit,
    Event,
    Guard,
    Joined,
    Left,
    Link,
    Outcome,
    Seen,
    Told,
    Try,
    Watching,
    line_of,
)

from coreconfig import CoreConfig
from coreconfig.client.admin import Scope
from coreconfig.errors import CoreConfigError
from coreconfig.model.trees import plain

_REFUSALS = frozenset({"conflict", "precondition_failed", "invalid", "key_not_found"})
"""Codes after which nothing was stored."""


_SAME_AGAIN_EVERY = 0.5
"""Seconds after which a program that reads the same again says so again."""


class ClientSpec(msgspec.Struct):
    """How a client is made; `jitter` takes the place of chance in its schedule, None leaves chance alone."""

    client: str
    environment: str
    service: str
    url: str
    patterns: list[list[str]] = []
    cache_dir: str | None = None
    jitter: float | None = None
    poll_interval: float = 15.0
    reads_every: float = 0.05
    spoils: bool = True
    """Whether the program changes what it read, which must not matter to anybody."""
    failing_callbacks: float = 0.0
    """The chance that a callback raises after it has noted what it was told."""
    hot_reload: bool = True


class Watched:
    """One client with its watches and the program that uses it."""

    def __init__(self, spec: ClientSpec, note: Callable[[Event], None]) -> None:
        self.spec = spec
        self._note = note
        self._random = random.Random(spec.client)
        chance = {} if spec.jitter is None else {"random": lambda: spec.jitter or 0.0}
        self._config = CoreConfig(
            spec.service,
            spec.environment,
            url=spec.url,
            instance_id=spec.client,
            cache_dir=spec.cache_dir,
            poll_interval=spec.poll_interval,
            hot_reload=spec.hot_reload,
            start_timeout=60.0,
            **chance,  # type: ignore[arg-type]  # one keyword or none
        )
        self._last: tuple[float, Any] = (0.0, None)
        self._ending = threading.Event()
        self._program = threading.Thread(target=self._read_on, daemon=True)

    def start(self) -> None:
        """Connect, watch, and let the program run."""
        spec, config = self.spec, self._config
        self._note(Joined(spec.client, time.monotonic(), spec.environment, spec.service))
        config._store.on_swap(self._swapped)
        config.on("connected", lambda _: self._linked(connected=True))
        config.on("disconnected", lambda _: self._linked(connected=False))
        config.start()
        for number, patterns in enumerate(spec.patterns or [["**"]]):
            self._watch(f"w{number}", patterns)
        self._program.start()

    def see(self, by: str) -> None:
        """Note what is read now."""
        asked = time.monotonic()
        pinned = self._config.pinned()
        at = pinned._state.at
        if at is None:
            return
        current = self._config.availability == "CURRENT"
        content = pinned.get_all()
        found = (at.epoch, at.revision, content, current)
        if by == "program" and asked - self._last[0] < _SAME_AGAIN_EVERY and self._last[1] == found:
            return
        self._last = (asked, found)
        self._note(Seen(self.spec.client, by, asked, time.monotonic(), *found))

    def write(self, write: str, values: dict[str, Any], scope: Scope, expected: int | None) -> None:
        """Set values through the client; a condition is about the first of them."""
        environment = self.spec.environment
        service = self.spec.service if scope == "service" else None
        edits = tuple(Edit(environment, service, key, "set", value) for key, value in values.items())
        guard = None
        if expected is not None:
            epoch = self._config.pinned()._state.order[0]
            guard = Guard("expected_revision", environment, service, next(iter(values)), epoch, expected)
        asked = time.monotonic()
        outcome: Outcome = "done"
        revision, code = None, None
        try:
            given = {"reason": write, "scope": scope, "expected_revision": expected}
            revision = self._config.set_batch(values, **given).revision  # type: ignore[arg-type]  # three types in one dict
        except CoreConfigError as error:
            code = error.code
            outcome = "refused" if code in _REFUSALS else "unknown"
        self._note(
            Try(write, edits, asked, time.monotonic(), outcome, revision, code, guard, self.spec.client)
        )

    def finish(self) -> None:
        """Let the program end and every callback run, then note what is read at the end."""
        self._ending.set()
        if self._program.is_alive():
            self._program.join(10)
        for _ in range(2):  # what is due becomes calls, then the calls run
            ran = threading.Event()
            self._config._queue.put(ran.set)
            ran.wait(10)
        self.see("end")

    def close(self) -> None:
        """Leave."""
        self._ending.set()
        self._config.close()
        self._note(Left(self.spec.client, time.monotonic()))

    def spoil(self) -> None:
        """Change every value that is handed out, in place."""
        for value in self._config.get_all().values():
            _spoil(value)
        for name in list(self._config.get_all()):
            _spoil(self._config.get(name, None))

    def _watch(self, name: str, patterns: list[str]) -> None:
        def told(change: Any) -> None:
            self._note(
                Told(
                    self.spec.client,
                    name,
                    time.monotonic(),
                    change.key,
                    change.old_value,
                    change.new_value,
                    change.operation,
                    change.revision,
                )
            )
            if self.spec.spoils:
                _spoil(change.new_value)
            if self._random.random() < self.spec.failing_callbacks:
                raise RuntimeError("a callback that fails on purpose")

        lowest = self._config.pinned()._state.order
        self._config.watch(patterns, told)
        highest = self._config.pinned()._state.order
        self._note(Watching(self.spec.client, name, tuple(patterns), lowest, highest))

    def _swapped(self, state: Any) -> None:
        now = time.monotonic()
        epoch, revision = state.order
        self._note(Seen(self.spec.client, "swap", now, now, epoch, revision, plain(state.tree)))

    def _linked(self, *, connected: bool) -> None:
        self._note(Link(self.spec.client, time.monotonic(), connected))

    def _read_on(self) -> None:
        while not self._ending.wait(self.spec.reads_every * (0.5 + self._random.random())):
            self.see("program")
            if self.spec.spoils:
                self.spoil()


def _spoil(value: Any) -> None:
    if isinstance(value, dict):
        for inner in value.values():
            _spoil(inner)
        value["spoilt"] = True
    elif isinstance(value, list):
        value.append("spoilt")


class Agent:
    """The clients of this process by name, and what may be asked of them."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._lock = threading.Lock()
        self._clients: dict[str, Watched] = {}

    def note(self, event: Event) -> None:
        """Send an event."""
        self.say(line_of(event))

    def say(self, line: bytes) -> None:
        """Send a line."""
        with self._lock:
            self._out.write(line + b"\n")
            self._out.flush()

    def obey(self, asked: dict[str, Any]) -> None:
        """Carry out one command; it is answered when it is done."""
        do, number = asked.pop("do"), asked.pop("number")
        try:
            getattr(self, f"_{do}")(**asked)
            answer = {"did": number}
        except Exception as error:  # noqa: BLE001  # told to who asked
            answer = {"did": number, "failed": f"{type(error).__name__}: {error}"}
        self.say(msgspec.json.encode(answer))

    def _start(self, **spec: Any) -> None:
        made = Watched(msgspec.convert(spec, type=ClientSpec), self.note)
        made.start()
        self._clients[made.spec.client] = made

    def _see(self) -> None:
        for client in list(self._clients.values()):
            client.see("asked")

    def _set(
        self, client: str, write: str, values: dict[str, Any], scope: Scope, expected: int | None
    ) -> None:
        self._clients[client].write(write, values, scope, expected)

    def _spoil(self, client: str) -> None:
        self._clients[client].spoil()

    def _finish(self) -> None:
        for client in self._clients.values():
            client.finish()

    def _close(self, client: str) -> None:
        self._clients.pop(client).close()


def serve_commands(commands: BinaryIO, out: BinaryIO) -> int:
    """Obey until the commands end; each in a thread, so that one that waits holds up no other."""
    agent = Agent(out)
    for line in commands:
        asked = msgspec.json.decode(line)
        threading.Thread(target=agent.obey, args=(asked,), daemon=True).start()
    return 0


if __name__ == "__main__":
    sys.exit(serve_commands(sys.stdin.buffer, sys.stdout.buffer))

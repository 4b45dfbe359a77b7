"""A queue of callbacks that runs only when a test says so."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from coreconfig.client.dispatch import Call, Failures


class HandQueue:
    """Calls wait until `run`, so that a test decides what happens before a callback is called."""

    def __init__(self) -> None:
        self.failures = Failures()
        self.calls: deque[Call] = deque()

    def accept(self, callback: Callable[..., Any]) -> None:
        """Anything."""

    def put(self, call: Call) -> None:
        """Keep it."""
        self.calls.append(call)

    def close(self) -> None:
        """Forget what waits."""
        self.calls.clear()

    def run(self, most: int = 10_000) -> None:
        """Run what waits, and what comes to wait by it."""
        while self.calls and most:
            most -= 1
            try:
                self.calls.popleft()()
            except Exception as error:  # noqa: BLE001 - as the real queues do
                self.failures.note(error)

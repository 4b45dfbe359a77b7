"""Time that stands still until a test moves it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from coreconfig.client.clock import Clock


class FakeClock(Clock):
    """Both clocks move together, by `advance` only; sleeping yields to the loop and moves nothing."""

    def __init__(self, at: float = 1_000.0) -> None:
        self._seconds = at
        self.slept: list[float] = []

    def monotonic(self) -> float:
        """The time that the test has set."""
        return self._seconds

    def now(self) -> datetime:
        """The same as a date."""
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self._seconds)

    async def sleep(self, seconds: float) -> None:
        """Remember how long somebody wanted to sleep, and go on at once."""
        self.slept.append(seconds)
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._seconds += seconds

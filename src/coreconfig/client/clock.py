"""Time as the client sees it, handed in so that tests need not wait for it."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime


class Clock:
    """The machine's own clocks."""

    def monotonic(self) -> float:
        """Seconds that never jump; all intervals are measured with it."""
        return time.monotonic()

    def now(self) -> datetime:
        """Wall-clock time in UTC: shown to people and stored, never used to decide an order."""
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        """Wait on the running loop."""
        await asyncio.sleep(seconds)


def timestamp(moment: datetime) -> str:
    """A moment as ISO 8601 in UTC with milliseconds, the way the server writes it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

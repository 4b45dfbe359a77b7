"""Noticing that this process stood still: stopped, suspended with its machine, or without a processor."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Final

LIMIT: Final = 1.0
"""Seconds without a sign of life that count: as old as what is read may be without anybody's fault."""


class Standstill:
    """Looks at the clock four times a second; between two looks far apart nothing happened here.

    Whoever is about to answer asks `ended`: after a standstill his turn may come before the next look.
    """

    def __init__(self) -> None:
        self._looked = monotonic()
        self._ended = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to look, on the running loop."""
        self._looked = monotonic()
        self._look(asyncio.get_running_loop())

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def ended(self) -> float:
        """When the last standstill ended, as `time.monotonic` tells it; 0 if there was none."""
        now = monotonic()
        if self._timer is not None and now - self._looked > LIMIT:
            self._ended = now
        self._looked = now
        return self._ended

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self.ended()
        self._timer = loop.call_later(LIMIT / 4, self._look, loop)

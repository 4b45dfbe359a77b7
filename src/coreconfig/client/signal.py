"""Waiting on a loop until something has happened."""

from __future__ import annotations

import asyncio


class Signal:
    """Wakes everybody who waits; used on one loop only."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()

    def notify(self) -> None:
        """Something has happened."""
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)
        self._waiting.clear()

    async def wait(self, within: float) -> None:
        """Return when something has happened, or after `within` seconds."""
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(waiting)
        try:
            await asyncio.wait((waiting,), timeout=within)
        finally:
            self._waiting.discard(waiting)

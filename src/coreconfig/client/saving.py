"""Writing the cache off the loop: while one state is written, only the newest of the next ones waits."""

from __future__ import annotations

import asyncio
from functools import partial

from coreconfig.client.aside import aside
from coreconfig.client.cache import Cache
from coreconfig.client.clock import Clock
from coreconfig.client.state import State

TOUCH_EVERY = 60.0
"""Seconds after which it is noted again that the server confirms what the file holds."""

_THREAD = "coreconfig-cache"


class Saver:
    """One client's cache, written on a thread; used on the loop of the link. Does nothing without a cache."""

    def __init__(self, cache: Cache | None, clock: Clock) -> None:
        self._cache = cache
        self._clock = clock
        self._next: State | None = None
        self._last: State | None = None
        self._task: asyncio.Task[None] | None = None
        self._touched = float("-inf")

    def save(self, state: State) -> None:
        """Have this state written soon."""
        if self._cache is None:
            return
        self._next = self._last = state
        self._touched = self._clock.monotonic()
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._write(self._cache))

    def confirmed(self) -> None:
        """The server confirms what was written; noted in the file now and then."""
        now = self._clock.monotonic()
        if self._cache is None or now - self._touched <= TOUCH_EVERY:
            return
        self._touched = now
        if self._cache.is_behind and self._last is not None:
            self.save(self._last)  # maybe the disk has room again
        else:
            aside(self._cache.touch, _THREAD)

    async def finish(self) -> None:
        """Wait until everything is written."""
        if self._task is not None:
            await asyncio.wait((self._task,))

    async def _write(self, cache: Cache) -> None:
        while (state := self._next) is not None:
            self._next = None
            await asyncio.wrap_future(aside(partial(cache.save, state), _THREAD))

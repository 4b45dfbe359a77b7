"""When to try the server again: pure arithmetic over given times and a given source of chance."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

FIRST_AGAIN = 5.0
"""Seconds within which a first reconnection happens, so that a restarted server is not stormed."""
LONGEST = 30.0
LONGEST_ASKED = 60.0
"""Seconds that a client stays away when it is asked to: whoever asks for a day is not our server."""
_FIRST_CAP = 1.0

Attempt = Literal["connect", "poll"]


class Schedule:
    """Which attempt is next and when. One at a time, for ever.

    The first connection is immediate. After it was lost the next follows within U(0, 5 s), then exponential
    back-off with full jitter up to 30 s. While there is no stream, ``POST /v1/sync`` is tried every
    `poll_interval` ± half; at once if no answer was ever had, since a proxy may let only requests through.
    """

    def __init__(self, *, stream: bool, poll_interval: float, random: Callable[[], float]) -> None:
        """`random` gives numbers in [0, 1)."""
        self._stream = stream
        self._poll_interval = poll_interval
        self._random = random
        self._failures = 0
        self._answered = False
        self._connect_at = 0.0 if stream else math.inf
        self._poll_at = math.inf if stream else 0.0
        self._not_before = 0.0

    def next(self) -> tuple[Attempt, float]:
        """The next attempt, and the time (of the clock that is handed in elsewhere) at which it is due."""
        attempt: Attempt = "connect" if self._connect_at <= self._poll_at else "poll"
        return attempt, max(min(self._connect_at, self._poll_at), self._not_before)

    def connected(self) -> None:
        """The server took the stream: no more polling, and the next loss counts as a first one."""
        self._answered = True
        self._failures = 0
        self._poll_at = math.inf

    def disconnected(self, now: float, retry_after: float | None = None) -> None:
        """A connection ended or could not be made."""
        self._connect_at = now + self._delay() if self._stream else math.inf
        self._failures += 1
        if retry_after is not None:
            self._wait_for(now, retry_after)
        if self._poll_at == math.inf:
            self._poll_at = now if not self._answered else self._next_poll(now)

    def polled(self, now: float, *, answered: bool, retry_after: float | None = None) -> None:
        """A poll ended."""
        self._answered = self._answered or answered
        self._poll_at = self._next_poll(now)
        if retry_after is not None:
            self._wait_for(now, retry_after)

    def _wait_for(self, now: float, retry_after: float) -> None:
        # a little later than asked and each client at another time, since all were asked alike
        self._not_before = now + min(max(0.0, retry_after), LONGEST_ASKED) * (1 + 0.2 * self._random())

    def _delay(self) -> float:
        if self._failures == 0:
            return FIRST_AGAIN * self._random()
        return min(LONGEST, _FIRST_CAP * 2.0 ** min(self._failures, 10)) * self._random()

    def _next_poll(self, now: float) -> float:
        return now + self._poll_interval * (0.5 + self._random())

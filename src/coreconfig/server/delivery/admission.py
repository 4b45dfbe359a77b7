"""How fast new sessions are taken in: a token bucket, so that a restart is not followed by a stampede."""

from __future__ import annotations


class Admission:
    """Admits `rate` arrivals a second, and up to `burst` at once after a quiet time."""

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate: float = 500.0, burst: float | None = None) -> None:
        self._rate = rate
        self._burst = rate if burst is None else burst
        self._tokens = self._burst
        self._at = float("-inf")

    def wait(self, now: float) -> float:
        """0.0 if this arrival is admitted, else the seconds after which it should try again.

        `now` is in seconds of any clock that does not go back.
        """
        elapsed = now - self._at
        self._tokens = min(self._burst, self._tokens + elapsed * self._rate) if elapsed < 1e9 else self._burst
        self._at = now
        if self._tokens < 1.0:
            return (1.0 - self._tokens) / self._rate
        self._tokens -= 1.0
        return 0.0

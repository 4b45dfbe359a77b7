"""What `start()` waits for, as one decision."""

from __future__ import annotations

from dataclasses import dataclass

from coreconfig.client.store import Availability, Verdict
from coreconfig.errors import ConfigValidationError, CoreConfigError, NotReady

CACHED_IS_ENOUGH_AFTER = 1.0
"""Seconds after which a program with a last known good starts on it."""


@dataclass(frozen=True, slots=True)
class Situation:
    """How far a start has come; `elapsed` in seconds."""

    place: str
    availability: Availability
    elapsed: float
    failure: CoreConfigError | None
    """The last attempt to reach the server failed like this."""
    refusal: CoreConfigError | None
    """The server is there and will not serve this client."""
    rejection: Verdict | None
    """A check of this program refused the snapshot."""


def decide(now: Situation, *, start_timeout: float, required: bool) -> float | CoreConfigError | None:
    """None: started. An error: it cannot start. Else the seconds after which to look again at the latest."""
    if now.availability is Availability.CURRENT:
        return None
    has_snapshot = now.availability is Availability.CACHED
    hopeless = now.failure is not None or now.refusal is not None or now.rejection is not None
    if has_snapshot:
        rest = CACHED_IS_ENOUGH_AFTER - now.elapsed
        return None if hopeless or rest <= 0 else rest
    if not required:
        rest = start_timeout - now.elapsed
        return None if hopeless or rest <= 0 else rest
    return _without_snapshot(now, start_timeout)


def _without_snapshot(now: Situation, start_timeout: float) -> float | CoreConfigError:
    if now.rejection is not None:
        text = f"the only snapshot of {now.place} does not pass the checks of this program"
        return ConfigValidationError(text, issues=now.rejection.issues)
    if now.refusal is not None:
        return now.refusal
    rest = start_timeout - now.elapsed
    if rest > 0:
        return rest
    why = f"; {now.failure.message}" if now.failure else ""
    return NotReady(
        f"there is no snapshot of {now.place} after {start_timeout:g} s{why}. Start the server, or pass"
        " required=False to begin without one",
    )

"""What a start waits for."""

from __future__ import annotations

from typing import Any

import pytest

from coreconfig.client.startup import Situation, decide
from coreconfig.client.store import Availability, Verdict
from coreconfig.errors import ConfigValidationError, Issue, NotFound, NotReady, Unavailable

DOWN = Unavailable("connection refused")
UNKNOWN = NotFound("no such service", code="unknown_service")
REJECTED = Verdict("rejected", "no", (Issue("bad", "text"),))


def judged(
    availability: Availability, elapsed: float = 0.0, *, required: bool = True, **what: Any
) -> float | Exception | None:
    nothing: dict[str, Any] = {"failure": None, "refusal": None, "rejection": None}
    situation = Situation("dev/shop", availability, elapsed, **{**nothing, **what})
    return decide(situation, start_timeout=10.0, required=required)


def test_a_current_snapshot_is_a_start() -> None:
    """Whatever else happened."""
    assert judged(Availability.CURRENT, rejection=REJECTED) is None


@pytest.mark.parametrize("what", [{"failure": DOWN}, {"refusal": UNKNOWN}, {"rejection": REJECTED}])
def test_with_a_last_known_good_the_first_definite_failure_is_a_start(what: dict[str, Any]) -> None:
    """A service starts while its server is away, or refuses it."""
    assert judged(Availability.CACHED, 0.2, **what) is None


def test_with_a_last_known_good_a_second_of_silence_is_a_start() -> None:
    """A frozen server holds nobody up."""
    assert judged(Availability.CACHED, 0.4) == pytest.approx(0.6)
    assert judged(Availability.CACHED, 1.0) is None


def test_without_anything_it_waits_and_then_says_why_it_is_not_ready() -> None:
    """The reason is that of the last attempt."""
    assert judged(Availability.DEFAULTS, 4.0, failure=DOWN) == 6.0
    error = judged(Availability.DEFAULTS, 10.0, failure=DOWN)
    assert isinstance(error, NotReady)
    assert "connection refused" in error.message


def test_a_definite_refusal_without_a_last_known_good_ends_the_start_at_once() -> None:
    """A misspelt service is told in milliseconds, not after ten seconds."""
    assert judged(Availability.DEFAULTS, 0.0, refusal=UNKNOWN, failure=UNKNOWN) is UNKNOWN


def test_a_check_that_refuses_the_only_snapshot_ends_the_start_with_every_issue() -> None:
    """The program itself says what is wrong."""
    error = judged(Availability.DEFAULTS, 0.0, rejection=REJECTED)
    assert isinstance(error, ConfigValidationError)
    assert error.issues == REJECTED.issues


def test_what_is_not_required_starts_at_the_first_failure_or_when_time_is_up() -> None:
    """On its defaults."""
    assert judged(Availability.DEFAULTS, 0.0, required=False) == 10.0
    assert judged(Availability.DEFAULTS, 0.1, required=False, failure=DOWN) is None
    assert judged(Availability.DEFAULTS, 10.0, required=False) is None

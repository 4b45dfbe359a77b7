"""How fast new sessions are taken in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from coreconfig.server.delivery.admission import Admission


def test_who_comes_too_fast_is_told_when_to_come_back() -> None:
    """A burst is admitted, the next arrival has to wait for as long as it is told, and is admitted then."""
    admission = Admission(rate=10.0, burst=3.0)
    assert [admission.wait(0.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    wait = admission.wait(0.0)
    assert wait == 0.1
    assert admission.wait(wait) == 0.0


@given(st.lists(st.floats(0.0, 0.5), max_size=60))
def test_no_more_than_the_rate_is_admitted(gaps: list[float]) -> None:
    """Over any time, at most the burst and what the rate gives since the beginning."""
    admission, now, admitted = Admission(rate=5.0, burst=2.0), 0.0, 0
    for gap in gaps:
        now += gap
        admitted += admission.wait(now) == 0.0
        assert admitted <= 2.0 + 5.0 * now + 1e-6

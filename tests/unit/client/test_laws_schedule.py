"""Laws of the times between attempts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from coreconfig.client.schedule import LONGEST, LONGEST_ASKED, Schedule

chances = st.floats(0.0, 1.0, exclude_max=True)
asked = st.none() | st.floats(-10.0, 1e12)


@given(chances, st.lists(st.tuples(st.sampled_from(["connect", "poll"]), asked), max_size=40))
def test_whatever_happened_the_next_connection_is_due_within_a_bounded_time(
    chance: float, history: list[tuple[str, float | None]]
) -> None:
    """Nobody between client and server can keep it away for longer than a minute or so."""
    plan, now = Schedule(stream=True, poll_interval=15.0, random=lambda: chance), 1_000.0
    for kind, retry_after in history:
        if kind == "connect":
            plan.disconnected(now, retry_after)
        else:
            plan.polled(now, answered=False, retry_after=retry_after)
        attempt, due = plan.next()
        assert due <= now + max(LONGEST, 1.2 * LONGEST_ASKED)
        assert attempt in ("connect", "poll")
        now = max(now, due)

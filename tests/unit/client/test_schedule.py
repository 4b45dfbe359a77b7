"""When the server is tried again, with time and chance handed in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from coreconfig.client.schedule import Schedule


def schedule(chance: float = 0.5, *, stream: bool = True) -> Schedule:
    return Schedule(stream=stream, poll_interval=15.0, random=lambda: chance)


def test_the_first_connection_is_immediate() -> None:
    """And it is a stream."""
    assert schedule().next() == ("connect", 0.0)


def test_after_a_loss_the_next_connection_comes_within_five_seconds() -> None:
    """Spread, so that a restarted server is not stormed; polling waits for its interval."""
    for chance in (0.0, 0.5, 0.999):
        plan = schedule(chance)
        plan.connected()
        plan.disconnected(100.0)
        attempt, due = plan.next()
        assert attempt == "connect"
        assert 100.0 <= due < 105.0


def test_a_lost_connection_is_followed_by_polls_between_half_and_one_and_a_half_intervals() -> None:
    """Meanwhile nobody waits for the stream."""
    for chance, at in ((0.0, 107.5), (0.5, 115.0), (0.99, 122.35)):
        plan = schedule(chance)
        plan.connected()
        for _ in range(12):
            plan.disconnected(100.0)
        assert abs(plan._poll_at - at) < 1e-9


def test_what_never_was_answered_is_polled_at_once() -> None:
    """A proxy may let only requests through."""
    plan = schedule()
    plan.disconnected(3.0)
    assert plan.next() == ("poll", 3.0)
    plan.polled(3.0, answered=False)
    assert plan.next() == ("connect", 5.5)


@given(st.integers(1, 200), st.floats(0, 0.999999))
def test_back_off_grows_up_to_thirty_seconds_with_full_jitter_and_never_ends(
    failures: int, chance: float
) -> None:
    """For ever: there is always a next attempt."""
    plan = schedule(chance)
    plan.connected()
    for _ in range(failures):
        plan.disconnected(0.0)
    assert 0 <= plan._connect_at <= min(30.0, max(5.0, 2.0**failures)) * chance + 1e-9


def test_a_success_makes_the_next_loss_a_first_one() -> None:
    """The server came back; its next restart is treated kindly."""
    plan = schedule(0.9)
    for _ in range(10):
        plan.disconnected(0.0)
    plan.connected()
    plan.disconnected(0.0)
    assert plan.next() == ("connect", 4.5)


def test_the_server_says_how_long_to_stay_away_and_nothing_is_tried_before() -> None:
    """Neither stream nor poll; a little later than asked, each client at another time."""
    plan = schedule(0.5)
    plan.disconnected(100.0, retry_after=20.0)
    _, due = plan.next()
    assert due == 122.0
    plan.polled(122.0, answered=False, retry_after=50.0)
    assert plan.next()[1] == 177.0


def test_without_hot_reload_only_polls_are_made() -> None:
    """At once, then every interval."""
    plan = schedule(stream=False)
    assert plan.next() == ("poll", 0.0)
    plan.polled(1.0, answered=True)
    assert plan.next() == ("poll", 16.0)
    plan.disconnected(2.0)
    assert plan.next()[0] == "poll"

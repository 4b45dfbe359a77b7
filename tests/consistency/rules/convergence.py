"""Promise 8: when faults stop, connected clients run what they should within 30 s, all live ones in 60 s."""

from __future__ import annotations

from collections.abc import Iterator

from tests.consistency.history import Calm, Left, Link, Seen
from tests.consistency.model import moved
from tests.consistency.rules.timeline import Limits, Timeline, Violation


def check_convergence(timeline: Timeline, limits: Limits) -> Iterator[Violation]:
    """Every live client that has not arrived at the end of the log in time, or has left it again."""
    calms = list(timeline.history.of(Calm))
    if not calms:
        return
    calm = calms[-1].at
    gone = {left.client for left in timeline.history.of(Left)}
    for client in timeline.views.keys() - gone:
        within = limits.connected if _was_connected(timeline, client, calm) else limits.live
        yield from _arrives(timeline, client, calm, within)


def _was_connected(timeline: Timeline, client: str, when: float) -> bool:
    said = [link for link in timeline.history.of(Link) if link.client == client and link.at <= when]
    return bool(said) and said[-1].connected


def _arrives(timeline: Timeline, client: str, calm: float, within: float) -> Iterator[Violation]:
    lineage = timeline.lineages[-1]
    expected = timeline.content(len(timeline.lineages) - 1, lineage.head, timeline.views[client])
    after = sorted(
        (seen for seen in timeline.seen if seen.client == client and seen.answered >= calm),
        key=lambda seen: seen.answered,
    )
    arrived = [seen for seen in after if _is_right(seen, expected, lineage.epoch)]
    if not arrived or arrived[0].answered > calm + within:
        last = f"({after[-1].epoch}, {after[-1].revision})" if after else "nothing that was seen"
        what = f"{client} was at {last} {within:g} s after the faults, the log at {lineage.head}"
        yield Violation(8, "clients converge", what)
    elif not _is_right(after[-1], expected, lineage.epoch):
        yield Violation(8, "clients converge", f"{client} had arrived and then left the end of the log")


def _is_right(seen: Seen, expected: object, epoch: int) -> bool:
    return seen.current and seen.epoch == epoch and not list(moved(expected, seen.content))

"""Promise 2: a client never goes back to a lower (epoch, revision)."""

from __future__ import annotations

from collections.abc import Iterator

from tests.consistency.history import Seen
from tests.consistency.rules.timeline import Timeline, Violation


def check_positions(timeline: Timeline) -> Iterator[Violation]:
    """Every observation of a client that begins after a higher one of it has ended."""
    by_client: dict[str, list[Seen]] = {}
    for seen in timeline.seen:
        by_client.setdefault(seen.client, []).append(seen)
    for client, observations in by_client.items():
        yield from _falls(client, observations)


def _falls(client: str, observations: list[Seen]) -> Iterator[Violation]:
    ended = sorted(observations, key=lambda seen: seen.answered)
    highest, done = (-1, -1), 0
    for seen in sorted(observations, key=lambda seen: seen.asked):
        while done < len(ended) and ended[done].answered < seen.asked:
            highest = max(highest, (ended[done].epoch, ended[done].revision))
            done += 1
        if (seen.epoch, seen.revision) < highest:
            what = f"{client} had {highest} and then {(seen.epoch, seen.revision)} ({seen.by})"
            yield Violation(2, "a client never goes back", what)
            return

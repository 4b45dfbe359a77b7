"""Promise 4: a snapshot is one revision, every batch wholly or not at all.

Whatever anybody read under a revision is what the log says for it, so no half of a batch, no content under
another revision's name, and nothing that was never committed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.consistency.model import moved, short
from tests.consistency.rules.timeline import Timeline, Violation


def check_contents(timeline: Timeline) -> Iterator[Violation]:
    """Every observation whose content is not that of its revision."""
    for read in timeline.reads:
        number = timeline.at_time(read.answered)
        where = f"a read of {read.environment}/{read.service} at {read.server}"
        if (read.revision or 0) > timeline.lineages[number].head:
            yield _never(where, f"revision {read.revision}")
            continue
        expected = timeline.content(number, read.revision or 0, (read.environment, read.service))
        yield from _differ(where, f"revision {read.revision}", expected, read.content)
    for seen in timeline.seen:
        where, position = f"the client {seen.client} ({seen.by})", f"({seen.epoch}, {seen.revision})"
        place = timeline.at_position(seen.epoch, seen.revision)
        if place is None:
            yield _never(where, position)
            continue
        expected = timeline.content(place, seen.revision, timeline.views[seen.client])
        yield from _differ(where, position, expected, seen.content)


def _never(where: str, position: str) -> Violation:
    return Violation(4, "what is read was committed", f"{where} had {position}, which is not in the log")


def _differ(where: str, position: str, expected: Any, found: Any) -> Iterator[Violation]:
    differences = list(moved(expected, found))
    if differences or (expected is None) != (found is None):
        shown = "; ".join(
            f"{'.'.join(path)} is {short(now)} instead of {short(before)}"
            for path, before, now in differences[-3:]
        )
        yield Violation(4, "a snapshot is one revision", f"{where} read as {position}: {shown}")

"""Promise 3: a watch is told of each difference between successive snapshots once, in order, old and new.

The calls of one watch that name one revision are one step. What a step has to hold follows from the content
of its revision and of the one of the step before it; states in between may have been skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from tests.consistency.history import Told, Watching
from tests.consistency.model import ABSENT, Path, matches, moved, path_of, same, short
from tests.consistency.rules.timeline import Timeline, Violation


def check_watches(timeline: Timeline) -> Iterator[Violation]:
    """Every watch that was told too little, too much, or the wrong thing."""
    calls: dict[tuple[str, str], list[Told]] = {}
    for told in timeline.told:
        calls.setdefault((told.client, told.watch), []).append(told)
    for watching in timeline.history.of(Watching):
        mine = calls.get((watching.client, watching.watch), [])
        steps = [list(step) for _, step in groupby(mine, key=lambda told: told.revision)]
        yield from _check(timeline, watching, steps)


def _check(timeline: Timeline, watching: Watching, steps: list[list[Told]]) -> Iterator[Violation]:
    place = f"the watch {watching.watch} of {watching.client}"
    number = timeline.at_position(*watching.lowest)
    if number is None:
        return
    before = _beginning(timeline, watching, number, steps)
    revision = watching.lowest[1]
    for step in steps:
        here = step[0].revision
        candidates = list(_places(timeline, number, revision, here))
        if not candidates:
            yield _broken("in revision order", f"{place} was told of {here} after {revision}")
            return
        judged = [(place, list(_step(timeline, watching, before, place, step))) for place in candidates]
        number, faults = next((one for one in judged if not one[1]), judged[0])
        if faults:
            yield from (_broken(rule, f"{place} at revision {here}: {what}") for rule, what in faults)
            return
        before, revision = timeline.content(number, here, timeline.views[watching.client]), here
    yield from _told_everything(timeline, watching, before)


def _places(timeline: Timeline, number: int, revision: int, here: int) -> Iterator[int]:
    """The lineages in which a step to `here` can follow one to `revision` in the lineage `number`."""
    for later, lineage in enumerate(timeline.lineages):
        if here <= lineage.head and (later > number or (later == number and here >= revision)):
            yield later


def _beginning(timeline: Timeline, watching: Watching, number: int, steps: list[list[Told]]) -> Any:
    """The content that the watch began with: the one of its bounds that fits the first step best."""
    view = timeline.views[watching.client]
    bounds = range(watching.lowest[1], min(watching.highest[1], timeline.lineages[number].head) + 1)
    contents = [timeline.content(number, revision, view) for revision in bounds]
    if steps and steps[0][0].revision <= timeline.lineages[number].head:
        for content in contents:
            if not list(_step(timeline, watching, content, number, steps[0])):
                return content
    return contents[-1]


def _step(
    timeline: Timeline, watching: Watching, before: Any, number: int, step: list[Told]
) -> Iterator[tuple[str, str]]:
    now = timeline.content(number, step[0].revision, timeline.views[watching.client])
    expected = {path: (old, new) for path, old, new in moved(before, now) if _wants(watching, path)}
    told: set[Path] = set()
    for call in step:
        path = path_of(call.key)
        if path in told:
            yield "exactly once", f"{call.key} twice"
        elif path not in expected:
            yield "of differences only", f"{call.key}, which is {short(call.new)} and did not move"
        elif not _is_right(call, *expected[path]):
            old, new = expected[path]
            said = f"from {short(call.old)} to {short(call.new)} ({call.operation})"
            yield "old and new", f"{call.key} {said} instead of from {short(old)} to {short(new)}"
        told.add(path)
    for path in expected.keys() - told:
        yield "each difference", f"nothing of {'.'.join(path)}"


def _is_right(call: Told, old: Any, new: Any) -> bool:
    operation = "DELETE" if new is ABSENT else "SET"
    olds, news = (None if side is ABSENT else side for side in (old, new))
    return call.operation == operation and same(call.old, olds) and same(call.new, news)


def _told_everything(timeline: Timeline, watching: Watching, before: Any) -> Iterator[Violation]:
    """At the end nothing that the client has come to is left untold."""
    last = [seen for seen in timeline.seen if seen.client == watching.client and seen.by == "end"]
    if not last:
        return
    final = last[-1]
    untold = [path for path, _, _ in moved(before, final.content) if _wants(watching, path)]
    if untold:
        what = f"the watch {watching.watch} of {watching.client} was never told of {'.'.join(untold[0])}"
        yield _broken("each difference", f"{what}, which moved up to revision {final.revision}")


def _wants(watching: Watching, path: Path) -> bool:
    return any(matches(pattern, path) for pattern in watching.patterns)


def _broken(rule: str, what: str) -> Violation:
    return Violation(3, rule, what)

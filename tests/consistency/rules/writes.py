"""Promise 1: writes are linearizable, 2xx means durable, reads with a minimum never lag, others hardly.

The log is the witness: it gives the order. What is left to show is that each answered write is in it once
and unchanged, that the order never contradicts real time, that conditions held where the write stands, and
that nobody read what is not in it.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.consistency.history import Edit, Guard, Log, Row, Try
from tests.consistency.model import Configuration, Touched, path_of, related, same, short, value_at
from tests.consistency.rules.timeline import Limits, Lineage, Timeline, Violation


def check_writes(timeline: Timeline, limits: Limits) -> Iterator[Violation]:
    """Everything that breaks the first promise."""
    yield from _log_is_whole(timeline)
    for number, lineage in enumerate(timeline.lineages):
        writes = _writes(timeline, number)
        yield from _stored_once(writes, lineage)
        yield from _in_real_time(timeline, number, writes)
        yield from _conditions_held(writes, lineage)
        yield from _reads_are_new_enough(timeline, number, writes, limits)


@dataclass(frozen=True)
class Write:
    """All tries of one write."""

    name: str
    tries: tuple[Try, ...]

    @property
    def asked(self) -> float:
        """When it was first asked for."""
        return min(one.asked for one in self.tries)

    @property
    def answered(self) -> float:
        """When it was first known to be done."""
        return min((one.answered for one in self.tries if one.outcome == "done"), default=float("inf"))

    @property
    def revisions(self) -> set[int]:
        """What the answers said."""
        return {one.revision for one in self.tries if one.revision is not None and one.outcome == "done"}

    @property
    def is_refused(self) -> bool:
        """Whether every try was answered that nothing was stored."""
        return all(one.outcome == "refused" for one in self.tries)


def _writes(timeline: Timeline, number: int) -> list[Write]:
    """The writes that were asked for while this lineage counted."""
    found: dict[str, list[Try]] = {}
    for one in timeline.tries:
        if timeline.at_time(one.asked) == number:
            found.setdefault(one.write, []).append(one)
    return [Write(name, tuple(tries)) for name, tries in found.items()]


def _log_is_whole(timeline: Timeline) -> Iterator[Violation]:
    """Revisions are gap-free, epochs do not fall, and a row that was once read never changes."""
    for lineage in timeline.lineages:
        for number, row in enumerate(lineage.rows, 1):
            if row.revision != number:
                yield _broken("the log has no gap", f"revision {row.revision} stands at place {number}")
                break
    for log in timeline.logs:
        yield from _is_a_beginning(log, timeline.lineages[timeline.at_time(log.at - 1e-9)])


def _is_a_beginning(log: Log, lineage: Lineage) -> Iterator[Violation]:
    for row, later in zip(log.rows, lineage.rows, strict=False):
        if row != later:
            yield _broken("a row never changes", f"revision {row.revision} was {row} and became {later}")
            return
    if len(log.rows) > len(lineage.rows):
        yield _broken("a row never goes", f"the log had {len(log.rows)} rows and has {len(lineage.rows)}")


def _stored_once(writes: Iterable[Write], lineage: Lineage) -> Iterator[Violation]:
    for write in writes:
        rows = lineage.by_write.get(write.name, [])
        if len(rows) > 1:
            stands = [row.revision for row in rows]
            yield _broken("a write is applied once", f"{write.name} was stored as revisions {stands}")
        if rows and write.is_refused:
            yield _broken(
                "what is refused is not stored",
                f"{write.name} is revision {rows[0].revision}",
            )
        if write.revisions - {row.revision for row in rows}:
            yield _broken(
                "2xx means durable",
                f"{write.name} was answered with revision {sorted(write.revisions)},"
                f" the log has it at {[row.revision for row in rows]}",
            )
        for row in rows:
            yield from _says_the_same(write, row)


def _says_the_same(write: Write, row: Row) -> Iterator[Violation]:
    wanted = [_as_json(edit) for edit in write.tries[0].edits]
    stored = [dict(edit) for edit in row.edits]
    if not same(wanted, stored):
        yield Violation(
            4,
            "a batch is one revision",
            f"{write.name} asked for {short(wanted)}, and revision {row.revision} holds {short(stored)}",
        )


def _as_json(edit: Edit) -> dict[str, Any]:
    said: dict[str, Any] = {
        "kind": "value",
        "environment": edit.environment,
        "service": edit.service,
        "key": edit.key,
        "operation": edit.operation,
    }
    return {**said, "value": edit.value} if edit.operation in ("set", "merge") else said


def _in_real_time(timeline: Timeline, number: int, writes: list[Write]) -> Iterator[Violation]:
    """A revision that somebody has seen is lower than that of every write asked for afterwards."""
    seen = sorted(_evidence(timeline, number, writes))
    times = [at for at, _, _ in seen]
    highest: list[tuple[int, str]] = []
    for _, revision, who in seen:
        highest.append(max((revision, who), highest[-1]) if highest else (revision, who))
    for write in writes:
        before = bisect.bisect_left(times, write.asked)
        if before == 0:
            continue
        revision, who = highest[before - 1]
        stored = {row.revision for row in timeline.lineages[number].by_write.get(write.name, [])}
        for mine in write.revisions | stored:
            if mine <= revision:
                yield _broken(
                    "the order of revisions is that of time",
                    f"{write.name} became {mine}, and {who} had {revision} before it was asked for",
                )


def _evidence(timeline: Timeline, number: int, writes: Iterable[Write]) -> Iterator[tuple[float, int, str]]:
    """When somebody knew of a revision: (time, revision, who)."""
    for write in writes:
        for one in write.tries:
            if one.outcome == "done" and one.revision is not None:
                yield one.answered, one.revision, write.name
    for read in timeline.reads:
        if timeline.at_time(read.asked) == timeline.at_time(read.answered) == number and read.revision:
            yield read.answered, read.revision, f"a read at {read.server}"
    for seen in timeline.seen:
        if timeline.at_position(seen.epoch, seen.revision) == number and seen.epoch == _epoch(
            timeline, number
        ):
            yield seen.answered, seen.revision, f"the client {seen.client}"


def _epoch(timeline: Timeline, number: int) -> int:
    return timeline.lineages[number].epoch


def _conditions_held(writes: Iterable[Write], lineage: Lineage) -> Iterator[Violation]:
    """A guarded write stands where its key had not moved since; a refusal of ``If-Match`` had a reason."""
    guarded = {write.name: write for write in writes if write.tries[0].guard is not None}
    keys = {_key(write.tries[0].guard) for write in guarded.values() if write.tries[0].guard}
    moves = _moves(lineage, keys)
    for write in guarded.values():
        guard = write.tries[0].guard
        assert guard is not None
        stamps = moves[_key(guard)]
        for row in lineage.by_write.get(write.name, []):
            between = [m for m in stamps if guard.revision < m < row.revision]
            if between:
                yield _broken(
                    "a condition holds where the write stands",
                    f"{write.name} wanted {guard.key} as of revision {guard.revision} and became"
                    f" {row.revision}, though it moved at {between}",
                )
        refused = [one for one in write.tries if one.code == "precondition_failed"]
        if write.is_refused and refused and guard.kind == "if_match":
            near = _near(lineage, guard)
            if not near:
                yield _broken(
                    "an unrelated write is no conflict",
                    f"{write.name} wanted {guard.key} as of revision {guard.revision}, which never moved"
                    " since, and was refused",
                )


_Key = tuple[str, str | None, tuple[str, ...]]


def _key(guard: Guard | None) -> _Key:
    assert guard is not None
    return guard.environment, guard.service, path_of(guard.key)


def _moves(lineage: Lineage, keys: Iterable[_Key]) -> dict[_Key, list[int]]:
    """For each key the revisions that moved its resolved value or its own entry."""
    configuration = Configuration()
    moves: dict[_Key, list[int]] = {key: [] for key in keys}
    values = {key: value_at(None, key[2]) for key in moves}
    for row in lineage.rows:
        touched = configuration.apply(row)
        for key, stamps in moves.items():
            now = value_at(configuration.view(*key[:2]), key[2])
            if not same(now, values[key]) or any(_is_own(place, key) for place in touched):
                stamps.append(row.revision)
            values[key] = now
    return moves


def _is_own(place: Touched, key: _Key) -> bool:
    return (place.environment, place.service) == key[:2] and related(place.path, key[2])


def _near(lineage: Lineage, guard: Guard) -> list[int]:
    """The revisions after the guard's that edited anything at, above or below its key, anywhere."""
    path = path_of(guard.key)
    return [
        row.revision
        for row in lineage.rows[guard.revision :]
        if any(edit["kind"] != "value" or related(path_of(edit["key"]), path) for edit in row.edits)
    ]


def _reads_are_new_enough(
    timeline: Timeline, number: int, writes: Iterable[Write], limits: Limits
) -> Iterator[Violation]:
    known = sorted((write.answered, max(write.revisions)) for write in writes if write.revisions)
    times = [at for at, _ in known]
    highest: list[int] = []
    for _, revision in known:
        highest.append(max(revision, highest[-1]) if highest else revision)
    for read in timeline.reads:
        if timeline.at_time(read.asked) != number or timeline.at_time(read.answered) != number:
            continue
        revision = read.revision or 0
        where = f"a read of {read.environment}/{read.service} at {read.server}"
        if read.minimum is not None and revision < read.minimum:
            yield _broken(
                "a read with a minimum never lags", f"{where} wanted {read.minimum} and got {revision}"
            )
        since = read.asked - limits.lag - limits.slack
        if any(begins < read.answered and ends > since for begins, ends in timeline.outages):
            continue  # reads go on while nobody can look
        old = bisect.bisect_right(times, since)
        if old and revision < highest[old - 1]:
            yield _broken(
                "a read lags at most a poll interval",
                f"{where} got {revision}, though {highest[old - 1]} had been answered"
                f" {read.asked - times[old - 1]:.1f} s before it was asked for, or longer ago",
            )


def _broken(rule: str, what: str) -> Violation:
    return Violation(1, rule, what)

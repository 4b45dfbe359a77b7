"""The log of a run as a sequence of states, and which of them an observation speaks of.

A run has one lineage, and one more for each restored copy: the same numbers then stand for other rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tests.consistency.history import (
    OUTAGE,
    Fault,
    History,
    Joined,
    Log,
    Read,
    Restored,
    Row,
    Seen,
    Told,
    Try,
    Watching,
)
from tests.consistency.model import Configuration

View = tuple[str, str | None]


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was broken: its number, which rule, and what shows it."""

    promise: int
    rule: str
    what: str

    def __str__(self) -> str:
        return f"promise {self.promise}, {self.rule}: {self.what}"


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds that the promises allow; `slack` is for clocks, scheduling and the measuring itself."""

    lag: float = 1.0
    slack: float = 3.0
    connected: float = 30.0
    live: float = 60.0


@dataclass(frozen=True)
class Lineage:
    """One log and the time in which it counted; of its rows those up to `kept` lived on after it."""

    rows: tuple[Row, ...]
    begins: float
    ends: float
    kept: int | None

    @property
    def head(self) -> int:
        """The last revision."""
        return len(self.rows)

    @property
    def epoch(self) -> int:
        """The epoch at its end."""
        return self.rows[-1].epoch if self.rows else 1

    def epoch_at(self, revision: int) -> int:
        """The epoch of a revision."""
        return self.rows[revision - 1].epoch if revision else 1

    @cached_property
    def by_write(self) -> dict[str, list[Row]]:
        """The rows that each write left."""
        found: dict[str, list[Row]] = {}
        for row in self.rows:
            if row.reason is not None:
                found.setdefault(row.reason, []).append(row)
        return found


class Timeline:
    """A history with its log, prepared for the rules."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.tries = list(history.of(Try))
        self.reads = [read for read in history.of(Read) if read.revision is not None]
        self.seen = list(history.of(Seen))
        self.told = list(history.of(Told))
        self.views: dict[str, View] = {j.client: (j.environment, j.service) for j in history.of(Joined)}
        self.outages = list(_outages(history))
        self.logs = sorted(history.of(Log), key=lambda log: log.at)
        self.lineages = list(_lineages(history, self.logs))
        self._contents = self._folded()

    def at_time(self, answered: float) -> int:
        """Which lineage counted when something was answered."""
        for number, lineage in enumerate(self.lineages):
            if answered < lineage.ends:
                return number
        return len(self.lineages) - 1

    def at_position(self, epoch: int, revision: int) -> int | None:
        """The lineage in which there is this position."""
        for number, lineage in enumerate(self.lineages):
            if 0 <= revision <= lineage.head and lineage.epoch_at(revision) == epoch:
                return number
            if revision <= lineage.head and lineage.epoch_at(revision) < epoch <= lineage.epoch:
                return number
        return None

    def content(self, lineage: int, revision: int, view: View) -> Any:
        """What the log says that a view was; asked only for what was observed."""
        return self._contents[lineage, revision, view]

    def _folded(self) -> dict[tuple[int, int, View], Any]:
        """Every state that some observation speaks of, by one pass over each log."""
        wanted: dict[tuple[int, int], set[View]] = {}
        for place, view in self._asked_for():
            wanted.setdefault(place, set()).add(view)
        for number, lineage in enumerate(self.lineages):
            wanted.setdefault((number, lineage.head), set()).update(self.views.values())
        contents: dict[tuple[int, int, View], Any] = {}
        for number, lineage in enumerate(self.lineages):
            configuration = Configuration()
            for revision in range(lineage.head + 1):
                if revision:
                    configuration.apply(lineage.rows[revision - 1])
                for view in wanted.get((number, revision), ()):
                    contents[number, revision, view] = configuration.view(*view)
        return contents

    def _asked_for(self) -> Iterator[tuple[tuple[int, int], View]]:
        for read in self.reads:
            yield (self.at_time(read.answered), read.revision or 0), (read.environment, read.service)
        for seen in self.seen:
            place = self.at_position(seen.epoch, seen.revision)
            if place is not None:
                yield (place, seen.revision), self.views[seen.client]
        for told in self.told:
            for number in range(len(self.lineages)):
                yield (number, told.revision), self.views[told.client]
        for watching in self.history.of(Watching):
            for number in range(len(self.lineages)):
                for revision in range(watching.lowest[1], watching.highest[1] + 1):
                    yield (number, revision), self.views[watching.client]


def _outages(history: History) -> Iterator[tuple[float, float]]:
    """When the database was away: (from, to)."""
    begun: float | None = None
    for fault in history.of(Fault):
        if fault.what == OUTAGE:
            begun = fault.at
        elif fault.what == f"end of {OUTAGE}" and begun is not None:
            yield begun, fault.at
            begun = None


def _lineages(history: History, logs: list[Log]) -> Iterator[Lineage]:
    restored = sorted(history.of(Restored), key=lambda event: event.at)
    begins = 0.0
    for event in restored:
        before = [log for log in logs if log.at <= event.at]
        yield Lineage(before[-1].rows, begins, event.at, event.revision)
        begins = event.at
    yield Lineage(logs[-1].rows if logs else (), begins, float("inf"), None)

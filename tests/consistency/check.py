"""The checker: from a history to every way in which it breaks a promise. Pure; nothing is asked of anybody.

Judged are promise 1 (linearizable, durable writes; reads that do not lag), 2 (no client goes back), 3
(watches), 4 (a snapshot is one revision) and 8 (clients converge once faults have stopped).
"""

from __future__ import annotations

from tests.consistency.history import History
from tests.consistency.rules.contents import check_contents
from tests.consistency.rules.convergence import check_convergence
from tests.consistency.rules.positions import check_positions
from tests.consistency.rules.timeline import Limits, Timeline, Violation
from tests.consistency.rules.watches import check_watches
from tests.consistency.rules.writes import check_writes

__all__ = ["Limits", "Violation", "check"]


def check(history: History, limits: Limits | None = None) -> list[Violation]:
    """Every violation that the history shows. It has to hold the log as it was at the end."""
    limits = limits or Limits()
    timeline = Timeline(history)
    return [
        *check_writes(timeline, limits),
        *check_positions(timeline),
        *check_watches(timeline),
        *check_contents(timeline),
        *check_convergence(timeline, limits),
    ]

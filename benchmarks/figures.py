"""One figure: a measurement, its reference, their ratio, and the bound that the ratio has to keep."""

from __future__ import annotations

import gc
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Figure:
    """A value and its reference as medians, the median of their paired ratios, and what that may be at most.

    Seconds, unless `unit` says otherwise. For a `limit` the reference is the limit itself.
    """

    name: str
    value: float
    reference: str
    reference_value: float
    ratio: float
    bound: float
    unit: str = "s"

    @property
    def met(self) -> bool:
        """Whether the ratio keeps its bound."""
        return self.ratio <= self.bound

    def to_json(self) -> dict[str, Any]:
        """The figure as the JSON report lists it."""
        return {**asdict(self), "met": self.met}


def compare(
    name: str,
    measure: Callable[[], float],
    reference: str,
    measure_reference: Callable[[], float],
    *,
    bound: float,
    rounds: int = 7,
) -> Figure:
    """Measure both in turn, so that a machine whose speed drifts does not favour either."""
    pairs = [(measure(), measure_reference()) for _ in range(rounds)]
    return of_pairs(name, reference, pairs, bound=bound)


def of_pairs(
    name: str, reference: str, pairs: list[tuple[float, float]], *, bound: float, unit: str = "s"
) -> Figure:
    """The figure of measurements that were made beside their references."""
    return Figure(
        name,
        statistics.median(value for value, _ in pairs),
        reference,
        statistics.median(other for _, other in pairs),
        statistics.median(value / other for value, other in pairs),
        bound,
        unit,
    )


def limit(name: str, value: float, most: float, *, unit: str) -> Figure:
    """A figure that has a limit of its own."""
    return Figure(name, value, "limit", most, value / most, 1, unit)


def timed(work: Callable[[], object]) -> Callable[[], float]:
    """A measurement of one call, in seconds, with the garbage of others out of the way."""

    def measure() -> float:
        gc.collect()
        began = time.perf_counter()
        work()
        return time.perf_counter() - began

    return measure


def per_iteration(statement: str, names: dict[str, Any], *, iterations: int = 200_000) -> Callable[[], float]:
    """A measurement of a statement inside a plain loop, in seconds each; the loop is taken off."""
    source = "def loop(n):\n    for _ in range(n):\n        {}\n"
    running: dict[str, Any] = dict(names)
    empty: dict[str, Any] = {}
    exec(source.format(statement), running)  # noqa: S102  # the statement is a literal of a benchmark
    exec(source.format("pass"), empty)  # noqa: S102  # the same

    def measure() -> float:
        return max(_clocked(running["loop"], iterations) - _clocked(empty["loop"], iterations), 1e-12)

    return measure


def _clocked(loop: Callable[[int], None], iterations: int) -> float:
    began = time.perf_counter()
    loop(iterations)
    return (time.perf_counter() - began) / iterations


def process(*command: str) -> Callable[[], float]:
    """A measurement of a whole process from start to exit, in seconds."""

    def measure() -> float:
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return time.perf_counter() - began

    return measure


PYTHON = sys.executable

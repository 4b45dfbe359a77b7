"""Print every figure as a table, and write them as JSON.

    script/bench                    all figures
    script/bench resolution reads   some of them
    script/bench --json FILE        the report as JSON, too ("-": instead of the table)

Exit status 1 if a figure does not keep its bound.
"""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import sys
from pathlib import Path

from benchmarks.figures import Figure

SUITES = ("reads", "resolution", "startup", "writes", "fanout", "large")


def main() -> int:
    """Measure the suites that were asked for."""
    parser = argparse.ArgumentParser(prog="script/bench", description=__doc__.splitlines()[0])
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=", ".join(SUITES))
    parser.add_argument("--json", metavar="FILE", help="write the report as JSON, too; - for standard output")
    asked = parser.parse_args()
    if unknown := set(asked.suites) - set(SUITES):
        parser.error(f"there is no suite {', '.join(sorted(unknown))}; there are {', '.join(SUITES)}")
    found: list[Figure] = []
    table = asked.json != "-"
    if table:
        print(f"{platform.python_implementation()} {platform.python_version()} on {platform.machine()}\n")
        print(f"{'figure':<62}{'':>11}  {'against':<34}{'':>11}{'ratio':>9}{'at most':>9}")
    for suite in asked.suites or SUITES:
        for figure in importlib.import_module(f"benchmarks.{suite}").figures():
            found.append(figure)
            if table:
                print(line(figure), flush=True)
    if asked.json:
        report = json.dumps([figure.to_json() for figure in found], indent=2) + "\n"
        if table:
            Path(asked.json).write_text(report)
        else:
            sys.stdout.write(report)
    return 0 if all(figure.met for figure in found) else 1


def line(figure: Figure) -> str:
    """One row of the table."""
    verdict = "" if figure.met else "  <- over its bound"
    return (
        f"{figure.name:<62}{shown(figure.value, figure.unit):>11}  {figure.reference:<34}"
        f"{shown(figure.reference_value, figure.unit):>11}{figure.ratio:>9.3g}{figure.bound:>9.3g}{verdict}"
    )


def shown(value: float, unit: str) -> str:
    """A value in a unit that fits."""
    if unit != "s":
        return f"{value:,.3g} {unit}" if value < 1000 else f"{value:,.0f} {unit}"
    for name, factor in (("s", 1), ("ms", 1e3), ("us", 1e6)):
        if value * factor >= 1:
            return f"{value * factor:.3g} {name}"
    return f"{value * 1e9:.3g} ns"


if __name__ == "__main__":
    sys.exit(main())

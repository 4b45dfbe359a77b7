"""The long form: random runs one after another, each with a seed of its own, until the time is over.

Each round has a fresh database; one server on SQLite and several replicas on PostgreSQL take turns where
there is one. What breaks a promise is printed, its history is kept, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click
from tests.consistency import bugs
from tests.consistency.check import Violation
from tests.consistency.faults import DatabaseFaults, Lengths
from tests.consistency.history import Log, Read, Seen, Told, Try
from tests.consistency.rig import Rig
from tests.consistency.run import Plan, random_run
from tests.postgres import Databases, Named, Postgres, cluster, new_database

SHOWN = 10
LONG = Lengths(usual=(0.3, 3.0), held=(0.5, 15.0))
SHORTEST = 5.0


def main() -> int:
    """Run until the time is over; 1 if a promise was broken."""
    asked = _arguments()
    until = time.monotonic() + asked.minutes * 60
    broken = number = 0
    with ExitStack() as running:
        server = _postgres(asked, running)
        while number == 0 or time.monotonic() + SHORTEST < until:
            seconds = max(SHORTEST, min(asked.round, until - time.monotonic()))
            takes_postgres = asked.on == "postgresql" or number % 2 == 1
            broken += _round(asked, asked.seed + number, seconds, server if takes_postgres else None)
            number += 1
    click.echo(f"{number} rounds, {broken} of them broke a promise")
    return 1 if broken else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="script/soak", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("minutes", nargs="?", type=float, default=10.0, help="how long, else 10")
    parser.add_argument("--seed", type=int, help="of the first round; the next ones count on")
    parser.add_argument("--round", type=float, default=90.0, help="seconds of faults in a round, else 90")
    parser.add_argument("--replicas", type=int, default=3, help="servers on PostgreSQL, else 3")
    parser.add_argument("--database", metavar="URL", help="a PostgreSQL server to make databases on")
    parser.add_argument("--on", choices=("both", "sqlite", "postgresql"), default="both")
    parser.add_argument("--bug", choices=bugs.NAMES, help="seed this bug, to see it found")
    parser.add_argument("--keep", type=Path, help="where histories that broke something go")
    asked = parser.parse_args()
    asked.seed = random.SystemRandom().randrange(1_000_000) if asked.seed is None else asked.seed
    asked.keep = asked.keep or Path(tempfile.gettempdir(), "coreconfig-soak")
    return asked


def _postgres(asked: argparse.Namespace, running: ExitStack) -> Databases | None:
    """The server of the rounds on PostgreSQL; None where there is none."""
    if asked.on == "sqlite":
        return None
    if asked.database:
        return Named(asked.database)
    if not list(Path("/usr/lib/postgresql").glob("*/bin/initdb")) and shutil.which("initdb") is None:
        click.echo("PostgreSQL is not installed here: every round is on SQLite")
        return None
    return running.enter_context(cluster())


def _round(asked: argparse.Namespace, seed: int, seconds: float, server: Databases | None) -> bool:
    """One run; whether it broke a promise."""
    replicas = asked.replicas if server is not None else 1
    where = f"PostgreSQL with {replicas} servers" if server is not None else "SQLite"
    click.echo(f"seed {seed}, {where}: ", nl=False)
    with ExitStack() as running:
        folder = running.enter_context(_folder())
        url = running.enter_context(new_database(server)) if server is not None else None
        rig = running.enter_context(Rig(folder, bug=asked.bug, replicas=replicas, database=url, seed=seed))
        others = DatabaseFaults(rig, server, seed).kinds if isinstance(server, Postgres) else {}
        random_run(rig, Plan(seed, seconds, jitter=None, lengths=LONG), others)
        violations = rig.judge()
        _tell(rig, violations)
        if violations:
            _keep(asked.keep / f"seed-{seed}", rig)
    return bool(violations)


@contextmanager
def _folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="coreconfig-soak-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _tell(rig: Rig, violations: list[Violation]) -> None:
    history = rig.history
    kinds = {"requests to write": Try, "reads": Read, "looks at clients": Seen, "callbacks": Told}
    counted = ", ".join(f"{sum(1 for _ in history.of(kind))} {name}" for name, kind in kinds.items())
    revisions = max(len(log.rows) for log in history.of(Log))
    click.echo(f"{revisions} revisions, {counted}; {len(violations)} violations")
    for (promise, rule), times in Counter((one.promise, one.rule) for one in violations).items():
        click.echo(f"  promise {promise}, {rule}: {times} times")
    for violation in violations[:SHOWN]:
        click.echo(f"  {violation}")


def _keep(folder: Path, rig: Rig) -> None:
    """Put the history and what the processes said where they can be looked at."""
    folder.mkdir(parents=True, exist_ok=True)
    rig.history.save(folder / "history.jsonl")
    for said in rig.folder.glob("*.log"):
        shutil.copy(said, folder)
    click.echo(f"  kept in {folder}")


if __name__ == "__main__":
    sys.exit(main())

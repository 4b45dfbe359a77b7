"""What a durable write costs: against a bare commit of SQLite, and against a put to etcd."""

from __future__ import annotations

import base64
import sqlite3
import statistics
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

from benchmarks import servers
from benchmarks.figures import Figure, of_pairs, timed

ROUNDS, WRITES = 7, 60


def figures() -> Iterator[Figure]:
    """``PUT`` of one key over HTTP, durable, one after the other."""
    with servers.folder() as place, servers.coreconfig(place / "bench.db") as ours, servers.etcd() as etcd:
        ask, ask_etcd = servers.Requests(ours.port), servers.Requests(etcd.port)
        servers.create_environment(ask, 4, {"risk": {"max": 0}})
        numbers = count()

        def put() -> float:
            path = "/v1/environments/bench/configuration/risk.max"
            return ask.timed("PUT", path, {"value": next(numbers)})

        def put_etcd() -> float:
            value = base64.b64encode(str(next(numbers)).encode()).decode()
            return ask_etcd.timed("POST", "/v3/kv/put", {"key": "cmlzaw==", "value": value})

        commit = timed(_bare_commits(place / "bare.db"))
        samples = [(_median(put), _median(commit), _median(put_etcd)) for _ in range(ROUNDS)]
    ours_and_bare = [(ours, bare) for ours, bare, _ in samples]
    yield of_pairs("PUT of one key over HTTP, SQLite", "bare SQLite commit, FULL", ours_and_bare, bound=8)
    ours_and_etcd = [(ours, other) for ours, _, other in samples]
    yield of_pairs("PUT of one key over HTTP, SQLite", "put to etcd", ours_and_etcd, bound=1)


def _median(measure: Callable[[], float]) -> float:
    return statistics.median(measure() for _ in range(WRITES))


def _bare_commits(file: Path) -> Callable[[], None]:
    database = sqlite3.connect(file, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE bench (number INTEGER PRIMARY KEY, text TEXT)")

    def commit() -> None:
        database.execute("BEGIN IMMEDIATE")
        database.execute("INSERT INTO bench (text) VALUES (?)", ("x" * 100,))
        database.execute("COMMIT")

    return commit

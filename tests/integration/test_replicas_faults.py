"""The database goes away, comes back, or is another one: reads go on all the while, writes come back soon."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from tests.integration.replicas import LONG, Reader, Replica, Writer, replicas, until
from tests.postgres import Postgres, cluster, folder

READ = "/v1/environments/demo/services/engine/configuration"
BACK_WITHIN = 30.0
"""Seconds after which writes go through again; how long the database itself was away comes on top."""


def sound(writers: list[Writer], servers: list[Replica], database: Postgres) -> None:
    """What was acknowledged is in the log exactly once, and every server serves the same newest state."""
    rows = database.execute("SELECT revision, edits FROM log ORDER BY revision", database="coreconfig")
    assert [number for number, _ in rows] == list(range(1, len(rows) + 1))
    edits = dict(rows)
    for writer in writers:
        for value, revision in writer.acknowledged.items():
            assert f'"key":"{writer.key}"' in edits[revision]
            assert edits[revision].count(f'"value":{value}}}') == 1
        stored = [text for text in edits.values() if f'"key":"{writer.key}"' in text]
        assert len(stored) == len(set(stored)), "a repeated request was done twice"


async def agree(servers: list[Replica]) -> None:
    """Every server comes to serve the same, without any problem."""
    clients = [server.client() for server in servers]

    async def same() -> bool:
        answers = [await client.get(READ) for client in clients]
        ready = [(await client.get("/readyz")).status_code for client in clients]
        return len({answer.text for answer in answers}) == 1 and set(ready) == {200}

    await until(same, seconds=30)
    for client in clients:
        await client.http.aclose()


@pytest.fixture
def own() -> Iterator[Postgres]:
    """A database server of this test's own."""
    with cluster() as server:
        server.execute("CREATE DATABASE coreconfig")
        yield server


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["in order", "crash"])
async def test_a_database_that_is_restarted_interrupts_no_read_and_writes_come_back(
    own: Postgres, tmp_path: Path, how: signal.Signals
) -> None:
    """Servers serve what they know and go on by themselves; nothing that was acknowledged is missing."""
    with replicas(own.url("coreconfig"), tmp_path, 2) as servers, ExitStack() as busy:
        readers = [busy.enter_context(Reader(server.url)) for server in servers]
        urls = [server.url for server in servers]
        writers = [busy.enter_context(Writer(urls, f"w{number}")) for number in range(3)]
        await until(lambda: all(len(writer.acknowledged) > 10 for writer in writers))
        own.stop(how)
        await asyncio.sleep(30 if LONG else 3)  # how long it is away
        own.start()
        before = [len(writer.acknowledged) for writer in writers]
        await until(
            lambda: all(len(w.acknowledged) > n + 10 for w, n in zip(writers, before, strict=True)),
            seconds=BACK_WITHIN,
        )
        busy.close()
        assert [reader.faults for reader in readers] == [[], []]
        assert max(reader.slowest for reader in readers) < 1.5
        refusals = {code for writer in writers for code in writer.refused}
        assert refusals <= {
            "storage_unreachable",
            "outcome_unknown",
            "database_connections",
            "log_unreadable",
        }
        await agree(servers)
        sound(writers, servers, own)


async def test_a_standby_that_takes_over_has_everything_and_is_found(tmp_path: Path) -> None:
    """The primary dies and its synchronous standby is promoted: nothing is lost, writes come back."""
    with cluster() as primary, folder() as place:
        standby = Postgres(place)
        standby.follow(primary, "standby")
        standby.start()
        try:
            primary.execute("CREATE DATABASE coreconfig")
            primary.execute("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
            primary.execute("SELECT pg_reload_conf()")
            await until(lambda: primary.execute("SELECT sync_state FROM pg_stat_replication") == [("sync",)])
            both = primary.url("coreconfig").replace(
                f":{primary.port}", f":{primary.port},127.0.0.1:{standby.port}"
            )
            with replicas(both, tmp_path, 2) as servers, ExitStack() as busy:
                readers = [busy.enter_context(Reader(server.url)) for server in servers]
                urls = [server.url for server in servers]
                writers = [busy.enter_context(Writer(urls, f"w{number}")) for number in range(3)]
                await until(lambda: all(len(writer.acknowledged) > 10 for writer in writers))
                primary.stop(signal.SIGQUIT)
                standby.execute("SELECT pg_promote()")
                before = [len(writer.acknowledged) for writer in writers]
                await until(
                    lambda: all(len(w.acknowledged) > n + 10 for w, n in zip(writers, before, strict=True)),
                    seconds=BACK_WITHIN,
                )
                busy.close()
                assert [reader.faults for reader in readers] == [[], []]
                await agree(servers)
                sound(writers, servers, standby)
        finally:
            standby.stop()


async def test_a_server_frozen_in_the_middle_of_a_write_holds_up_the_others_for_seconds_only(
    own: Postgres, tmp_path: Path
) -> None:
    """Its transaction, and with it the lock of the head, is taken from it; it goes on without harm."""
    with replicas(own.url("coreconfig"), tmp_path, 2) as servers, ExitStack() as busy:
        frozen, other = servers
        with Writer([frozen.url], "frozen") as writer:
            await until(lambda: len(writer.acknowledged) > 5)
            with psycopg.connect(own.url("coreconfig"), autocommit=True) as admin:
                held = "SELECT 1 FROM pg_locks WHERE relation = 'head'::regclass AND mode = 'RowShareLock'"
                for _ in range(200):  # until it is caught with the lock
                    frozen.freeze()
                    if admin.execute(held).fetchone():
                        break
                    frozen.thaw()
                    await asyncio.sleep(0.003)
                assert admin.execute(held).fetchone(), "it was never caught in the middle of a write"
            began = time.monotonic()
            with Writer([other.url], "other") as at_other:
                await until(lambda: len(at_other.acknowledged) > 5, seconds=20)
            assert time.monotonic() - began < 15
            frozen.thaw()
            count = len(writer.acknowledged)
            await until(lambda: len(writer.acknowledged) > count + 5)
        busy.close()
        await agree(servers)
        sound([writer, at_other], servers, own)

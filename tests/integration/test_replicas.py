"""Several servers on one PostgreSQL: one truth, whichever of them is asked, whatever stands still."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection
from tests.integration.replicas import LONG, Replica, replicas, until
from tests.integration.streaming import Server, Stream, put
from tests.postgres import Databases, new_database

from coreconfig.server.db.database import Database
from coreconfig.server.revisions.log import append, lock_head

READ = "/v1/environments/demo/services/engine/configuration"


@pytest.fixture(scope="module")
def database(postgres: Databases) -> Iterator[str]:
    with new_database(postgres) as url:
        yield url


@pytest.fixture(scope="module")
def three(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Replica]]:
    with replicas(database, tmp_path_factory.mktemp("replicas"), 3) as found:
        yield found


@pytest.fixture
async def servers(three: list[Replica]) -> Any:
    found = [replica.client() for replica in three]
    yield found
    for server in found:
        await server.http.aclose()


async def follow(stream: Stream, key: str, value: object) -> None:
    """Take pushes until the view says this."""
    while stream.values is None or stream.values.get(key) != value:
        frame = await stream.receive()
        if frame["type"] in ("snapshot", "configuration_changed"):
            assert stream.at is None or frame["at"]["revision"] > stream.at["revision"]
            stream.apply(frame)
            await stream.ack(frame)


async def test_a_change_at_one_server_reaches_the_clients_of_all_at_once(servers: list[Server]) -> None:
    """A commit tells the others by itself: twenty changes take less time than looking each second would."""
    async with AsyncExitStack() as stack:
        streams = [
            await stack.enter_async_context(server.stream(f"i{number}"))
            for number, server in enumerate(servers)
        ]
        for stream in streams:
            await stream.take("snapshot")
        began = time.monotonic()
        for turn in range(20):
            await servers[turn % 3].put("demo/engine", "reach", turn)
            await asyncio.gather(*(follow(stream, "reach", turn) for stream in streams))
        assert time.monotonic() - began < 5.0
        assert len({stream.at["digest"] for stream in streams if stream.at}) == 1


async def test_what_was_set_at_one_server_is_read_at_another_when_its_revision_is_named(
    servers: list[Server],
) -> None:
    """Never stale, hundreds of times, with the servers in any order."""
    lots = random.Random(3)
    for turn in range(1_000 if LONG else 300):
        writer, reader = lots.sample(servers, 2)
        revision = await writer.put("demo/engine", "fresh", turn)
        answer = await reader.get(READ, **{"X-CoreConfig-Min-Revision": str(revision)})
        assert answer.status_code == 200, answer.text
        assert answer.json()["revision"] >= revision
        assert answer.json()["values"]["fresh"] == turn


async def test_commits_that_come_late_after_their_number_was_taken_lose_nothing(
    servers: list[Server], database: str
) -> None:
    """Whoever takes a number keeps others from the next one until it is committed: no reader misses a row."""
    slow = Database.open(database)
    lots = random.Random(5)

    def late(tx: Connection, key: str, moment: float) -> int:
        edits = [put("demo/engine", key, 1)]
        facts = {"kind": "values_committed", "change_id": f"chg-{key}", "author": "a", "reason": None}
        row = append(
            tx, lock_head(tx), **facts, committed_at="2026-03-01T12:00:00Z", edits=edits, movements=[]
        )  # type: ignore[arg-type]  # one mapping for brevity
        threading.Event().wait(moment)  # the number is taken, the commit is not there yet
        return row.revision

    async def slowly(number: int) -> int:
        moment = lots.uniform(0.0, 0.08)
        return await slow.writing(lambda tx: late(tx, f"slow{number}", moment))

    async def quickly(number: int) -> int:
        return await servers[number % 3].put("demo/engine", f"quick{number}", 1)

    async with servers[0].stream("late") as stream:
        await stream.take("snapshot")
        taken = await asyncio.gather(*(slowly(n) for n in range(30)), *(quickly(n) for n in range(30)))
        assert len(set(taken)) == 60
        expected = {f"{speed}{n}" for speed in ("slow", "quick") for n in range(30)}
        for server in servers:
            answer = await server.get(READ, **{"X-CoreConfig-Min-Revision": str(max(taken))})
            assert expected <= set(answer.json()["values"])
        while stream.values is None or not expected <= set(stream.values):
            await stream.take("configuration_changed")
    slow.close()


async def test_a_server_that_stood_still_never_serves_or_sends_back_what_is_older(
    servers: list[Server], three: list[Replica]
) -> None:
    """Stopped in the middle of everything, gone on later: clients of the others can come to it at once."""
    frozen, other = servers[0], servers[1]
    async with frozen.stream("stays") as stays, other.stream("moves") as moves:
        await stays.take("snapshot")
        await moves.take("snapshot")
        three[0].freeze()
        try:
            waiting = asyncio.ensure_future(frozen.get(READ))  # asked of a process that cannot hear it
            for turn in range(20):
                newest = await other.put("demo/engine", "still", turn)
            await follow(moves, "still", 19)
            await asyncio.sleep(60 if LONG else 3)  # how long the fault lasts
        finally:
            three[0].thaw()
        held = moves.at
        assert held is not None
        plain, named = await asyncio.gather(
            frozen.get(READ), frozen.get(READ, **{"X-CoreConfig-Min-Revision": str(newest)})
        )
        assert named.json()["revision"] >= newest
        assert plain.json()["revision"] >= newest
        assert (await waiting).json()["revision"] >= newest
        async with frozen.stream("moves", have=held) as moved:
            later = await other.put("demo/engine", "still", "later")
            while moved.at is None or moved.at["revision"] < later:
                frame = await moved.receive()
                assert frame["at"]["revision"] >= held["revision"]
                if frame["type"] == "configuration_changed":
                    assert frame["from"]["revision"] >= held["revision"]
                    await moved.ack(frame)
                moved.at = frame["at"]
        await follow(stays, "still", "later")


async def test_the_loss_of_the_connection_for_notices_costs_a_moment_and_no_change(
    servers: list[Server], database: str
) -> None:
    """It is made again by itself, also when that happens again and again; changes arrive all the while."""

    def listeners() -> list[tuple[int]]:
        query = (
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = %s"
        )
        return admin.execute(query, ["coreconfig notices"]).fetchall()

    with psycopg.connect(database, autocommit=True) as admin:
        async with servers[2].stream("heard") as stream:
            await stream.take("snapshot")
            for turn in range(5):
                await until(lambda: len(listeners()) == 3)
                before = set(listeners())
                for (pid,) in before:
                    admin.execute("SELECT pg_terminate_backend(%s)", [pid])
                await servers[0].put("demo/engine", "heard", turn)
                async with asyncio.timeout(5):
                    await follow(stream, "heard", turn)
                await until(lambda before=before: len(set(listeners()) - before) == 3)


async def test_the_same_request_at_two_servers_at_once_is_done_once(servers: list[Server]) -> None:
    """An idempotency key counts for the installation, not for the server that saw it first."""
    body = {"edits": [put("demo/engine", "once", 1)], "reason": None}
    for turn in range(20):
        headers = {"Idempotency-Key": f"once-{turn}"}
        answers = await asyncio.gather(
            *(server.http.post("/v1/changes", json=body, headers=headers) for server in servers)
        )
        assert [answer.status_code for answer in answers] == [200] * 3, [a.text for a in answers]
        assert len({answer.json()["revision"] for answer in answers}) == 1


async def test_guards_hold_between_servers(servers: list[Server]) -> None:
    """Of several who change a key from the same state only one succeeds; nobody's increment is lost."""
    await servers[0].put("demo/engine", "counter", 0)

    async def increment(server: Server) -> int:
        tries = 0
        while True:
            answer = await server.get("/v1/environments/demo/services/engine/configuration/counter")
            value, etag = answer.json()["value"], answer.headers["ETag"]
            written = await server.http.put(
                "/v1/environments/demo/services/engine/configuration/counter",
                json={"value": value + 1},
                headers={"If-Match": etag},
            )
            if written.status_code == 200:
                return tries
            assert written.status_code in (409, 412), written.text
            tries += 1
            await asyncio.sleep(random.uniform(0, 0.02))

    await asyncio.gather(*(increment(servers[n % 3]) for n in range(15)))
    await until(lambda: settled(servers, "counter", 15))


async def settled(servers: list[Server], key: str, value: object) -> bool:
    answers = [(await server.get(READ)).json()["values"].get(key) for server in servers]
    return answers == [value] * len(servers)


async def test_a_token_is_valid_everywhere_at_once_and_ends_everywhere_within_a_second(
    postgres: Databases, tmp_path: Path
) -> None:
    """Whoever was given a token may take it to any server; revoking it closes its streams at all of them."""
    with new_database(postgres) as url, replicas(url, tmp_path, 2) as two:
        async with two[0].client().http as open_mode:
            first = await open_mode.post("/v1/tokens", json={"name": "root", "roles": ["admin"]})
        root = first.json()["token"]
        here, there = (Server(replica.url, root) for replica in two)
        for turn in range(10):
            made = await here.http.post("/v1/tokens", json={"name": f"viewer {turn}", "roles": ["viewer"]})
            token = made.json()["token"]
            answer = await there.http.get(READ, headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 200, answer.text
        async with Server(two[1].url, token).socket() as socket:
            ended = await here.http.delete(f"/v1/tokens/{made.json()['id']}")
            assert ended.status_code in (200, 204), ended.text
            async with asyncio.timeout(1.5):
                await socket.wait_closed()
            assert socket.close_code == 1008
        for server in (here, there):
            await server.http.aclose()

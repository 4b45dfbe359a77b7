"""Reads where several rules meet: the past, references above a key, and callers with little to see."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from tests.integration.streaming import Server, create, put

from coreconfig.server.settings import Settings
from coreconfig.testing.server import InProcessServer

PLACE = "/v1/environments/demo"


async def test_the_tag_of_a_key_in_the_past_is_the_one_that_it_had_then(server: InProcessServer) -> None:
    """It names the revision that moved the key, not the one that is asked for."""
    running = Server(server.url)
    async with running.http as http:
        await running.edit(create("demo", {"a": 1, "b": 1}, {}, []))
        then = (await http.get(f"{PLACE}/configuration/a")).headers["ETag"]
        for value in (2, 3):
            await running.edit(put("demo", "b", value))
        await running.edit(put("demo", "a", 2))
        past = await http.get(f"{PLACE}/configuration/a?at=3", headers={"If-None-Match": then})
        assert (past.status_code, past.headers["ETag"]) == (304, then)
        now = await http.get(f"{PLACE}/configuration/a")
        assert now.headers["ETag"] == '"1-4"'


async def test_a_read_of_a_revision_is_of_that_one_also_while_others_write(tmp_path: Path) -> None:
    """Views that are built while the world goes on are not taken for the revision that was asked for."""
    settings = Settings(database_url=f"sqlite:///{tmp_path}/c.db", port=0, view_memory=0)
    with InProcessServer(replace(settings, shutdown_grace=1.0)) as server:
        running = Server(server.url)
        async with running.http as http:
            await running.edit(create("demo", {"n": 1, "much": {f"k{i}": i for i in range(3000)}}, {}, []))

            async def write() -> None:
                for value in range(2, 40):
                    await running.edit(put("demo", "n", value))

            writing = asyncio.create_task(write())
            while not writing.done():
                newest = server.services.replica.world.revision
                said = (await http.get(f"{PLACE}/configuration?at={newest}")).json()
                assert (said["revision"], said["values"]["n"]) == (newest, newest)
            await writing


async def test_a_key_below_a_reference_has_a_history_and_an_explanation(server: InProcessServer) -> None:
    """What moves it is what moves the target."""
    running = Server(server.url)
    async with running.http as http:
        await running.edit(create("demo", {"main": {"host": "a"}, "used": "${config:main}"}, {}, []))
        await running.edit(put("demo", "main.host", "b"))
        history = (await http.get(f"{PLACE}/history/used.host")).json()["history"]
        assert [(one["revision"], one.get("old"), one["new"]) for one in history] == [
            (2, "a", "b"),
            (1, None, "a"),
        ]
        explained = (await http.get(f"{PLACE}/explain/used.host")).json()
        assert explained["value"] == "b"
        assert [(one["key"], one["target"]) for one in explained["references"]] == [("used", "main")]


async def test_a_service_that_is_declared_late_has_the_history_of_the_base(server: InProcessServer) -> None:
    """Until then it would have seen nothing else."""
    running = Server(server.url)
    async with running.http as http:
        await running.edit(create("demo", {"a": 1, "b": "${config:a}"}, {}, []))
        await running.edit(put("demo", "a", 2))
        await running.edit(put("demo/engine", "own", 1))
        answer = await http.get(f"{PLACE}/services/engine/history/b")
        assert [(one["revision"], one["new"]) for one in answer.json()["history"]] == [(2, 2), (1, 1)]
        tag = (await http.get(f"{PLACE}/services/engine/configuration/b")).headers["ETag"]
        assert tag == '"1-2"'


async def test_what_stands_above_the_keys_of_a_token_is_withheld(server: InProcessServer) -> None:
    """A layer that hides a granted key by a value above it does not show that value."""
    running = Server(server.url)
    async with running.http as http:
        await running.edit(
            create("top", {"a": {"b": 1}}, {}, []), create("demo", {"a": "hidden"}, {}, ["top"])
        )
        admin = (await http.post("/v1/tokens", json={"name": "root", "roles": ["admin"]})).json()["token"]
        grant = {"name": "v", "roles": ["viewer"], "keys": ["a.b"]}
        token = await http.post("/v1/tokens", json=grant, headers={"Authorization": f"Bearer {admin}"})
        limited = Server(server.url, token.json()["token"])
        async with limited.http as asked:
            answer = await asked.get(f"{PLACE}/explain/a.b")
            assert answer.status_code == 200
            assert "hidden" not in answer.text


async def test_a_service_is_not_told_which_other_services_there_are(server: InProcessServer) -> None:
    """Not even where it is unknown itself."""
    running = Server(server.url)
    async with running.http as http:
        await running.edit(create("demo", {"a": 1}, {"secret-service": {}}, []))
        admin = (await http.post("/v1/tokens", json={"name": "root", "roles": ["admin"]})).json()["token"]
        grant = {"name": "s", "service": "engine", "environments": ["demo"]}
        token = await http.post("/v1/tokens", json=grant, headers={"Authorization": f"Bearer {admin}"})
        service = Server(server.url, token.json()["token"])
        async with service.http as asked:
            for path in ("configuration", "configuration/a", "explain/a", "history/a"):
                answer = await asked.get(f"{PLACE}/services/engine/{path}")
                assert answer.status_code == 404
                assert "secret-service" not in answer.text
            hello = {"type": "hello", "service": "engine", "environment": "demo", "instance": "i"}
            answer = await asked.post("/v1/sync", json={"hello": hello})
            assert answer.status_code == 404
            assert "secret-service" not in answer.text


async def test_a_history_ends_where_the_log_is_damaged(tmp_path: Path) -> None:
    """The revision before is served, and so is its past."""
    settings = Settings(database_url=f"sqlite:///{tmp_path}/c.db", port=0, shutdown_grace=1.0)
    with InProcessServer(settings) as server:
        running = Server(server.url)
        async with running.http:
            await running.edit(create("demo", {"a": 1}, {}, []))
            for value in (2, 3, 4):
                await running.edit(put("demo", "a", value))
        server.stop()
        database = sqlite3.connect(tmp_path / "c.db")
        with closing(database), database:
            database.execute("UPDATE log SET author = 'eve' WHERE revision = 3")
        server.start()
        async with Server(server.url).http as http:
            answer = await http.get(f"{PLACE}/history/a")
            assert [one["revision"] for one in answer.json()["history"]] == [2, 1]
            assert (await http.get(f"{PLACE}/configuration/a?at=3")).status_code == 503

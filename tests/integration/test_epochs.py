"""A database that goes back: clients follow into a new epoch, and within an epoch nobody ever goes back."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.integration.http_api import client, code_of, create, new_token

from coreconfig import CoreConfig
from coreconfig.client.cache import Cache
from coreconfig.errors import Conflict
from coreconfig.server.recovery.backup import backup
from coreconfig.server.recovery.restore import restore
from coreconfig.server.revisions.epochs import MAX_EPOCH, following
from coreconfig.server.settings import Settings
from coreconfig.testing.server import InProcessServer

WITHIN = 20.0


def until(is_so: Callable[[], Any], within: float = WITHIN) -> None:
    """Wait until something is so; fails after a deadline."""
    deadline = time.monotonic() + within
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


class Installation:
    """A server on a file that tests may change behind its back, with real clients."""

    def __init__(self, folder: Path, running: ExitStack) -> None:
        self.folder = folder
        self.file = folder / "store.db"
        self.url = f"sqlite:///{self.file}"
        settings = Settings(database_url=self.url, port=0, poll_interval=0.05, shutdown_grace=2.0)
        self.server = InProcessServer(settings)
        self._running = running
        self.server.start()
        self._running.callback(self.server.stop)
        self.http = running.enter_context(client(self.server))
        create(self.http, "e", services={"shop": {}, "desk": {}})

    def set(self, key: str, value: Any, status: int = 200) -> httpx2.Response:
        """Write one key of the base layer."""
        answer = self.http.put(f"/v1/environments/e/configuration/{key}", json={"value": value})
        assert answer.status_code == status, answer.text
        return answer

    def get(self, key: str) -> Any:
        """Read one key."""
        return self.http.get(f"/v1/environments/e/configuration/{key}").json().get("value")

    def begin_epoch(self, status: int = 201, **more: Any) -> httpx2.Response:
        """What `coreconfig epoch new` asks for."""
        answer = self.http.post("/v1/epochs", json={"reason": "a test", **more})
        assert answer.status_code == status, answer.text
        return answer

    def caller(self, token: str) -> httpx2.Client:
        """Somebody with this token."""
        return self._running.enter_context(client(self.server, token))

    def ready(self) -> httpx2.Response:
        """What whoever watches over the server sees."""
        return self.http.get("/readyz")

    def metric(self, name: str) -> float:
        """A figure without labels."""
        lines = self.http.get("/metrics").text.splitlines()
        return float(next(line for line in lines if line.startswith(f"{name} ")).split()[1])

    def tamper(self, *statements: str, **values: str) -> None:
        """Change the database as `sqlite3` on the host would."""
        with closing(sqlite3.connect(self.file, timeout=10)) as connection, connection:
            for statement in statements:
                connection.execute(statement, values)

    def run(self, service: str = "shop", environment: str = "e", **options: Any) -> Follower:
        """A client of this installation."""
        config = CoreConfig(
            service,
            environment,
            url=self.server.url,
            **{"random": lambda: 0.01, "poll_interval": 0.1, "cache_dir": self.folder / "cache", **options},
        )
        follower = Follower(config)
        self._running.enter_context(config)
        return follower


class Follower:
    """A client, and every position that it was at."""

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        self.at: list[tuple[int, int]] = []
        config._store.on_swap(lambda state: self.at.append(state.order))

    @property
    def position(self) -> tuple[int, int]:
        """(epoch, revision)."""
        return self.config._store.state.order

    def kept(self) -> tuple[int, int] | None:
        """The position of what its file holds."""
        cache = self.config._cache
        assert isinstance(cache, Cache)
        found = cache.load()
        return None if found is None else (found.at.epoch, found.at.revision)


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    with ExitStack() as running:
        yield Installation(tmp_path, running)


def test_live_clients_follow_to_an_older_backup_that_is_restored(installation: Installation) -> None:
    """By the stream and by polling, in memory and on the disk; and on from there."""
    installation.set("limit", 1)
    backup(installation.url, installation.folder / "backup.db")
    clients = [
        installation.run("shop"),
        installation.run("desk"),
        installation.run("desk", hot_reload=False, cache_dir=installation.folder / "other"),
    ]
    for value in range(2, 12):
        installation.set("limit", value)
    installation.set("later", "gone")
    until(lambda: all(one.config.get("later", None) == "gone" for one in clients))
    assert {one.position for one in clients} == {(1, 13)}
    installation.server.stop()
    done = restore(installation.url, installation.folder / "backup.db")
    assert (done.row.epoch, done.row.revision, done.row.kind) == (2, 3, "restored")
    installation.server.start()
    until(lambda: all(one.position == (2, 3) for one in clients))
    assert [one.config.get_all() for one in clients] == [{"limit": 1}] * 3
    until(lambda: all(one.kept() == (2, 3) for one in clients))
    installation.set("limit", 50)
    until(lambda: all(one.config.get("limit") == 50 for one in clients))
    for one in clients:
        assert one.at == sorted(set(one.at)), "no position twice, none before an earlier one"
        assert one.config.availability == "CURRENT"


def test_a_client_that_starts_with_a_file_of_the_old_epoch_follows_too(installation: Installation) -> None:
    """What lies on its disk has a higher revision, and counts in an epoch that is over."""
    backup(installation.url, installation.folder / "backup.db")
    installation.set("limit", 7)
    first = installation.run()
    until(lambda: first.kept() == (1, 2))
    first.config.close()
    installation.server.stop()
    restore(installation.url, installation.folder / "backup.db")
    installation.server.start()
    second = installation.run()
    assert (second.position, second.config.get("limit", None)) == ((2, 2), None)


def test_a_client_ahead_of_the_server_keeps_what_it_has_until_an_epoch_begins(
    installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    """An older file was put in place by hand: the server alarms, a new epoch heals."""
    installation.set("limit", 1)
    backup(installation.url, installation.folder / "old.db")
    streaming, polling = installation.run(), installation.run("desk", hot_reload=False, cache_dir=None)
    installation.set("limit", 2)
    until(lambda: streaming.position == polling.position == (1, 3))
    installation.server.stop()
    shutil.copy(installation.folder / "old.db", installation.file)
    installation.server.start()
    until(lambda: installation.ready().json().get("clients_ahead") == 2)
    assert installation.ready().status_code == 200
    assert installation.metric("coreconfig_clients_ahead") == 2
    assert [one.config.get("limit") for one in (streaming, polling)] == [2, 2]
    until(lambda: streaming.config.availability == "CACHED")
    assert caplog.text.count("newer than revision 2 of epoch 1") >= 2
    assert installation.begin_epoch().json() == {"epoch": 2, "revision": 3}
    until(lambda: streaming.position == polling.position == (2, 3))
    assert [one.config.get("limit") for one in (streaming, polling)] == [1, 1]
    assert installation.ready().json()["clients_ahead"] == 0
    assert streaming.at == sorted(streaming.at)


def test_a_database_that_lost_revisions_under_a_running_server_is_healed_by_a_new_epoch(
    installation: Installation,
) -> None:
    """As after a failover: nothing goes back by itself, nothing is written, and reads never stop."""
    for value in (1, 2, 3):
        installation.set("limit", value)
    follower = installation.run()
    installation.tamper(
        "DELETE FROM log WHERE revision > 2",
        "DELETE FROM movement WHERE revision > 2",
        "UPDATE head SET revision = 2, hash = (SELECT hash FROM log WHERE revision = 2)",
    )
    until(lambda: installation.ready().status_code == 503)
    assert code_of(installation.ready()) == "store_integrity"
    assert "epoch new" in installation.ready().json()["error"]["message"]
    assert code_of(installation.set("limit", 9, status=503)) == "store_integrity"
    assert (installation.get("limit"), follower.config.get("limit")) == (3, 3)
    answer = installation.begin_epoch()
    assert answer.json() == {"epoch": 2, "revision": 3}
    assert installation.get("limit") == 1
    until(lambda: follower.position == (2, 3))
    assert follower.config.get("limit") == 1
    assert installation.ready().status_code == 200
    installation.set("limit", 4)
    until(lambda: follower.config.get("limit") == 4)
    past = installation.http.get("/v1/environments/e/configuration?at=2").json()
    assert past["values"] == {"limit": 1}


def test_a_client_of_an_environment_that_is_lost_keeps_what_it_has(installation: Installation) -> None:
    """It is told that there is none, and runs on; the others follow into the epoch."""
    create(installation.http, "late", services={"shop": {"configuration": {"a": 1}}})
    stranded = installation.run(environment="late")
    follower = installation.run()
    installation.tamper(
        "DELETE FROM log WHERE revision > 1",
        "DELETE FROM movement WHERE revision > 1",
        "UPDATE head SET revision = 1, hash = (SELECT hash FROM log WHERE revision = 1)",
    )
    until(lambda: installation.ready().status_code == 503)
    installation.begin_epoch()
    until(lambda: follower.position == (2, 2))
    until(lambda: stranded.config.availability == "CACHED")
    assert (stranded.config.get("a"), stranded.position) == (1, (1, 2))
    create(installation.http, "late", services={"shop": {"configuration": {"a": 2}}})
    until(lambda: stranded.config.get("a") == 2)
    assert stranded.position == (2, 3)


def test_a_new_epoch_reaches_every_client_although_no_value_moves(installation: Installation) -> None:
    """A delta or a bookmark leads nobody into it, only a whole snapshot does; resuming across it is none."""
    installation.set("limit", 1)
    followers = [installation.run(), installation.run("desk", hot_reload=False, cache_dir=None)]
    told: list[Any] = []
    followers[0].config.watch("**", told.append)
    installation.begin_epoch()
    until(lambda: all(one.position == (2, 3) for one in followers))
    assert told == []
    snapshots = [
        line for line in installation.http.get("/metrics").text.splitlines() if 'kind="snapshot"' in line
    ]
    assert float(snapshots[0].split()[1]) == 4


def test_the_row_of_an_epoch_stands_in_the_log_and_in_the_audit(installation: Installation) -> None:
    """With who, when and why; it changes nothing, so there is nothing to revert."""
    installation.begin_epoch()
    row = installation.http.get("/v1/revisions/2").json()
    assert (row["kind"], row["epoch"], row["author"], row["reason"]) == ("epoch_begun", 2, "local", "a test")
    assert row["edits"] == []
    assert code_of(installation.http.post("/v1/revisions/2/revert")) == "nothing_to_revert"
    with closing(sqlite3.connect(installation.file)) as connection:
        found = connection.execute(
            "SELECT principal, allowed FROM audit WHERE action = 'epoch.begin'"
        ).fetchall()
    assert found == [("local", 1)]


def test_an_epoch_is_greater_than_any_that_clients_are_in(installation: Installation) -> None:
    """Also where the file that was put in place knows nothing of them; a wild claim is not believed."""
    hello = {"environment": "e", "service": "shop"}
    for name, epoch in (("honest", 5), ("wild", 10**12)):
        have = {"epoch": epoch, "revision": 1, "digest": "0" * 32}
        said = {"hello": {**hello, "instance": name, "have": have}}
        assert installation.http.post("/v1/sync", json=said).status_code == 200
        expected = {"honest": 6, "wild": 7}[name]
        assert installation.begin_epoch().json()["epoch"] == expected


@pytest.mark.parametrize("epoch", [-1, 2**53 + 1, 2**70])
def test_a_position_that_cannot_be_counted_is_refused(installation: Installation, epoch: int) -> None:
    """It would not even fit into the database."""
    have = {"epoch": epoch, "revision": 1, "digest": "0" * 32}
    said = {"hello": {"environment": "e", "service": "shop", "instance": "i", "have": have}}
    answer = installation.http.post("/v1/sync", json=said)
    assert (answer.status_code, code_of(answer)) == (400, "bad_frame")


def test_an_epoch_that_is_not_greater_is_refused(installation: Installation) -> None:
    """Nobody would follow into it."""
    assert installation.begin_epoch(epoch=9).json()["epoch"] == 9
    assert code_of(installation.begin_epoch(409, epoch=9)) == "epoch_too_low"
    assert code_of(installation.begin_epoch(400, reason="")) == "bad_body"


def test_only_an_operator_of_everything_begins_an_epoch(installation: Installation) -> None:
    """It moves every client of every environment."""
    admin = installation.caller(new_token(installation.http, name="root", roles=["admin"]))
    for grant in (
        {"roles": ["editor"]},
        {"roles": ["operator"], "environments": ["e"]},
        {"roles": ["operator"], "keys": ["a.*"]},
        {"service": "shop", "environments": ["e"]},
    ):
        other = installation.caller(new_token(admin, name="other", **grant))
        answer = other.post("/v1/epochs", json={"reason": "mine"})
        assert (answer.status_code, code_of(answer)) == (403, "denied")
    operator = installation.caller(new_token(admin, name="op", roles=["operator"]))
    assert operator.post("/v1/epochs", json={"reason": "yes"}).status_code == 201


def test_an_ack_of_an_epoch_that_is_over_counts_for_nothing(installation: Installation) -> None:
    """Its nonce names a push of that epoch."""
    installation.set("limit", 1)
    hello: dict[str, Any] = {"environment": "e", "service": "shop", "instance": "i"}
    pushed = installation.http.post("/v1/sync", json={"hello": hello}).json()["frames"][1]
    installation.begin_epoch()
    acks = [{"type": "ack", "nonce": pushed["nonce"], "at": pushed["at"], "outcome": "applied"}]
    answer = installation.http.post("/v1/sync", json={"hello": hello, "acks": acks}).json()["frames"]
    assert answer[1]["type"] == "snapshot"
    assert (answer[1]["at"]["epoch"], answer[1]["nonce"] != pushed["nonce"]) == (2, True)
    (shown,) = installation.http.get("/v1/fleet").json()["instances"]
    assert shown["epoch"] is None


def test_a_row_that_is_changed_behind_a_running_server_is_found_and_stops_writes(
    installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    """Reads go on with what is right; the repaired row lets writes on without a restart."""
    for value in (1, 2, 3):
        installation.set("limit", value)
    follower = installation.run()
    with closing(sqlite3.connect(installation.file)) as connection:
        (edits,) = connection.execute("SELECT edits FROM log WHERE revision = 3").fetchone()
    installation.tamper("UPDATE log SET edits = replace(edits, '2', '99') WHERE revision = 3")
    until(lambda: installation.ready().status_code == 503)
    error = installation.ready().json()["error"]
    assert (error["code"], error["revision"]) == ("store_integrity", 3)
    assert installation.metric("coreconfig_log_damaged") == 1
    assert installation.metric("coreconfig_replica_healthy") == 0
    assert "changed behind this server" in caplog.text
    assert code_of(installation.set("limit", 4, status=503)) == "store_integrity"
    assert code_of(installation.http.get("/v1/revisions/3")) == "store_integrity"
    assert code_of(installation.begin_epoch(503)) == "store_integrity"
    assert (installation.get("limit"), follower.config.get("limit")) == (3, 3)
    assert follower.config.availability == "CURRENT"
    installation.tamper("UPDATE log SET edits = :edits WHERE revision = 3", edits=edits)
    until(lambda: installation.ready().status_code == 200)
    assert installation.metric("coreconfig_log_damaged") == 0
    installation.set("limit", 4)
    until(lambda: follower.config.get("limit") == 4)


def test_a_damaged_row_that_is_yet_to_be_applied_stops_the_world_before_it(
    installation: Installation,
) -> None:
    """Nothing of it is served, and nobody is told of it; after the repair it is."""
    installation.set("limit", 1)
    follower = installation.run()
    columns = "epoch, kind, change_id, author, reason, committed_at, edits, previous, hash"
    installation.tamper(
        f"INSERT INTO log SELECT 3, {columns} FROM log WHERE revision = 2",  # noqa: S608 - a constant
        "UPDATE head SET revision = 3",
    )
    until(lambda: installation.ready().status_code == 503)
    assert installation.ready().json()["error"]["revision"] == 3
    assert code_of(installation.set("limit", 2, status=503)) == "store_integrity"
    assert (installation.get("limit"), follower.position) == (1, (1, 2))
    installation.tamper("DELETE FROM log WHERE revision = 3", "UPDATE head SET revision = 2")
    until(lambda: installation.ready().status_code == 200)
    installation.set("limit", 2)
    until(lambda: follower.config.get("limit") == 2)


def test_a_server_that_starts_on_a_damaged_log_takes_no_client_back(installation: Installation) -> None:
    """It serves what is sound; a client that is further keeps that, and is counted as ahead."""
    for value in (1, 2, 3):
        installation.set("limit", value)
    follower = installation.run()
    until(lambda: follower.position == (1, 4))
    installation.server.stop()
    installation.tamper("UPDATE log SET author = 'eve' WHERE revision = 3")
    installation.server.start()
    until(lambda: installation.ready().status_code == 503)
    assert installation.get("limit") == 1
    until(lambda: installation.metric("coreconfig_clients_ahead") == 1)
    assert (follower.config.get("limit"), follower.position) == (3, (1, 4))
    installation.tamper("UPDATE log SET author = 'local' WHERE revision = 3")
    until(lambda: installation.ready().status_code == 200)
    until(lambda: follower.config.availability == "CURRENT")
    assert (follower.config.get("limit"), follower.at) == (3, [(1, 4)])


def test_a_change_made_for_a_revision_that_is_gone_is_a_conflict(installation: Installation) -> None:
    """What its author saw cannot be told from here, so it has to be read again."""
    backup(installation.url, installation.folder / "backup.db")
    for value in (1, 2, 3):
        installation.set("limit", value)
    installation.server.stop()
    restore(installation.url, installation.folder / "backup.db")
    installation.server.start()
    body = {"value": 9, "expected_revision": 4}
    answer = installation.http.put("/v1/environments/e/configuration/limit", json=body)
    assert (answer.status_code, code_of(answer)) == (409, "conflict")


def test_the_etag_of_a_key_names_the_epoch_it_moved_in(installation: Installation) -> None:
    """A tag of what was taken back never fits what came in its place."""
    path = "/v1/environments/e/configuration/limit"
    installation.set("limit", 1)
    backup(installation.url, installation.folder / "backup.db")
    installation.set("limit", 2)
    lost = installation.http.get(path).headers["ETag"]
    installation.server.stop()
    restore(installation.url, installation.folder / "backup.db")
    installation.server.start()
    kept = installation.http.get(path).headers["ETag"]
    assert kept == '"1-2"'
    refused = installation.http.put(path, json={"value": 3}, headers={"If-Match": lost})
    assert refused.status_code == 412
    assert installation.http.put(path, json={"value": 3}, headers={"If-Match": kept}).status_code == 200
    assert installation.http.get(path).headers["ETag"] == '"2-4"'


def test_the_next_epoch_is_greater_than_all_that_are_known() -> None:
    """And can be counted by every client."""
    assert following(3) == 4
    assert following(3, 7, 0) == 8
    assert following(3, wanted=4) == 4
    for known, wanted, code in ((3, 3, "epoch_too_low"), (3, MAX_EPOCH + 1, "epoch_too_high")):
        with pytest.raises(Conflict) as caught:
            following(known, wanted=wanted)
        assert caught.value.code == code
    with pytest.raises(Conflict):
        following(MAX_EPOCH)

"""`backup`, `restore`, `epoch new` and `compact` as an operator uses them, with real processes."""

from __future__ import annotations

import json
import shutil
import sqlite3
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.acceptance.command_line import Told, command, environment, server_child

from coreconfig import CoreConfig
from coreconfig.cli.tour.processes import Child
from coreconfig.server.recovery.verify import opened, verify_file
from coreconfig.server.revisions.checkpoints import Checkpoint, load_start, save_checkpoint
from coreconfig.server.revisions.world import World

WITHIN = 30.0


def told(folder: Path, *arguments: str, status: int = 0) -> Told:
    """A command in a process of its own, on the database `test.db` of the folder."""
    ended = subprocess.run(
        command(*arguments),
        env={**environment(folder), "CORECONFIG_DATABASE": str(folder / "test.db")},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert ended.returncode == status, f"{arguments} ended with {ended.returncode}\n{ended.stderr}"
    assert "Traceback" not in ended.stderr
    return Told(ended.returncode, ended.stdout, ended.stderr)


def put(url: str, key: str, value: Any) -> int:
    answer = httpx2.put(f"{url}/v1/environments/e/configuration/{key}", json={"value": value})
    assert answer.status_code == 200, answer.text
    return int(answer.json()["revision"])


def get(url: str, key: str) -> Any:
    return httpx2.get(f"{url}/v1/environments/e/configuration/{key}").json().get("value")


def until(is_so: Callable[[], Any]) -> None:
    deadline = time.monotonic() + WITHIN
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def tamper(file: Path, statement: str) -> None:
    with closing(sqlite3.connect(file, timeout=10)) as connection, connection:
        connection.execute(statement)


@contextmanager
def serving(folder: Path, port: int | None = None) -> Iterator[str]:
    """A server on `test.db` with the environment `e` and its service `shop`."""
    with server_child(folder, *(("--port", str(port)) if port else ())) as (url, _):
        address = f"http://127.0.0.1:{port}" if port else url
        document = {"id": "e", "type": "testing", "services": {"shop": {}}}
        assert httpx2.post(f"{address}/v1/environments", json=document).status_code in (201, 409)
        yield address


@pytest.fixture
def backed_up(tmp_path: Path) -> Path:
    """A stopped installation at `limit` 2, revision 3, with a backup of `limit` 1, revision 2."""
    with serving(tmp_path) as url:
        put(url, "limit", 1)
        told(tmp_path, "backup", "backup.db")
        put(url, "limit", 2)
    return tmp_path


def test_a_backup_that_is_taken_while_everybody_writes_is_one_moment(tmp_path: Path) -> None:
    """Its log is whole, nobody's write waits long for it, and the server knows nothing of it."""
    with serving(tmp_path) as url:
        stop, slowest, written = threading.Event(), [0.0], [0]

        def write() -> None:
            while not stop.is_set():
                begun = time.monotonic()
                written[0] = put(url, f"k{written[0] % 50}", "x" * 2_000)
                slowest[0] = max(slowest[0], time.monotonic() - begun)

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for number in range(3):
                before = written[0]
                until(lambda before=before: written[0] > before + 20)
                at_least = written[0]
                said = told(tmp_path, "backup", f"{number}.db", "--json").json
                verified = verify_file(tmp_path / f"{number}.db")
                assert at_least <= verified.head.revision == said["revision"] <= written[0] + 1
                assert said["bytes"] == (tmp_path / f"{number}.db").stat().st_size
        finally:
            stop.set()
            writer.join(WITHIN)
    assert slowest[0] < 5.0
    assert sorted(path.name for path in tmp_path.glob("*.db*")) == [
        "0.db",
        "1.db",
        "2.db",
        "test.db",
        "test.db.lock",
    ]


def test_a_backup_is_nobody_elses_to_read(backed_up: Path) -> None:
    """It holds everything that the database does."""
    assert stat.S_IMODE((backed_up / "backup.db").stat().st_mode) == 0o600


def test_a_backup_never_replaces_a_file_unasked(backed_up: Path) -> None:
    """With --overwrite it does, and only by one that is whole."""
    before = (backed_up / "backup.db").read_bytes()
    assert "[backup_exists]" in told(backed_up, "backup", "backup.db", status=3).err
    assert (backed_up / "backup.db").read_bytes() == before
    told(backed_up, "backup", "backup.db", "--overwrite")
    assert verify_file(backed_up / "backup.db").head.revision == 3


def test_a_backup_of_a_damaged_database_is_refused_and_leaves_no_file(backed_up: Path) -> None:
    """What cannot be restored is no backup."""
    tamper(backed_up / "test.db", "UPDATE log SET author = 'eve' WHERE revision = 2")
    assert "revision 2" in told(backed_up, "backup", "second.db", status=1).err
    assert not list(backed_up.glob("*second*"))


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("backup", "nowhere/b.db"), "bad_backup_file"),
        (("backup", "test.db", "--overwrite"), "bad_backup_file"),
        (("restore", "test.db"), "bad_backup_file"),
        (("backup", "b.db", "--database", "other.db"), "no_database"),
        (("restore", "none.db"), "no_database"),
        (("compact", "--database", "other.db"), "no_database"),
        (("compact", "--before", "99"), "bad_bound"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_a_code(
    backed_up: Path, arguments: tuple[str, ...], code: str
) -> None:
    """And nothing is made or changed by it."""
    before = sorted(backed_up.iterdir())
    status = 1 if code == "no_database" else 3
    assert f"[{code}]" in told(backed_up, *arguments, status=status).err
    assert sorted(backed_up.iterdir()) == before


def test_live_clients_of_a_server_process_follow_a_restore(tmp_path: Path) -> None:
    """Stop, restore an older backup, start: all run what was restored, also those that start from a file."""
    with serving(tmp_path) as url:
        port = int(url.rpartition(":")[2])
        put(url, "limit", 1)
        told(tmp_path, "backup", "backup.db")
        put(url, "limit", 2)
        clients = [
            CoreConfig("shop", "e", url=url, cache_dir=tmp_path / str(number), random=lambda: 0.01)
            for number in range(3)
        ]
        for one in clients:
            one.start()
        put(url, "limit", 3)
        until(lambda: all(one.get("limit") == 3 for one in clients))
        clients[2].close()
    assert [one.get("limit") for one in clients] == [3, 3, 3]
    try:
        restored = told(tmp_path, "restore", "backup.db", "--reason", "wrong limits", "--json").json
        assert (restored["epoch"], restored["revision"]) == (2, 3)
        with serving(tmp_path, port) as url:
            until(lambda: all(one.get("limit") == 1 and one.revision == 3 for one in clients[:2]))
            with CoreConfig("shop", "e", url=url, cache_dir=tmp_path / "2") as late:
                assert (late.get("limit"), late.get_diagnostics().epoch) == (1, 2)
            newest = httpx2.get(f"{url}/v1/revisions/3").json()
            assert (newest["kind"], newest["reason"], newest["epoch"]) == ("restored", "wrong limits", 2)
            assert put(url, "limit", 4) == 4
            until(lambda: all(one.get("limit") == 4 for one in clients[:2]))
    finally:
        for one in clients:
            one.close()


def test_a_restore_is_refused_while_a_server_has_the_database(backed_up: Path) -> None:
    """Its world would diverge from the file."""
    with serving(backed_up) as url:
        assert "[database_in_use]" in told(backed_up, "restore", "backup.db", status=3).err
        assert get(url, "limit") == 2


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE log SET reason = 'another' WHERE revision = 1",
        "DELETE FROM log WHERE revision = 1",
        "UPDATE head SET revision = 1",
        "UPDATE head SET hash = 'x'",
        "DELETE FROM head",
    ],
)
def test_a_damaged_backup_is_refused_and_the_database_stays(backed_up: Path, damage: str) -> None:
    """It is verified before anything is touched."""
    tamper(backed_up / "backup.db", damage)
    files = {path.name for path in backed_up.iterdir()}
    assert "[store_integrity]" in told(backed_up, "restore", "backup.db", status=1).err
    assert {path.name for path in backed_up.iterdir()} == files
    with serving(backed_up) as url:
        assert get(url, "limit") == 2


def test_a_file_that_is_no_backup_is_refused(backed_up: Path) -> None:
    """Garbage, an empty file, and the database of another program, each by its own code."""
    (backed_up / "garbage.db").write_bytes(b"no database" * 1_000)
    (backed_up / "empty.db").touch()
    tamper(backed_up / "foreign.db", "CREATE TABLE other (id)")
    codes = {"garbage": "database_corrupt", "empty": "database_foreign", "foreign": "database_foreign"}
    for name, code in codes.items():
        status = 1 if code == "database_corrupt" else 3
        assert f"[{code}]" in told(backed_up, "restore", f"{name}.db", status=status).err


def test_the_replaced_database_is_kept_beside_the_new_one(backed_up: Path) -> None:
    """With its mode, and as a whole: it can be put back by the same command."""
    (backed_up / "test.db").chmod(0o640)
    aside = told(backed_up, "restore", "backup.db", "--json").json["replaced"]
    assert verify_file(Path(aside)).head.revision == 3
    assert stat.S_IMODE((backed_up / "test.db").stat().st_mode) == 0o640
    again = told(backed_up, "restore", aside, "--json").json
    assert (again["epoch"], again["revision"]) == (3, 4)
    with serving(backed_up) as url:
        assert get(url, "limit") == 2


def test_each_restore_begins_a_greater_epoch_than_file_and_database(backed_up: Path) -> None:
    """Also of a backup that was taken before other restores, and with a number of one's own."""
    epochs = [told(backed_up, "restore", "backup.db", "--json").json["epoch"] for _ in range(3)]
    assert epochs == [2, 3, 4]
    assert told(backed_up, "restore", "backup.db", "--epoch", "70", "--json").json["epoch"] == 70
    assert "[epoch_too_low]" in told(backed_up, "restore", "backup.db", "--epoch", "70", status=3).err
    told(backed_up, "backup", "later.db")
    (backed_up / "test.db").unlink()
    assert told(backed_up, "restore", "later.db", "--json").json == {
        "epoch": 71,
        "revision": 4,
        "replaced": None,
    }


def test_a_database_that_cannot_be_read_gives_way_only_to_a_named_epoch(backed_up: Path) -> None:
    """Nobody knows in which epoch its clients are."""
    (backed_up / "test.db").write_bytes(b"rubbish" * 5_000)
    assert "--epoch" in told(backed_up, "restore", "backup.db", status=1).err
    done = told(backed_up, "restore", "backup.db", "--epoch", "12", "--json").json
    assert done["epoch"] == 12
    assert Path(done["replaced"]).read_bytes().startswith(b"rubbish")
    with serving(backed_up) as url:
        assert get(url, "limit") == 1


def test_a_backup_of_another_installation_needs_to_be_meant(backed_up: Path) -> None:
    """It would take the place of everything by mistake."""
    other = backed_up / "other"
    other.mkdir()
    with serving(other) as url:
        put(url, "limit", 9)
    told(other, "backup", "backup.db")
    assert "[another_installation]" in told(backed_up, "restore", "other/backup.db", status=3).err
    told(backed_up, "restore", "other/backup.db", "--other-installation")
    with serving(backed_up) as url:
        assert get(url, "limit") == 9


def test_tokens_are_not_taken_back_by_a_restore(tmp_path: Path) -> None:
    """One that was revoked since stays so, and one that was made since goes on working."""
    with serving(tmp_path) as url:

        def create(token: str | None, **grant: Any) -> dict[str, Any]:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            answer: dict[str, Any] = httpx2.post(f"{url}/v1/tokens", json=grant, headers=headers).json()
            return answer

        admin = create(None, name="root", roles=["admin"])["token"]
        leaked = create(admin, name="leaked", roles=["viewer"])
        told(tmp_path, "backup", "backup.db")
        headers = {"Authorization": f"Bearer {admin}"}
        assert httpx2.delete(f"{url}/v1/tokens/{leaked['id']}", headers=headers).status_code == 200
        later = create(admin, name="later", roles=["viewer"])["token"]
    told(tmp_path, "restore", "backup.db")
    with server_child(tmp_path) as (url, _):
        answers = [
            httpx2.get(f"{url}/v1/environments", headers={"Authorization": f"Bearer {token}"}).status_code
            for token in (admin, leaked["token"], later)
        ]
    assert answers == [200, 401, 200]


def test_a_restore_that_is_killed_leaves_a_whole_database(backed_up: Path) -> None:
    """The name leads to the old one or to the new one, whenever it happens."""
    revisions = set()
    for delay in (0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2):
        with subprocess.Popen(
            command("restore", "backup.db"),
            env={**environment(backed_up), "CORECONFIG_DATABASE": str(backed_up / "test.db")},
            cwd=backed_up,
            stderr=subprocess.DEVNULL,
        ) as process:
            threading.Event().wait(delay)
            process.kill()
        verified = verify_file(backed_up / "test.db")
        revisions.add((verified.head.epoch, verified.head.revision))
    assert revisions
    assert all(revision == 3 for _, revision in revisions)


def test_a_new_epoch_by_the_command_line_heals_a_file_that_was_put_back_by_hand(backed_up: Path) -> None:
    """/readyz counts who is ahead; the log says what to do; one command does it."""
    with serving(backed_up) as url:
        port = int(url.rpartition(":")[2])
        client = CoreConfig("shop", "e", url=url, cache_dir=None, random=lambda: 0.01).start()
        assert client.get("limit") == 2
    try:
        shutil.copy(backed_up / "backup.db", backed_up / "test.db")
        with server_child(backed_up, "--port", str(port)) as (_, server):
            address = f"http://127.0.0.1:{port}"
            until(lambda: httpx2.get(f"{address}/readyz").json().get("clients_ahead") == 1)
            assert client.get("limit") == 2
            assert _said(server, "epoch new")
            done = told(backed_up, "--url", address, "epoch", "new", "--reason", "put back by hand", "--json")
            assert done.json == {"epoch": 2, "revision": 3}
            until(lambda: client.get("limit") == 1)
            assert httpx2.get(f"{address}/readyz").json()["clients_ahead"] == 0
    finally:
        client.close()


def _said(server: Child, text: str) -> bool:
    return any(text in line.text for line in server.lines)


def test_compaction_beside_a_running_server(tmp_path: Path) -> None:
    """Writers go on, ETags stay, and dropped revisions are told as such by every route."""
    with serving(tmp_path) as url:
        for value in range(30):
            put(url, "limit", value)
        put(url, "other", 1)
        key = f"{url}/v1/environments/e/configuration/limit"
        etag = httpx2.get(key).headers["ETag"]
        said = told(tmp_path, "compact", "--before", "32").err
        assert "31 revisions dropped, the log begins with revision 32" in said
        until(
            lambda: _code(httpx2.get(f"{url}/v1/environments/e/configuration?at=5")) == "revision_compacted"
        )
        assert _code(httpx2.get(f"{url}/v1/revisions/5")) == "revision_compacted"
        assert _code(httpx2.post(f"{url}/v1/revisions/5/revert")) == "revision_compacted"
        assert _code(httpx2.get(f"{url}/v1/revisions/99")) == "unknown_revision"
        assert httpx2.get(f"{url}/v1/environments/e/configuration?at=31").status_code == 200
        assert httpx2.get(key).headers["ETag"] == etag
        assert httpx2.put(key, json={"value": 77}, headers={"If-Match": etag}).status_code == 200
        assert httpx2.get(f"{url}/readyz").status_code == 200
        assert told(tmp_path, "compact", "--before", "32", "--json").json["rows"] == 0
    with serving(tmp_path) as url:
        assert get(url, "limit") == 77
        history = httpx2.get(f"{url}/v1/environments/e/history/limit").json()["history"]
        assert [one["new"] for one in history] == [77]


def _code(answer: httpx2.Response) -> str | None:
    error = answer.json().get("error")
    return error["code"] if error else None


def test_a_backup_of_a_compacted_database_is_verified_and_restored(tmp_path: Path) -> None:
    """Its log begins with a checkpoint, which has to be sound then."""
    with serving(tmp_path) as url:
        for value in range(10):
            put(url, "limit", value)
    told(tmp_path, "compact", "--before", "8")
    assert told(tmp_path, "backup", "backup.db", "--json").json["kept_after"] == 7
    told(tmp_path, "restore", "backup.db")
    with serving(tmp_path) as url:
        assert get(url, "limit") == 9
    tamper(tmp_path / "backup.db", "UPDATE checkpoint SET world = x'00' WHERE revision = 7")
    assert "[store_integrity]" in told(tmp_path, "restore", "backup.db", status=1).err


def test_a_checkpoint_that_tells_another_story_than_the_log_is_found(backed_up: Path) -> None:
    """A start would believe it."""
    with opened(backed_up / "backup.db") as database:
        world, rows = database.read(lambda tx: load_start(tx, 1))
        for row in rows:
            world = world.advanced(row)
        forged = World(world.epoch, world.revision, world.hash, {})
        database.write(lambda tx: save_checkpoint(tx, Checkpoint.of(forged, datetime.now(UTC))))
    assert "another world" in told(backed_up, "restore", "backup.db", status=1).err


def test_nothing_of_these_commands_needs_a_token_or_a_server(backed_up: Path) -> None:
    """They work for whoever has the database; the audit names the user of the host."""
    told(backed_up, "restore", "backup.db")
    with closing(sqlite3.connect(backed_up / "test.db")) as connection:
        ((principal, detail),) = connection.execute(
            "SELECT principal, detail FROM audit WHERE action = 'epoch.begin'"
        ).fetchall()
    assert principal.startswith("host:")
    assert json.loads(detail)["epoch"] == 2

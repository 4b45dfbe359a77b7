"""What PostgreSQL's failures mean: each has its code, and is over when it is over."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Connection, insert, text
from tests.disks import fill, small_disk_at
from tests.postgres import Postgres, account, cluster, folder, free_port, new_database

from coreconfig.errors import CoreConfigError, Invalid, StorageFull, Unavailable
from coreconfig.server.audit.tables import audit
from coreconfig.server.db.database import Database
from coreconfig.server.db.notices import HEARTBEAT
from coreconfig.server.revisions.log import append, lock_head, read_head

FACTS = {"kind": "k", "change_id": "c", "author": "a", "reason": None, "committed_at": ""}


def commit(tx: Connection, size: int = 0) -> int:
    facts = {**FACTS, "author": "x" * size}
    return append(tx, lock_head(tx), **facts, edits=[], movements=[]).revision  # type: ignore[arg-type]  # one mapping for brevity


def code_of(run: Callable[[], object]) -> str:
    """The code of the failure that this has to be."""
    with pytest.raises(CoreConfigError) as caught:
        run()
    return caught.value.code


@pytest.fixture(scope="module")
def own() -> Iterator[Postgres]:
    """A server that may be tormented."""
    with cluster({"max_prepared_transactions": "5"}) as server:
        yield server


@pytest.fixture
def url(own: Postgres) -> Iterator[str]:
    with new_database(own) as url:
        yield url


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    database = Database.open(url)
    yield database
    database.close()


def test_nobody_at_the_address_is_said_without_the_password() -> None:
    """The error names host and port, and that nothing is there."""
    port = free_port()
    with pytest.raises(Unavailable) as caught:
        Database.open(f"postgresql://user:secret@127.0.0.1:{port}/config")
    assert caught.value.code == "storage_unreachable"
    assert str(port) in caught.value.message
    assert "secret" not in caught.value.message


def test_a_database_that_does_not_exist_is_named(own: Postgres) -> None:
    """It is not created by itself: whoever runs the server decides about encoding and owner."""
    with pytest.raises(Unavailable, match="no_such_database"):
        Database.open(own.url("no_such_database"))


def test_a_database_in_another_encoding_is_refused_at_the_start(own: Postgres) -> None:
    """Not later, at the first value that it cannot hold."""
    own.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0")
    with pytest.raises(Invalid) as caught:
        Database.open(own.url("latin"))
    assert caught.value.code == "database_encoding"


def test_a_standby_or_a_read_only_database_refuses_writes_by_its_code_and_is_read(
    own: Postgres, url: str
) -> None:
    """Reads go on; when it becomes writable again the next write goes through."""
    database = Database.open(url)
    name = url.rpartition("/")[2]
    own.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    own.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", name)
    assert code_of(lambda: database.write(commit)) == "storage_read_only"
    assert database.read(read_head).revision == 0
    own.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    assert database.write(commit) == 1
    database.close()


def test_connections_that_a_restart_broke_are_replaced_before_they_are_used(
    own: Postgres, database: Database
) -> None:
    """Neither the first read nor the first write after it fails."""
    database.write(commit)
    database.read(read_head)
    own.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'coreconfig'"
    )
    assert database.read(read_head).revision == 1
    assert database.write(commit) == 2


def test_a_connection_that_breaks_in_the_middle_of_a_transaction_stores_nothing(
    own: Postgres, database: Database
) -> None:
    """The failure is told as a loss of the connection, and the next transaction works."""

    def broken(tx: Connection) -> int:
        revision = commit(tx)
        pid = tx.execute(text("SELECT pg_backend_pid()")).scalar()
        own.execute("SELECT pg_terminate_backend(%s, 5000)", pid)
        tx.execute(text("SELECT 1"))
        return revision

    assert code_of(lambda: database.write(broken)) == "storage_unreachable"
    assert database.read(read_head).revision == 0
    assert database.write(commit) == 1


def test_a_connection_that_breaks_during_the_commit_leaves_the_outcome_open_and_says_so(
    own: Postgres, database: Database
) -> None:
    """The commit waits for a standby that is not there; whoever asks again finds what became of it."""
    own.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
    own.execute("SELECT pg_reload_conf()")
    try:
        caught: list[str] = []
        writer = threading.Thread(target=lambda: caught.append(code_of(lambda: database.write(commit))))
        writer.start()
        waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        deadline = time.monotonic() + 20
        while not (found := own.execute(waiting)):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        own.execute("SELECT pg_terminate_backend(%s)", found[0][0])
        writer.join()
        assert caught == ["outcome_unknown"]
    finally:
        own.execute("ALTER SYSTEM RESET synchronous_standby_names")
        own.execute("SELECT pg_reload_conf()")
    assert database.read(read_head).revision == 1  # stored, as it happens
    assert database.write(commit) == 2


def test_a_user_without_a_connection_left_is_told_what_to_raise(own: Postgres, url: str) -> None:
    """Not "unreachable": somebody has to change a number."""
    Database.open(url).close()
    own.execute("DROP ROLE IF EXISTS narrow")
    own.execute("CREATE ROLE narrow LOGIN SUPERUSER CONNECTION LIMIT 1")
    own.execute("ALTER ROLE narrow NOSUPERUSER")
    own.execute("GRANT ALL ON DATABASE " + url.rpartition("/")[2] + " TO narrow")
    narrow = url.replace("coreconfig@", "narrow@")
    with psycopg.connect(narrow), pytest.raises(Unavailable) as caught:
        Database.open(narrow)
    assert caught.value.code == "database_connections"
    assert "max_connections" in caught.value.message


def test_who_may_not_write_is_told_so(own: Postgres, url: str) -> None:
    """A right that is missing is a matter for the operator, and no fault of the program."""
    Database.open(url).close()
    own.execute("DROP ROLE IF EXISTS guest")
    own.execute("CREATE ROLE guest LOGIN")
    own.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO guest", database=url.rpartition("/")[2])
    guest = Database.open(url.replace("coreconfig@", "guest@"))
    try:
        assert code_of(lambda: guest.write(commit)) == "storage_refused"
        assert guest.read(read_head).revision == 0
    finally:
        guest.close()
        own.execute("DROP OWNED BY guest", database=url.rpartition("/")[2])


def test_a_transaction_that_stands_still_is_ended_and_those_who_wait_go_on(database: Database) -> None:
    """Five seconds of doing nothing with the lock of the head in hand are enough."""
    inside = threading.Event()
    caught: list[str] = []

    def still(tx: Connection) -> int:
        revision = commit(tx)
        inside.set()
        time.sleep(7)  # what is tested: nothing happens for longer than is allowed
        return revision

    sleeper = threading.Thread(target=lambda: caught.append(code_of(lambda: database.write(still))))
    sleeper.start()
    assert inside.wait(10)
    began = time.monotonic()
    assert database.write(commit) == 1
    assert time.monotonic() - began < 7
    sleeper.join()
    assert caught in (["storage_unreachable"], ["outcome_unknown"])
    assert database.read(read_head).revision == 1


def test_a_lock_that_is_held_for_long_makes_others_busy_not_stuck(url: str, database: Database) -> None:
    """After ten seconds of waiting whoever asked is told to try again."""
    with psycopg.connect(url) as other:
        other.execute("SELECT * FROM head FOR UPDATE")
        began = time.monotonic()
        assert code_of(lambda: database.write(commit)) == "database_busy"
        assert 9 < time.monotonic() - began < 20
    assert database.write(commit) == 1


def test_text_that_cannot_be_stored_is_refused_by_its_rule(database: Database) -> None:
    """It is the caller's text that is wrong, not the program."""
    entry = dict.fromkeys(("at", "principal", "action", "target", "detail"), "a\0b")
    assert code_of(
        lambda: database.write(lambda tx: tx.execute(insert(audit), {**entry, "allowed": True}))
    ) == ("bad_text")


def test_a_full_disk_refuses_writes_loses_nothing_and_recovers_by_itself(
    own: Postgres, tmp_path: Path
) -> None:
    """The files of the database lie on a small disk of their own; reads go on while it is full."""
    with folder() as place, small_disk_at(place / "disk", megabytes=24) as disk:
        user = account()
        if user:
            shutil.chown(disk, user["user"], user["group"])
        own.execute(f"CREATE TABLESPACE small LOCATION '{disk}'")
        own.execute("CREATE DATABASE small TABLESPACE small TEMPLATE template0")
        database = Database.open(own.url("small"))
        assert database.write(commit) == 1
        ballast = fill(disk)
        kept = write_until_full(database)
        assert database.read(read_head).revision == kept
        ballast.unlink()
        assert database.write(lambda tx: commit(tx, 30_000)) == kept + 1
        database.close()
        own.execute("DROP DATABASE small WITH (FORCE)")
        own.execute("DROP TABLESPACE small")


def write_until_full(database: Database) -> int:
    """The last revision that was acknowledged."""
    kept = 1
    for _ in range(2_000):
        try:
            kept = database.write(lambda tx: commit(tx, 30_000))
        except StorageFull:
            return kept
    raise AssertionError("the disk never ran full")


def test_a_notice_arrives_with_its_revision_when_and_only_when_it_is_committed(
    url: str, database: Database
) -> None:
    """What is rolled back was never announced; what this process committed itself it need not be told."""
    heard: list[int | None] = []
    arrived = threading.Condition()

    def noticed(revision: int | None) -> None:
        with arrived:
            heard.append(revision)
            arrived.notify_all()

    here = Database.open(url)
    here.listen(noticed)
    with arrived:
        assert arrived.wait_for(lambda: heard == [None], 10)  # connected: there may be some

    def fail(tx: Connection) -> None:
        commit(tx)
        raise LookupError

    with pytest.raises(LookupError):
        database.write(fail)
    database.write(commit)
    here.write(commit)
    database.write(commit)
    with arrived:
        assert arrived.wait_for(lambda: len(heard) == 3, 10)
    assert heard == [None, 1, 3]
    here.close()


def test_listening_ends_at_once_when_the_database_is_closed(url: str) -> None:
    """A shutdown does not wait for a heartbeat."""
    database = Database.open(url)
    listening = threading.Event()
    database.listen(lambda _: listening.set())
    assert listening.wait(10)
    began = time.monotonic()
    database.close()
    assert time.monotonic() - began < HEARTBEAT / 2
    assert not [one for one in threading.enumerate() if one.name == "coreconfig-notices"]


def test_two_commands_that_migrate_at_once_both_succeed(own: Postgres) -> None:
    """Processes, as they are started by two deployments at the same moment."""
    import sys

    with new_database(own) as url:
        command = [sys.executable, "-m", "coreconfig.cli", "migrate", "--database", url]
        both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
        told = [one.communicate(timeout=60)[1] for one in both]
        assert [one.returncode for one in both] == [0, 0], told
        assert all("is up to date" in text for text in told)
        database = Database.open(url, migrate=False)
        assert database.write(commit) == 1
        database.close()

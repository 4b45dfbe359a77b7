"""A real small file system that runs full, turns read-only and gets well again."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, insert, select, text
from tests.disks import fill, small_disk_at

from coreconfig.errors import CoreConfigError, StorageFull, Unavailable
from coreconfig.server.audit.tables import audit
from coreconfig.server.db.database import Database
from coreconfig.server.revisions.log import LogRow, append, lock_head, read_head, rows_after

MIB = 1024 * 1024


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 4 MiB."""
    with small_disk_at(tmp_path / "disk", 4) as folder:
        yield folder


@pytest.fixture
def database(small_disk: Path) -> Iterator[Database]:
    database = Database.open(f"sqlite:///{small_disk}/store.db")
    yield database
    database.close()


def commit(tx: Connection, size: int = 100) -> LogRow:
    value = {"kind": "value", "environment": "e", "service": None, "key": "a", "operation": "set"}
    facts = {"kind": "values_committed", "change_id": "c", "author": "a", "reason": None}
    edits = [{**value, "value": "x" * size}]
    return append(tx, lock_head(tx), **facts, committed_at="", edits=edits, movements=[])  # type: ignore[arg-type]  # one mapping for brevity


def write_until_full(database: Database) -> tuple[list[int], CoreConfigError]:
    kept = []
    for _ in range(1000):
        try:
            kept.append(database.write(lambda tx: commit(tx, 20_000)).revision)
        except CoreConfigError as error:
            return kept, error
    raise AssertionError("the disk never ran full")


def test_a_full_disk_refuses_writes_loses_nothing_and_recovers_by_itself(
    database: Database, small_disk: Path
) -> None:
    """Full: `storage_full`, and reads go on. Room again: the next write goes through, with no gap."""
    first = database.write(commit)
    ballast = fill(small_disk)
    kept, error = write_until_full(database)
    assert isinstance(error, StorageFull)
    assert error.code == "storage_full"
    assert str(small_disk) in error.message

    newest = (kept or [first.revision])[-1]
    assert database.read(read_head).revision == newest
    assert len(database.read(lambda tx: rows_after(tx, 0, 1000))) == newest
    for _ in range(3):
        with pytest.raises(StorageFull):
            database.write(lambda tx: commit(tx, 60_000))

    ballast.unlink()
    assert database.write(lambda tx: commit(tx, 60_000)).revision == newest + 1
    assert len(database.read(lambda tx: rows_after(tx, 0, 1000))) == newest + 1


def test_what_was_acknowledged_on_a_full_disk_is_there_after_a_restart(
    database: Database, small_disk: Path
) -> None:
    """The last write before the disk ran full was durable, the refused one is nowhere."""
    kept, _ = write_until_full(database)
    database.close()
    with_room = Database.open(f"sqlite:///{small_disk}/store.db")
    try:
        assert [row.revision for row in with_room.read(lambda tx: rows_after(tx, 0, 1000))] == kept
        assert with_room.read(lambda tx: tx.execute(text("PRAGMA integrity_check")).scalar()) == "ok"
    finally:
        with_room.close()


def test_a_transaction_that_found_no_room_is_gone_as_a_whole(database: Database, small_disk: Path) -> None:
    """Rows that were written before the failing one do not stay behind."""
    database.write(commit)
    fill(small_disk)
    entry = {"at": "", "principal": "p", "action": "a", "target": "t", "allowed": True}

    def both(tx: Connection) -> None:
        commit(tx, 60_000)
        tx.execute(insert(audit), {**entry, "detail": "x" * 8 * MIB})

    with pytest.raises(StorageFull):
        database.write(both)
    assert database.read(read_head).revision == 1
    assert database.read(lambda tx: tx.execute(select(func.count()).select_from(audit)).scalar()) == 0


def test_a_disk_that_is_read_only_is_named_and_works_when_it_is_writable_again(
    database: Database, small_disk: Path
) -> None:
    """The error says what is the matter and where; nothing has to be repaired afterwards."""
    database.write(commit)
    database.close()
    remount(small_disk, "ro")
    try:
        with pytest.raises(Unavailable) as caught:
            Database.open(f"sqlite:///{small_disk}/store.db")
        assert caught.value.code in ("storage_read_only", "storage_unreachable")
        assert str(small_disk) in caught.value.message
    finally:
        remount(small_disk, "rw")
    again = Database.open(f"sqlite:///{small_disk}/store.db")
    assert again.write(commit).revision == 2
    again.close()


def test_a_new_database_on_a_full_disk_says_that_the_disk_is_full(small_disk: Path) -> None:
    """Opening needs room for the tables; what was begun does not stand in the way later."""
    ballast = fill(small_disk)
    with pytest.raises(StorageFull):
        Database.open(f"sqlite:///{small_disk}/store.db")
    ballast.unlink()
    database = Database.open(f"sqlite:///{small_disk}/store.db")
    assert database.write(commit).revision == 1
    database.close()


def remount(folder: Path, mode: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{mode}", folder], check=True)

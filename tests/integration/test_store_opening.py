"""Opening a database: one server for a file, schemas of other versions, addresses that cannot be meant."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from coreconfig.errors import Conflict, CoreConfigError, Invalid, StoreIntegrity, Unavailable
from coreconfig.server.db.database import Database
from coreconfig.server.db.migrations import SCHEMA

HOLD = """
import sys
from coreconfig.server.db.database import Database
database = Database.open(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


def url(file: Path) -> str:
    return f"sqlite:///{file}"


def test_a_second_server_on_the_same_file_is_refused_and_told_who_has_it(file: Path) -> None:
    """The error names the process that has to be stopped."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, url(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(Conflict) as caught:
            Database.open(url(file))
        assert caught.value.code == "database_in_use"
        assert f"process {other.pid}" in caught.value.message
        other.kill()
    Database.open(url(file)).close()


def test_the_same_file_under_another_name_is_the_same_file(file: Path, tmp_path: Path) -> None:
    """A link does not get around the lock."""
    database = Database.open(url(file))
    link = tmp_path / "link.db"
    link.symlink_to(file)
    with pytest.raises(Conflict, match=str(os.getpid())):
        Database.open(url(link))
    database.close()
    Database.open(url(link)).close()


def test_an_open_that_fails_lets_go_of_the_file(file: Path) -> None:
    """A refused database can be opened by the program that fits it."""
    Database.open(url(file)).close()
    set_schema(file, "9999")
    for _ in range(2):
        with pytest.raises(Invalid) as caught:
            Database.open(url(file))
        assert caught.value.code == "database_newer"
    set_schema(file, SCHEMA)
    Database.open(url(file)).close()


@pytest.mark.parametrize(
    ("text_", "code"),
    [
        ("postgresql://localhost:port/coreconfig", "bad_database_url"),
        ("postgresql+psycopg://localhost/coreconfig?no_such_option=1", "bad_database_url"),
        ("postgres://a:b@c@localhost:x/y", "bad_database_url"),
        ("mysql://localhost/x", "database_not_supported"),
        ("sqlite://", "bad_database_url"),
        ("sqlite:///:memory:", "bad_database_url"),
        ("sqlite:///{folder}/no/such/folder/x.db", "bad_database_url"),
        ("sqlite:///{folder}/x.db?mode=ro", "bad_database_url"),
        ("nonsense", "bad_database_url"),
        ("", "bad_database_url"),
    ],
)
def test_an_address_that_cannot_be_meant_is_refused_before_anything_is_made(
    text_: str, code: str, tmp_path: Path
) -> None:
    """The person reads what to write instead."""
    with pytest.raises(Invalid) as caught:
        Database.open(text_.format(folder=tmp_path))
    assert caught.value.code == code
    assert any(word in caught.value.message for word in ("sqlite:///", "folder", "postgresql://"))
    assert "b@c" not in caught.value.message  # what may be a password
    assert list(tmp_path.iterdir()) == []


def test_a_database_of_another_program_is_not_written_into(file: Path) -> None:
    """Tables that are not ours are named and left alone."""
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE invoices (id)")
    connection.close()
    with pytest.raises(Invalid, match="invoices") as caught:
        Database.open(url(file))
    assert caught.value.code == "database_foreign"


def test_a_file_that_is_no_database_is_named_as_damaged(file: Path) -> None:
    """It is neither overwritten nor reported as a fault of the program."""
    file.write_bytes(b"this is no database at all, but it is long enough to look like one" * 20)
    before = file.read_bytes()
    with pytest.raises(StoreIntegrity) as caught:
        Database.open(url(file))
    assert caught.value.code == "database_corrupt"
    assert str(file) in caught.value.message
    assert file.read_bytes() == before


def test_a_folder_instead_of_a_file_is_said(tmp_path: Path) -> None:
    """What cannot be opened is named with what to look at."""
    (tmp_path / "store.db").mkdir()
    with pytest.raises(CoreConfigError) as caught:
        Database.open(url(tmp_path / "store.db"))
    assert isinstance(caught.value, Unavailable)
    assert caught.value.code == "storage_unreachable"


def set_schema(file: Path, version: str) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (version,))
        connection.execute("UPDATE compatibility SET oldest = ?", (version,))
    connection.close()

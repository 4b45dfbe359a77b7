"""A server that is killed, and one whose disk runs full: what was acknowledged is never lost."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest
from tests.acceptance.command_line import server_child, server_process
from tests.disks import fill, small_disk_at

from coreconfig.server.db.database import Database
from coreconfig.server.revisions.log import read_head, rows_after

KILLS = 20
WRITERS = 4


class Writer(threading.Thread):
    """Writes a key of its own again and again, and remembers what was acknowledged."""

    def __init__(self, url: str, number: int) -> None:
        super().__init__(daemon=True)
        self.acknowledged: dict[int, int] = {}
        self.failed: list[str] = []
        self.begun = threading.Event()
        self._url = f"{url}/v1/environments/e/configuration/writer{number}"

    def run(self) -> None:
        with httpx2.Client(timeout=10) as http, suppress(httpx2.TransportError):
            for value in range(1_000_000):
                answer = http.put(self._url, json={"value": value})
                if answer.status_code != 200:
                    self.failed.append(answer.text)
                    return
                self.acknowledged[answer.json()["revision"]] = value
                self.begun.set()


def create_environment(url: str) -> None:
    answer = httpx2.post(f"{url}/v1/environments", json={"id": "e", "type": "testing"})
    assert answer.status_code in (201, 409)


def test_no_acknowledged_write_is_lost_when_the_server_is_killed_in_the_middle(tmp_path: Path) -> None:
    """Kill -9 at any moment, twenty times over: every answered revision is in the log with its value."""
    moments = random.Random(7)
    promised: dict[int, tuple[str, int]] = {}
    for _ in range(KILLS):
        with server_child(tmp_path) as (url, server):
            create_environment(url)
            writers = [Writer(url, number) for number in range(WRITERS)]
            for writer in writers:
                writer.start()
            assert all(writer.begun.wait(20) for writer in writers), [writer.failed for writer in writers]
            threading.Event().wait(moments.uniform(0, 0.05))
            server.kill()
            for writer in writers:
                writer.join(20)
        for number, writer in enumerate(writers):
            assert writer.failed == []
            promised |= {r: (f"writer{number}", value) for r, value in writer.acknowledged.items()}
    database = Database.open(f"sqlite:///{tmp_path}/test.db")
    head = database.read(read_head)
    rows = {row.revision: row for row in database.read(lambda tx: rows_after(tx, 0, head.revision + 1))}
    database.close()
    assert len(promised) >= KILLS * WRITERS
    assert sorted(rows) == list(range(1, head.revision + 1))
    for revision, (key, value) in promised.items():
        (edit,) = rows[revision].edits
        assert (edit["key"], edit["value"]) == (key, value)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 6 MiB."""
    with small_disk_at(tmp_path / "disk", 6) as folder:
        yield folder


def test_a_full_disk_refuses_writes_keeps_reads_and_recovers_by_itself(small_disk: Path) -> None:
    """507 with a code while there is no room; the next write after there is some succeeds."""
    with server_process(small_disk) as url:
        create_environment(url)
        key = f"{url}/v1/environments/e/configuration/k"
        assert httpx2.put(key, json={"value": "first"}).status_code == 200
        ballast = fill(small_disk)
        for _ in range(100):
            full = httpx2.put(key, json={"value": "x" * 50_000})
            if full.status_code != 200:
                break
        assert full.status_code == 507, full.text
        assert full.json()["error"]["code"] == "storage_full"
        assert httpx2.get(key).status_code == 200
        ballast.unlink()
        again = httpx2.put(key, json={"value": "after"})
        assert again.status_code == 200, again.text
        assert httpx2.get(key).json()["value"] == "after"

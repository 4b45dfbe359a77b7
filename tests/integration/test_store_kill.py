"""A writing process killed at any moment: whatever it acknowledged is there, and the chain is whole."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from coreconfig.server.db.database import Database
from coreconfig.server.revisions.checkpoints import load_start
from coreconfig.server.revisions.log import read_head

WRITE = """
import sys
from coreconfig.server.db.database import Database
from coreconfig.server.revisions.log import append, lock_head
from coreconfig.server.revisions.movements import Movement

database = Database.open(sys.argv[1])
create = {"kind": "environment", "environment": "e", "operation": "create",
          "document": {"id": "e", "type": "development"}}

def commit(tx):
    head = lock_head(tx)
    value = {"kind": "value", "environment": "e", "service": None, "key": "a", "operation": "set",
             "value": "x" * (head.revision % 50 * 400)}
    return append(tx, head, kind="values_committed", change_id="c", author="a", reason=None,
                  committed_at="2026-03-01T12:00:00Z", edits=[value if head.revision else create],
                  movements=[Movement("e", "a", [""], [""])])

while True:
    row = database.write(commit)
    print(row.revision, row.hash, flush=True)
"""
ROUNDS = 20


@pytest.mark.slow
def test_kill_9_at_any_moment_loses_no_acknowledged_revision(tmp_path: Path) -> None:
    """Twenty times: write, kill -9, open again; every revision that was reported is there with its hash."""
    url = f"sqlite:///{tmp_path}/store.db"
    acknowledged: dict[int, str] = {}
    for _ in range(ROUNDS):
        told = write_and_kill(url, after=random.uniform(0.0, 0.25))
        assert told, "the writer did not write"
        acknowledged |= told
        database = Database.open(url)
        try:
            world, rows = database.read(load_start)
            stored = {row.revision: row.hash for row in rows}
            assert acknowledged.items() <= stored.items()
            assert database.read(read_head).revision == len(stored)
        finally:
            database.close()
        for row in rows:
            world = world.advanced(row)
    assert len(acknowledged) >= ROUNDS


def write_and_kill(url: str, after: float) -> dict[int, str]:
    """What a writer reported until it was killed, some time after its first report."""
    with subprocess.Popen([sys.executable, "-c", WRITE, url], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        lines = [writer.stdout.readline()]
        killer = threading.Thread(target=lambda: (time.sleep(after), writer.kill()))
        killer.start()
        lines += writer.stdout.readlines()
        killer.join()
    # the last line may have been cut off in the middle: then it was not reported
    whole = [line.split() for line in lines if line.endswith("\n")]
    return {int(revision): hashed for revision, hashed in whole}

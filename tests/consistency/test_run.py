"""The short form of a random run: every kind of fault once, and no promise broken."""

from __future__ import annotations

import os
from pathlib import Path

from tests.consistency.rig import Rig
from tests.consistency.run import Plan, random_run

SEED = int(os.environ.get("CORECONFIG_TEST_SEED", "1"))
SHOWN = 20


def test_no_promise_is_broken_while_everything_else_is(tmp_path: Path) -> None:
    """Two replicas, clients that stream and poll, writers and readers, and each fault in its turn."""
    with Rig(tmp_path, replicas=2, seed=SEED) as rig:
        random_run(rig, Plan(SEED))
        rig.history.save(tmp_path / "history.jsonl")
        violations = rig.judge()
    assert not violations, f"seed {SEED}, {tmp_path}/history.jsonl: {violations[:SHOWN]}"

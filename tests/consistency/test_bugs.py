"""The checker finds every seeded bug, and nothing in a system without one."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.consistency import bugs
from tests.consistency.check import Limits
from tests.consistency.rig import Rig
from tests.consistency.scenarios import REPLICAS, SCENARIOS

IMPATIENT = Limits(slack=1.0, connected=2.0, live=2.0)
"""A bug that keeps a client from arriving does so for ever: there is no need to wait half a minute for it."""


@pytest.mark.parametrize("bug", bugs.NAMES)
def test_the_checker_finds_a_seeded_bug(bug: str, tmp_path: Path) -> None:
    """The promise that the bug breaks is among those that the history is found to break."""
    replicas = REPLICAS.get(bug, 1)
    with Rig(tmp_path, bug=bug, replicas=replicas, limits=IMPATIENT, patience=1.0) as rig:
        rig.environments()
        SCENARIOS[bug](rig)
        rig.settle()
        violations = rig.judge()
    assert bugs.promise_of(bug) in {violation.promise for violation in violations}, violations


def test_the_same_stories_without_a_bug_keep_every_promise(tmp_path: Path) -> None:
    """All of them one after another over one database and two replicas: the checker finds nothing."""
    with Rig(tmp_path, replicas=2) as rig:
        rig.environments()
        for scenario in SCENARIOS.values():
            scenario(rig)
        rig.settle()
        violations = rig.judge()
        rig.history.save(tmp_path / "history.jsonl")
    assert violations == []


def test_every_bug_has_a_story() -> None:
    """So none can be added that nothing would show."""
    assert set(SCENARIOS) == set(bugs.NAMES)

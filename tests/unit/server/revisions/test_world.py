"""The world is a pure function of the log."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from coreconfig.errors import StoreIntegrity
from coreconfig.model.documents import from_document, to_document
from coreconfig.server.revisions.checkpoints import EVERY, is_due
from coreconfig.server.revisions.past import Past
from coreconfig.server.revisions.rows import GENESIS, LogRow, decode
from coreconfig.server.revisions.world import World


def row(revision: int = 1, *edits: dict[str, Any]) -> LogRow:
    return LogRow(
        1, revision, "values_committed", "c", "a", None, "t", list(edits), f"hash {revision}", GENESIS
    )


CREATE = {
    "kind": "environment",
    "environment": "e",
    "operation": "create",
    "document": {"id": "e", "type": "production", "overrides": {"configuration": {"a": {"b": 1}}}},
}


def test_a_row_makes_another_world_and_leaves_the_first_as_it_was() -> None:
    """Worlds are values: whoever holds one sees it unchanged."""
    before = World()
    after = before.advanced(row(1, CREATE))
    assert (before.revision, dict(before.environments)) == (0, {})
    assert (after.revision, after.hash, after.environments["e"].base) == (1, "hash 1", {"a": {"b": 1}})


@pytest.mark.parametrize(
    "wrong",
    [row(2), replace(row(1), previous="else"), replace(row(1), epoch=0)],
    ids=["gap", "chain", "epoch"],
)
def test_a_row_that_does_not_follow_is_refused(wrong: LogRow) -> None:
    """Order is the only way in which a world advances."""
    with pytest.raises(StoreIntegrity):
        World().advanced(wrong)


def test_a_world_keeps_everything_through_a_checkpoint() -> None:
    """Also the status, which no document carries."""
    world = World().advanced(row(1, CREATE))
    degraded = replace(world.environments["e"], status="degraded")
    world = replace(world, environments={"e": degraded})
    again = World.from_json(world.to_json())
    assert again == world
    assert again.environments["e"].status == "degraded"


def test_a_checkpoint_is_due_after_enough_revisions_or_a_day() -> None:
    """A day in which nothing moved needs none."""
    now, day = timedelta(), timedelta(days=1)
    assert not is_due(EVERY - 1, 0, now)
    assert is_due(EVERY, 0, now)
    assert is_due(1, 0, day)
    assert not is_due(5, 5, 9 * day)


def test_the_past_holds_a_few_worlds_and_forgets_the_one_not_used_for_longest() -> None:
    """Looking at one keeps it."""
    past = Past(size=2)
    for revision in (1, 2):
        past.keep(replace(World(), revision=revision))
    assert past.get(1) is not None
    past.keep(replace(World(), revision=3))
    assert past.get(2) is None
    assert past.get(1) is not None


def test_the_nearest_world_lies_before_the_wanted_one_and_not_far() -> None:
    """A world is only ever advanced."""
    past = Past()
    for revision in (10, 300, 320):
        past.keep(replace(World(), revision=revision))
    assert getattr(past.nearest(310), "revision", None) == 300
    assert past.nearest(299) is None
    assert past.nearest(10) is None


def test_canonical_text_of_a_checkpoint_is_read_with_large_doubles() -> None:
    """A double beyond 2^53 stays one, and so stays acceptable as a value."""
    assert isinstance(decode("[100000000000000000000]")[0], float)


def test_every_world_that_changes_can_make_comes_back_from_a_checkpoint() -> None:
    """What was written part by part, or unset at the deepest key, is as good as what came in a document."""
    deep = ".".join("abcdefghijklmnopqrstuvwxyzABCDEF")
    place = {"kind": "value", "environment": "e", "service": None}
    unset = {**place, "key": deep, "operation": "unset"}
    parts = [
        {**place, "key": f"big.part{number}", "operation": "set", "value": "x" * 60_000}
        for number in range(30)
    ]
    world = World().advanced(row(1, CREATE, unset, *parts))
    assert World.from_json(world.to_json()) == world
    assert from_document(to_document(world.environments["e"])) == world.environments["e"]

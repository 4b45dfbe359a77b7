"""Proposing changes against a real store: what is judged, what is committed, what is refused."""

from __future__ import annotations

import asyncio
from itertools import count

import pytest

from coreconfig.errors import Conflict, Denied, Invalid, PreconditionFailed
from coreconfig.model.edits import EnvironmentEdit, ValueEdit
from coreconfig.model.keys import parse_pattern
from coreconfig.server.access.caller import Caller, local_caller
from coreconfig.server.changes import store
from coreconfig.server.changes.commands import Proposals
from coreconfig.server.changes.guards import key_matches
from coreconfig.server.changes.model import Proposal
from coreconfig.server.changes.reverting import reverting_edits
from coreconfig.server.db.database import Database
from coreconfig.server.revisions.replica import Replica
from coreconfig.server.web.preconditions import Precondition


class Installation:
    """A store with its replica, and a caller who may do everything."""

    def __init__(self, database: Database, replica: Replica) -> None:
        self.database = database
        self.replica = replica
        seconds = count()
        self.proposals = Proposals(database, replica, clock=lambda: f"2026-01-01T00:00:{next(seconds):02}Z")

    async def propose(self, *edits, caller=local_caller, dry_run=False, **members):
        """Propose these edits."""
        return await self.proposals.propose(caller, Proposal(tuple(edits), **members), dry_run=dry_run)

    def layer(self, environment, service=None):
        """A layer as the world has it now."""
        return self.replica.world.environments[environment].layer(service)


def create(name, **document):
    return EnvironmentEdit(name, "create", {"id": name, "type": "development", **document})


def put(environment, key, value, service=None):
    return ValueEdit(environment, service, tuple(key.split(".")), "set", value)


@pytest.fixture
async def installation(tmp_path):
    """global <- production with two services."""
    database = Database.open(f"sqlite:///{tmp_path}/config.db")
    replica = Replica(database, poll_interval=0.05)
    await replica.start()
    made = Installation(database, replica)
    await made.propose(
        create("global", overrides={"configuration": {"logging": {"level": "info"}, "a": 1}}),
        create(
            "production",
            inherits=["global"],
            services={"engine": {"configuration": {"a": 2}}, "bridge": {}},
        ),
    )
    yield made
    await replica.stop()
    database.close()


async def test_a_change_is_one_revision_however_many_edits_it_has(installation):
    """Readers see all of it or nothing."""
    receipt = await installation.propose(put("global", "x", 1), put("production", "y", 2), reason="both")
    assert receipt.revision == 2
    assert receipt.state == "completed"
    assert installation.replica.world.revision == 2
    assert installation.layer("global")["x"] == 1
    assert installation.layer("production")["y"] == 2


async def test_a_change_affects_exactly_the_views_in_which_something_moves(installation):
    """A service that overrides the key is not affected by its parent's change."""
    receipt = await installation.propose(put("global", "a", 9))
    assert receipt.affected == [
        {"environment": "global", "service": None},
        {"environment": "production", "service": None},
        {"environment": "production", "service": "bridge"},
    ]
    (move,) = receipt.effective
    assert (move["key"], move["old"], move["new"]) == ("a", 1, 9)


async def test_a_dry_run_says_what_would_move_and_stores_nothing(installation):
    """The plan of `apply` stands on it."""
    receipt = await installation.propose(put("global", "a", 9), dry_run=True)
    assert (receipt.id, receipt.state, receipt.revision) == (None, "draft", 1)
    assert len(receipt.affected) == 3
    assert installation.replica.world.revision == 1


async def test_a_change_that_breaks_a_reference_in_any_view_is_refused(installation):
    """The reference is in a child, the edit in its parent."""
    await installation.propose(put("production", "level", "${config:logging.level}", "engine"))
    with pytest.raises(Invalid) as caught:
        await installation.propose(ValueEdit("global", None, ("logging",), "delete"))
    assert caught.value.code == "reference_dangling"
    assert "production/engine" in caught.value.issues[0].message
    assert installation.layer("global")["logging"] == {"level": "info"}


async def test_a_reference_that_was_broken_before_does_not_block_other_changes(installation):
    """Only what a change introduces stands in its way."""
    await installation.propose(put("global", "new", 1))
    with pytest.raises(Invalid):
        await installation.propose(put("global", "r", "${config:nowhere}"))
    assert (await installation.propose(put("global", "other", 1))).revision == 3


async def test_a_change_of_a_target_is_a_change_of_what_refers_to_it(installation):
    """Both keys are in the effective difference."""
    await installation.propose(put("production", "level", "${config:logging.level}", "engine"))
    receipt = await installation.propose(put("global", "logging.level", "warn"))
    moved = {
        move["key"]
        for move in receipt.effective
        if {"environment": "production", "service": "engine"} in move["views"]
    }
    assert moved == {"logging.level", "level"}


async def test_an_expected_revision_refuses_what_moved_since_and_only_that(installation):
    """An unrelated write in between is no conflict."""
    seen = installation.replica.world.revision
    await installation.propose(put("global", "unrelated", 1))
    await installation.propose(put("global", "a", 5), expected_revision=seen)
    with pytest.raises(Conflict) as caught:
        await installation.propose(put("global", "a", 6), expected_revision=seen)
    assert caught.value.revision == 3
    assert "by local" in caught.value.issues[0].message
    assert installation.layer("global")["a"] == 5


async def test_if_match_takes_the_state_that_last_moved_the_key(installation):
    """A service's value is not moved by a parent's that it overrides."""
    edit = put("production", "a", 3, "engine")
    guard = key_matches(edit, Precondition(('"1-1"',)))
    await installation.propose(put("global", "a", 5))
    receipt = await installation.propose(edit, guard=guard)
    with pytest.raises(PreconditionFailed) as caught:
        await installation.propose(edit, guard=guard)
    assert caught.value.revision == receipt.revision


async def test_a_retry_with_its_key_is_answered_and_not_applied_again(installation):
    """The first answer comes back; the same key for another request is refused."""
    first = await installation.propose(put("global", "n", 1), idempotency_key="k", fingerprint="one")
    await installation.propose(put("global", "n", 2))
    again = await installation.propose(put("global", "n", 1), idempotency_key="k", fingerprint="one")
    assert (again.id, again.revision, again.repeated) == (first.id, first.revision, True)
    assert installation.layer("global")["n"] == 2
    with pytest.raises(Conflict) as caught:
        await installation.propose(put("global", "n", 3), idempotency_key="k", fingerprint="other")
    assert caught.value.code == "idempotency_mismatch"


async def test_writers_at_the_same_time_all_get_their_turn(installation):
    """Fifty unguarded writes of one key: fifty revisions, no conflict."""
    receipts = await asyncio.gather(*(installation.propose(put("global", "n", i)) for i in range(50)))
    assert sorted(receipt.revision for receipt in receipts) == list(range(2, 52))


async def test_two_processes_on_one_log_meet_in_the_transaction(installation):
    """A second writer with an older world judges again and loses nothing."""
    other = Proposals(installation.database, installation.replica)
    stale = installation.replica.world
    await installation.propose(put("global", "n", 1))
    installation.replica.world = stale
    receipt = await other.propose(local_caller, Proposal((put("global", "n", 2),)))
    assert receipt.revision == 3


async def test_a_caller_may_write_only_what_its_token_takes_in(installation):
    """Every edit that is refused is named."""
    editor = Caller(
        "ed", "user", frozenset({"editor"}), environments=("production",), keys=(parse_pattern("risk.**"),)
    )
    await installation.propose(put("production", "risk.max", 1), caller=editor)
    with pytest.raises(Denied) as caught:
        await installation.propose(
            put("production", "risk.max", 1), put("production", "other", 1), caller=editor
        )
    assert [issue.key for issue in caught.value.issues] == ["production:other"]


async def test_a_service_writes_into_its_own_layer_alone(installation):
    """And only with the right to propose."""
    service = Caller("svc", "service", frozenset({"editor"}), service="engine", environments=("production",))
    await installation.propose(put("production", "mine", 1, "engine"), caller=service)
    for edit in (put("production", "base", 1), put("production", "theirs", 1, "bridge")):
        with pytest.raises(Exception, match="service") as caught:
            await installation.propose(edit, caller=service)
        assert caught.value.code in {"denied", "unknown_service"}


async def test_a_revert_restores_what_the_revision_replaced(installation):
    """The layers are as they were before it."""
    before = installation.replica.world.environments
    await installation.propose(put("global", "a", 7), put("production", "logging.level", "warn", "bridge"))
    after = installation.replica.world.environments
    await installation.propose(*reverting_edits(before, after, after), kind="revert")
    assert installation.layer("global") == before["global"].base
    assert installation.layer("production", "bridge") == {}


async def test_a_revert_names_what_has_been_edited_since(installation):
    """Nothing is taken back over somebody's head."""
    before = installation.replica.world.environments
    await installation.propose(put("global", "a", 7), put("global", "b", 1))
    after = installation.replica.world.environments
    await installation.propose(put("global", "a", 8))
    with pytest.raises(Conflict) as caught:
        reverting_edits(before, after, installation.replica.world.environments)
    assert caught.value.code == "revert_conflict"
    assert [issue.key for issue in caught.value.issues] == ["a"]


async def test_an_environment_with_children_is_not_deleted(installation):
    """Its children would resolve to something else."""
    with pytest.raises(Conflict) as caught:
        await installation.propose(EnvironmentEdit("global", "delete", {}))
    assert caught.value.code == "environment_has_children"


async def test_a_cycle_of_parents_is_refused_with_its_path(installation):
    """Whichever edit would close it."""
    with pytest.raises(Invalid, match="global -> production -> global") as caught:
        await installation.propose(EnvironmentEdit("global", "update", {"inherits": ["production"]}))
    assert "inherits_cycle" in {issue.code for issue in caught.value.issues}


async def test_a_parent_that_begins_to_seal_refuses_while_a_child_differs(installation):
    """The layers in the way are named; once they are gone the seal holds against new ones."""
    seal = EnvironmentEdit("global", "update", {"sealed": ["a"]})
    with pytest.raises(Invalid) as caught:
        await installation.propose(seal)
    assert caught.value.code == "sealed"
    assert "production/engine" in caught.value.issues[0].message
    await installation.propose(ValueEdit("production", "engine", ("a",), "delete"))
    await installation.propose(seal)
    with pytest.raises(Invalid) as caught:
        await installation.propose(put("production", "a", 3, "bridge"))
    assert caught.value.code == "sealed"


async def test_changes_are_listed_newest_first_and_shown_with_what_they_moved(installation):
    """The record of a change is what was judged."""
    receipt = await installation.propose(put("global", "a", 9), reason="why not")
    found = installation.database.read(lambda tx: store.list_changes(tx, local_caller, before=None, limit=10))
    assert [change["revision"] for change in found] == [2, 1]
    shown = installation.database.read(lambda tx: store.show_change(tx, receipt.id))
    assert shown["reason"] == "why not"
    assert shown["effective"] == receipt.effective
    assert shown["edits"][0]["key"] == "a"

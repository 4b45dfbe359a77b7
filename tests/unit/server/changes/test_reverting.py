"""Taking back a revision restores what it replaced, and nothing that came since is lost by that."""

from __future__ import annotations

from typing import Any

import pytest

from coreconfig.errors import Conflict
from coreconfig.model.edits import Edit, EnvironmentEdit, ValueEdit, apply_edits
from coreconfig.model.environments import Environments
from coreconfig.model.keys import parse_key
from coreconfig.server.changes.reverting import reverting_edits


def create(name: str, **document: Any) -> Edit:
    return EnvironmentEdit(name, "create", {"type": "development", **document})


def update(name: str, **document: Any) -> Edit:
    return EnvironmentEdit(name, "update", document)


def put(key: str, value: Any, service: str | None = None) -> Edit:
    return ValueEdit("e", service, parse_key(key), "set", value)


def after(environments: Environments, *edits: Edit) -> Environments:
    return apply_edits(environments, edits).environments


START = after({}, create("e", services={"engine": {"instances": 1}}))


def reverted(before: Environments, since: Environments, now: Environments | None = None) -> Environments:
    now = since if now is None else now
    return after(now, *reverting_edits(before, since, now))


def test_environments_that_came_together_go_children_first() -> None:
    """A parent cannot go while a child is there, whatever their names are."""
    grown = after(START, create("a"), create("b", inherits=["a"]), create("c", inherits=["a", "b"]))
    assert reverted(START, grown) == START


def test_what_was_added_since_beside_a_reverted_key_stays() -> None:
    """The object was new with the revision, the other key in it was not."""
    first = after(START, put("risk", {"max": 1, "note": {"$unset": True}}))
    now = after(first, put("risk.min", 0))
    assert reverted(START, first, now)["e"].base == {"risk": {"min": 0}}


def test_a_key_that_was_edited_since_is_named_and_not_what_lies_above_it() -> None:
    """The author has to decide about that key alone."""
    first = after(START, put("risk", {"max": 1, "step": 1}))
    with pytest.raises(Conflict) as caught:
        reverted(START, first, after(first, put("risk.max", 2)))
    assert [issue.key for issue in caught.value.issues] == ["risk.max"]


def test_a_service_is_not_taken_away_with_what_it_was_given_since() -> None:
    """Its layer would go with it."""
    first = after(START, update("e", services={"bridge": {}}))
    assert reverted(START, first) == START
    with pytest.raises(Conflict) as caught:
        reverted(START, first, after(first, put("a", 1, "bridge")))
    assert caught.value.code == "revert_conflict"


def test_facts_of_a_service_that_were_changed_since_are_a_conflict() -> None:
    """Those of another service are not."""
    first = after(START, update("e", services={"engine": {"instances": 2}}))
    other = after(first, update("e", services={"bridge": {"instances": 5}}))
    assert reverted(START, first, other)["e"].services["engine"].instances == 1
    with pytest.raises(Conflict):
        reverted(START, first, after(first, update("e", services={"engine": {"instances": 3}})))

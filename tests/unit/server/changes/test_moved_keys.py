"""Which keys a change is remembered to have moved: entity tags of keys and guards of writes rest on it."""

from __future__ import annotations

from typing import Any

from coreconfig.model.edits import Edit, EnvironmentEdit, ValueEdit, apply_edits
from coreconfig.model.environments import Environments
from coreconfig.model.keys import parse_key
from coreconfig.server.changes.judge import judge
from coreconfig.server.changes.movements import movements_of
from coreconfig.server.revisions.movements import Movement


def create(name: str, **document: Any) -> Edit:
    return EnvironmentEdit(name, "create", {"type": "development", **document})


def moved(before: Environments, *edits: Edit) -> list[Movement]:
    judgement = judge(before, edits)
    return movements_of(judgement.impact, edits, before, judgement.environments)


def world(*edits: Edit) -> Environments:
    return apply_edits({}, edits).environments


OWN = {"engine": {"configuration": {"a": 1}}}


def test_an_entry_that_goes_with_its_service_was_edited_although_nothing_moves() -> None:
    """The parent gives the same value; but whoever guards a write to that entry has to hear of it."""
    family = world(create("top", services=OWN), create("e", inherits=["top"], services=OWN))
    drop = EnvironmentEdit("e", "update", {"services": {"engine": None}})
    assert moved(family, drop) == [Movement("e", "a", [], ["engine"])]


def test_the_entries_of_a_new_environment_are_edited_with_it() -> None:
    """In all of its layers."""
    (made,) = moved({}, create("e", overrides={"configuration": {"a": 1}}, services=OWN))
    assert made == Movement("e", "a", ["", "engine"], ["", "engine"])


def test_a_service_that_keeps_its_value_is_told_apart_from_one_that_nobody_declared() -> None:
    """Who is declared later has seen the base until then."""
    e = world(create("e", overrides={"configuration": {"a": 0}}, services={**OWN, "bridge": {}}))
    assert moved(e, ValueEdit("e", None, parse_key("a"), "set", 2)) == [
        Movement("e", "a", ["", "bridge"], [""], ["engine"])
    ]

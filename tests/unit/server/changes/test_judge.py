"""What a change may not do, judged on worlds without a store."""

from __future__ import annotations

from typing import Any

import pytest

from coreconfig.errors import Invalid
from coreconfig.model.edits import Edit, EnvironmentEdit, ValueEdit, apply_edits
from coreconfig.model.environments import Environments
from coreconfig.model.keys import parse_key
from coreconfig.server.changes.judge import judge


def create(name: str, **document: Any) -> Edit:
    return EnvironmentEdit(name, "create", {"type": "development", **document})


def put(environment: str, key: str, value: Any, service: str | None = None) -> Edit:
    return ValueEdit(environment, service, parse_key(key), "set", value)


def world(*edits: Edit) -> Environments:
    return apply_edits({}, edits).environments


def base(**configuration: Any) -> dict[str, Any]:
    return {"configuration": configuration}


def codes_of(environments: Environments, *edits: Edit) -> list[tuple[str, str | None]]:
    """What judging these edits is refused with: the code and key of each issue."""
    with pytest.raises(Invalid) as caught:
        judge(environments, edits)
    return [(issue.code, issue.key) for issue in caught.value.issues]


SEALED = create("top", sealed=["limit"], overrides=base(limit=1, other=1))


def test_an_environment_that_overrides_a_key_gets_no_parent_that_seals_it() -> None:
    """Nothing moves by the new parent, and yet the leaf is not what the parent resolves."""
    apart = world(SEALED, create("child", overrides=base(limit=2)))
    adopt = EnvironmentEdit("child", "update", {"inherits": ["top"]})
    assert codes_of(apart, adopt) == [("sealed", "limit")]


def test_a_sealed_value_does_not_move_while_a_child_holds_on_to_the_old_one() -> None:
    """The write moves the parent alone; that is what makes it wrong."""
    same_value = world(SEALED, create("child", inherits=["top"], overrides=base(limit=1)))
    assert codes_of(same_value, put("top", "limit", 2)) == [("sealed", "limit")]
    assert judge(same_value, [put("top", "other", 2)]).impact.affected


def test_a_seal_holds_for_the_value_that_a_reference_leads_to() -> None:
    """What a child resolves counts, not the text that it inherits."""
    referring = world(
        create("top", sealed=["limit"], overrides=base(limit="${config:source}", source=1)),
        create("child", inherits=["top"]),
    )
    assert codes_of(referring, put("child", "source", 2)) == [("sealed", "limit")]


def test_a_service_that_is_new_in_a_child_obeys_the_seal() -> None:
    """A first value of a service is a write like any other."""
    family = world(SEALED, create("child", inherits=["top"]))
    assert codes_of(family, put("child", "limit", 2, "engine")) == [("sealed", "limit")]


def test_what_breaks_in_a_view_that_the_author_may_not_read_is_told_by_its_rule_alone() -> None:
    """Neither key, value nor environment; those of his own views are told in full."""
    family = world(
        create("top", overrides=base(source=1)),
        create("mine", inherits=["top"], overrides=base(one="${config:source}")),
        create("theirs", inherits=["top"], overrides=base(secret="a ${config:source}")),
    )
    drop = ValueEdit("top", None, ("source",), "delete")
    with pytest.raises(Invalid) as caught:
        judge(family, [drop], lambda pair, key: pair[0] != "theirs")
    assert [(issue.code, issue.key) for issue in caught.value.issues] == [
        ("reference_dangling", "one"),
        ("reference_dangling", None),
    ]
    assert "theirs" not in str(caught.value)
    assert "secret" not in str(caught.value)

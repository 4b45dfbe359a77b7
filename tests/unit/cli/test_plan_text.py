"""A plan tells exactly what would change, in words a person can check."""

from __future__ import annotations

from typing import Any

import click

from coreconfig.cli.plan_text import environment_lines
from coreconfig.model.documents import from_document


def lines(before: dict[str, Any] | None, after: dict[str, Any]) -> list[str]:
    current = None if before is None else from_document({"id": "e", "type": "testing", **before})
    wanted = from_document({"id": "e", "type": "testing", **after})
    return [click.unstyle(line) for line in environment_lines(current, wanted)]


def test_an_environment_that_does_not_change_has_no_lines() -> None:
    """Equal means silent, also for 1 and 1.0."""
    before = {"overrides": {"configuration": {"a": 1, "b": {"c": []}}}}
    after = {"overrides": {"configuration": {"b": {"c": []}, "a": 1.0}}}
    assert lines(before, after) == []


def test_each_leaf_that_changes_has_a_line_with_both_values() -> None:
    """Added, changed and removed leaves are told apart."""
    before = {"overrides": {"configuration": {"log": {"level": "info", "gone": 1}}}}
    after = {"overrides": {"configuration": {"log": {"level": "warn", "new": [1]}}}}
    assert lines(before, after) == [
        "~ e",
        "    - log.gone (was 1)",
        '    ~ log.level: "info" -> "warn"',
        "    + log.new = [1]",
    ]


def test_a_type_that_changes_is_a_change() -> None:
    """True is not 1."""
    before = {"overrides": {"configuration": {"a": True}}}
    assert lines(before, {"overrides": {"configuration": {"a": 1}}}) == ["~ e", "    ~ a: true -> 1"]


def test_a_new_environment_shows_all_that_it_will_hold() -> None:
    """Attributes, base layer and services, each service under its own name."""
    after = {"inherits": ["g"], "services": {"s": {"instances": 2, "configuration": {"a": 1}}, "empty": {}}}
    assert lines(None, after) == [
        "+ e (environment)",
        '    + inherits = ["g"]',
        '    + name = "e"',
        '    + type = "testing"',
        "+ e/empty (service)",
        "    + declared = true",
        "+ e/s (service)",
        "    + declared = true",
        "    + instances = 2",
        "+ e/s",
        "    + a = 1",
    ]


def test_a_key_is_not_taken_for_a_fact_of_the_same_name() -> None:
    """`instances` in the configuration of a service is not its number of instances."""
    before = {"services": {"s": {"instances": 2, "configuration": {"instances": 2}}}}
    after = {"services": {"s": {"instances": 2, "configuration": {"instances": 3}}}}
    assert lines(before, after) == ["~ e/s", "    ~ instances: 2 -> 3"]


def test_a_marker_that_removes_what_is_inherited_is_told_in_words() -> None:
    """`$unset` is one leaf, not a member of that name."""
    after = {"overrides": {"configuration": {"a": {"$unset": True}}}}
    assert lines({}, after) == ["~ e", "    + a = (unset: nothing is inherited)"]

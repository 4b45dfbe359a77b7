"""What people read: receipts, explanations, watches, tables."""

from __future__ import annotations

from typing import Any

import click
import pytest

from coreconfig.cli.api import Answer
from coreconfig.cli.change import description
from coreconfig.cli.explain import explanation
from coreconfig.cli.failure import HINTS, report, status_of
from coreconfig.cli.output import Output
from coreconfig.cli.receipts import effects, print_receipt
from coreconfig.cli.targets import Target
from coreconfig.cli.watch import changes
from coreconfig.errors import (
    Conflict,
    Denied,
    Invalid,
    Issue,
    NotAuthenticated,
    NotFound,
    StorageFull,
    StoreIntegrity,
    Unavailable,
)
from coreconfig.model.trees import MISSING

PLACES = [{"environment": "e", "service": "s"}, {"environment": "f", "service": None}]


def test_a_receipt_tells_each_value_that_moved_and_who_sees_it() -> None:
    """A side that is absent is told as nothing, and a long list is cut with its number."""
    moved = [{"key": "a", "old": 1, "new": 2, "views": PLACES}, {"key": "b", "new": "x", "views": []}]
    lines = [click.unstyle(line) for line in effects({"effective": moved})]
    assert lines == ["  a: 1 -> 2  in e/s, f", '  b: (nothing) -> "x"']
    assert effects({"effective": moved * 30}, limit=5)[-1] == "  ... and 55 more"
    assert effects({"effective": []}) == []


def test_a_change_that_waits_for_approval_has_its_own_status(capsys: pytest.CaptureFixture[str]) -> None:
    """Not done, and no failure either: a script can tell."""
    receipt = {"id": "c1", "state": "awaiting_approval", "revision": 3, "issues": [], "effective": []}
    assert print_receipt(Output(), Answer(202, receipt, 3, None)) == 4
    assert capsys.readouterr().out == "change c1: awaiting_approval\n"
    assert print_receipt(Output(), Answer(200, {**receipt, "state": "completed"}, 3, None)) == 0
    assert capsys.readouterr().out == "revision 3\n"


def test_an_explanation_marks_the_layer_in_effect() -> None:
    """The strongest first, each with operation, value, revision and author."""
    said = [
        {
            "environment": "e",
            "service": "s",
            "operation": "set",
            "value": 2,
            "revision": 7,
            "author": "ann",
            "effective": True,
        },
        {
            "environment": "g",
            "service": None,
            "operation": "set",
            "value": 1,
            "revision": 2,
            "author": None,
            "effective": False,
        },
    ]
    lines = explanation(Target("e", "s"), {"key": "a", "value": 2, "revision": 9, "contributions": said})
    assert [click.unstyle(line) for line in lines] == [
        "a = 2   in e/s at revision 9",
        "  > e/s  set 2  revision 7  by ann",
        "    g    set 1  revision 2  (overridden)",
    ]


def test_a_watch_tells_leaves_and_only_what_matches() -> None:
    """A pattern that names one level also tells of the object at that level."""
    before = {"risk": {"limits": {"a": 1}, "old": 1}, "other": 1}
    after = {"risk": {"limits": {"a": 2}, "new": None}, "other": 2}
    assert sorted(changes(before, after, "risk.**")) == [
        ("risk.limits.a", 1, 2),
        ("risk.new", MISSING, None),
        ("risk.old", 1, MISSING),
    ]
    assert ("risk.limits", {"a": 1}, {"a": 2}) in list(changes(before, after, "risk.*"))


def test_a_change_is_described_with_its_edits_and_effect() -> None:
    """Environment edits and value edits alike."""
    edits: list[dict[str, Any]] = [
        {"kind": "environment", "environment": "e", "operation": "create", "document": {}},
        {"kind": "value", "environment": "e", "service": "s", "key": "a", "operation": "set", "value": [1]},
        {"kind": "value", "environment": "e", "service": None, "key": "b", "operation": "delete"},
    ]
    lines = description({"id": "c1", "state": "completed", "revision": 3, "author": "ann", "edits": edits})
    assert lines == [
        "change c1: completed",
        "revision: 3",
        "author: ann",
        "edits:",
        "  create environment e",
        "  e/s: set a = [1]",
        "  e: delete b",
    ]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Invalid("x"), 3),
        (Conflict("x"), 3),
        (Denied("x"), 3),
        (NotAuthenticated("x"), 3),
        (NotFound("x"), 1),
        (StorageFull("x"), 1),
        (StoreIntegrity("x"), 1),
        (Unavailable("x"), 1),
        (Unavailable("x", code="unreachable"), 5),
    ],
)
def test_the_exit_status_tells_what_kind_of_failure_it_was(error: Any, status: int) -> None:
    """A rule that refused is 3, a server that is not there 5, anything else 1."""
    assert status_of(error) == status


def test_an_error_is_printed_with_its_issues_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    """On standard error: what, each issue, and a hint where there is one."""
    report(
        NotFound(
            "no environment 'x'", code="unknown_environment", issues=[Issue("bad_key", "why", key="a.b")]
        )
    )
    told = capsys.readouterr()
    assert told.out == ""
    assert click.unstyle(told.err) == (
        "error: no environment 'x' [unknown_environment]\n"
        "  - a.b: why [bad_key]\n\n"
        f"hint: {HINTS['unknown_environment']}\n"
    )


def test_a_table_has_its_titles_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    """So that its rows can be piped on."""
    Output().table(("ID", "WORDS"), [("a", ["x", "y"]), ("longer", None)])
    told = capsys.readouterr()
    assert told.out == "a       x, y\nlonger  -\n"
    assert click.unstyle(told.err) == "ID      WORDS\n"

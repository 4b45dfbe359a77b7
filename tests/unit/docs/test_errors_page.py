"""Errors in the documentation and in the sources are the same."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from tests.unit.docs.codes import used_codes

import coreconfig
from coreconfig import errors
from coreconfig.errors import CoreConfigError
from coreconfig.wire.codes import STATUS

PAGE = (Path(__file__).parents[3] / "docs/reference/errors.md").read_text("utf-8")
ROW = re.compile(r"^\| `([a-z][a-z0-9_]*)` \| (.+) \| (.+) \|$", re.MULTILINE)


def test_every_code_that_can_be_raised_is_documented_with_what_to_do() -> None:
    """A person who meets a code finds it here."""
    documented = {found[0] for found in ROW.findall(PAGE)}
    missing = {code: files for code, files in used_codes().items() if code not in documented}
    assert not missing, f"docs/reference/errors.md lacks {missing}"


def test_no_code_is_documented_that_nothing_raises() -> None:
    """What is gone from the sources goes from the page."""
    stale = {found[0] for found in ROW.findall(PAGE)} - set(used_codes())
    assert not stale, f"docs/reference/errors.md explains {stale}"


def test_each_code_is_explained_once() -> None:
    """In one place, so that two explanations cannot disagree."""
    counts = Counter(found[0] for found in ROW.findall(PAGE))
    assert [code for code, count in counts.items() if count > 1] == []


def test_every_class_is_listed_with_its_status() -> None:
    """As the table in `wire.codes` has it."""
    kinds = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, CoreConfigError)
    ]
    statuses = dict(STATUS)
    for kind in kinds:
        row = re.search(rf"^\| `{kind.__name__}` \| [^|]*\| ([^|]*)\|", PAGE, re.MULTILINE)
        assert row is not None, kind
        assert row[1].strip() == str(statuses.get(kind, "")), kind
        assert getattr(coreconfig, kind.__name__) is kind

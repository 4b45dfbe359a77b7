"""What fits on a terminal: tables and the tour."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coreconfig.cli.demo import own_command
from coreconfig.cli.output import fitting, moment
from coreconfig.cli.targets import doubt_about
from coreconfig.cli.tour.screen import Screen


@given(st.lists(st.integers(1, 90), min_size=1, max_size=8), st.integers(20, 200))
def test_a_table_takes_from_its_widest_columns_until_it_fits(widths: list[int], columns: int) -> None:
    """No column grows, none that is narrow is cut, and either all of it fits or none can give more."""
    fitted = fitting(widths, columns)
    assert all(new == old or 8 <= new < old for new, old in zip(fitted, widths, strict=True))
    assert sum(fitted) + 2 * (len(fitted) - 1) <= columns or max(fitted[1:], default=0) <= 8
    assert fitted[0] == widths[0]


def test_a_table_leaves_out_its_spare_columns_before_it_cuts_others() -> None:
    """In the order that was given, and only as many as it takes."""
    assert fitting([10, 10, 10, 10], 34, [3, 1]) == [10, 10, 10, 0]
    assert fitting([10, 10, 10, 10], 24, [3, 1]) == [10, 0, 10, 0]
    assert fitting([10, 10, 10, 10], 46, [3, 1]) == [10, 10, 10, 10]


def test_a_time_is_shown_to_the_second() -> None:
    """What is no time stays as it is."""
    assert moment("2026-11-23T20:31:51.920Z") == "2026-11-23 20:31:51"
    assert moment(None) is None


def test_the_tour_writes_whole_lines_where_nobody_looks_on(capsys: pytest.CaptureFixture[str]) -> None:
    """A program that reads it finds a sentence on one line, however long it is."""
    screen = Screen()
    screen.seen("x " * 100, 0.5)
    screen.say("y " * 100)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].endswith(" 500 ms")


@pytest.mark.parametrize("text", ["NaN", "True", "None", '{"a": 1', "[1, 2"])
def test_a_text_that_was_perhaps_meant_as_json_is_doubted(text: str) -> None:
    """It is stored all the same, and the person is told as what."""
    assert "as a text" in (doubt_about(text) or "")


@pytest.mark.parametrize("value", ["warn", "1.2.3", "", 5, None, {"a": 1}])
def test_an_ordinary_value_is_not_doubted(value: object) -> None:
    """Texts need no quotes on the command line."""
    assert doubt_about(value) is None


def test_the_demo_names_a_command_that_can_be_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the environment's folder on the path it has to be named with it."""
    monkeypatch.setenv("PATH", "")
    assert own_command().endswith("coreconfig")
    assert own_command() != "coreconfig"

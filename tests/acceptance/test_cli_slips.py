"""Slips at the keyboard: what a person meant is named, and nothing ends in a traceback."""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.command_line import CommandLine


def test_a_misspelt_name_is_answered_with_the_nearest(trading: CommandLine) -> None:
    """Environments, services and keys alike."""
    assert "did you mean trading-demo?" in trading("show", "trading-dem", status=1).err
    assert "did you mean trading-engine?" in trading("show", "trading-demo/trading-engin", status=1).err
    key = "risk.maxPositionSiz"
    assert (
        "did you mean risk.maxPositionSize?"
        in trading("get", "trading-demo/trading-engine", key, status=1).err
    )
    assert "did you mean production?" in trading("diff", "trading-demo", "prodction", status=1).err


def test_a_first_value_for_an_unknown_service_is_pointed_out(trading: CommandLine) -> None:
    """It is allowed, and it is what a slip looks like."""
    told = trading("set", "trading-demo/trading-engin", "risk.limit", "5", "--dry-run")
    assert "trading-engin is a new service in trading-demo (did you mean trading-engine?)" in told.err
    told = trading("set", "trading-demo/trading-engine", "risk.limit", "5", "--dry-run")
    assert "new service" not in told.err


def test_a_text_that_is_nearly_json_is_pointed_out(trading: CommandLine) -> None:
    """Unless the person said that it is a text."""
    assert "stored as a text" in trading("set", "global", "a", "True", "--dry-run").err
    assert "stored as a text" not in trading("set", "global", "a", "True", "--string", "--dry-run").err


def test_a_file_that_cannot_be_used_is_named(trading: CommandLine, tmp_path: Path) -> None:
    """Reading and writing, without a traceback."""
    missing = str(tmp_path / "nowhere" / "file.yaml")
    assert missing in trading("export", "global", "--output", missing, status=1).err
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    assert "is not UTF-8" in trading("set", "global", "a", "--file", str(binary), status=3).err


def test_the_place_stands_before_the_key_in_each_issue(trading: CommandLine, tmp_path: Path) -> None:
    """File, place in it, key, reason: as a person looks for it."""
    file = tmp_path / "a.yaml"
    file.write_text("id: a\nname: A\ntype: testing\noverrides:\n  configuration:\n    n: .nan\n", "utf-8")
    assert (
        f"- {file}: line 6, column 8: overrides.configuration.n: "
        in trading("apply", str(file), status=3).err
    )


def test_an_empty_answer_says_so(trading: CommandLine) -> None:
    """Nothing but titles would leave open whether anything was looked for."""
    assert "no instance is connected" in trading("fleet").err
    assert "no such instance" in trading("fleet", "--service", "nobody").err
    assert "no kept revision moved no.such" in trading("history", "trading-demo", "no.such").err

"""Environments as files: `apply`, `export` and `env`, against a real server."""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.command_line import EXAMPLE, FILES, CommandLine, server_process


def test_files_become_environments_in_one_change(coreconfig: CommandLine) -> None:
    """Four files, one revision, whatever order they are named in; the plan tells what will be there."""
    told = coreconfig("apply", *reversed(FILES))
    assert told.out == "revision 1\n"
    assert "+ trading-demo/trading-engine" in told.err
    assert '+ logging.level = "info"' in told.err
    assert coreconfig("get", "trading-demo/trading-engine", "risk.maxPositionSize").out == "1000\n"


def test_applying_the_same_files_again_changes_nothing(coreconfig: CommandLine) -> None:
    """Exit status 0, no revision, and a sentence that says so."""
    coreconfig("apply", *FILES)
    told = coreconfig("apply", str(EXAMPLE))
    assert (told.out, told.err) == ("", "nothing to change\n")
    assert coreconfig("get", "global", "logging.level", "--json").json["revision"] == 1


def test_a_changed_file_is_a_change_of_what_differs(coreconfig: CommandLine, tmp_path: Path) -> None:
    """The plan names one leaf, the receipt all views in which it moves, and the rest stays."""
    coreconfig("apply", *FILES)
    changed = tmp_path / "global.yaml"
    changed.write_text((EXAMPLE / "global.yaml").read_text("utf-8").replace("60000", "15000"), "utf-8")
    told = coreconfig("apply", str(changed))
    assert "~ global\n    ~ metrics.interval: 60000 -> 15000\n" in told.err
    assert "trading-demo/data-bridge" in told.err
    assert coreconfig("get", "production", "metrics.interval").out == "15000\n"
    assert coreconfig("get", "production", "logging.level").out == "warn\n"


def test_what_a_file_no_longer_says_is_taken_out(coreconfig: CommandLine, tmp_path: Path) -> None:
    """The file is the whole truth about its environment: the inherited value is seen again."""
    coreconfig("apply", *FILES)
    coreconfig("set", "trading-demo/trading-engine", "risk.maxPositionSize", "7")
    told = coreconfig("apply", str(EXAMPLE / "trading-demo.yaml"))
    assert "- risk.maxPositionSize (was 7)" in told.err
    assert coreconfig("get", "trading-demo/trading-engine", "risk.maxPositionSize").out == "1000\n"


def test_a_dry_run_shows_the_plan_and_changes_nothing(coreconfig: CommandLine) -> None:
    """The server judges it all the same."""
    told = coreconfig("apply", "--dry-run", *FILES)
    assert "+ production/trading-engine" in told.err
    assert "nothing was changed" in told.err
    assert coreconfig("env", "list", "--json").json["environments"] == []


def test_export_apply_export_gives_the_same_bytes(coreconfig: CommandLine, tmp_path: Path) -> None:
    """And applying what was exported changes nothing."""
    coreconfig("apply", *FILES)
    for name in ("global", "development", "production", "trading-demo"):
        first = coreconfig("export", name).out
        file = tmp_path / f"{name}.yaml"
        file.write_text(first, "utf-8")
        assert coreconfig("apply", str(file)).err == "nothing to change\n"
        assert coreconfig("export", name).out == first


def test_an_exported_installation_is_rebuilt_byte_for_byte(coreconfig: CommandLine, tmp_path: Path) -> None:
    """Also after edits: how an environment came to be leaves no trace in its file."""
    coreconfig("apply", *FILES)
    coreconfig("set", "trading-demo/trading-engine", "risk.maxPositionSize", "7")
    coreconfig("unset", "trading-demo", "logging.destinations")
    coreconfig("set", "trading-demo", 'logging.levels."com.acme.risk"', "no")
    names = ("global", "development", "production", "trading-demo")
    exported = {name: coreconfig("export", name).out for name in names}
    other = tmp_path / "other"
    other.mkdir()
    for name, text in exported.items():
        (other / f"{name}.yaml").write_text(text, "utf-8")
    with server_process(other) as url:
        coreconfig.url = url
        coreconfig("apply", str(other))
        assert {name: coreconfig("export", name).out for name in names} == exported


def test_unknown_and_cyclic_parents_are_refused_with_the_path(
    coreconfig: CommandLine, tmp_path: Path
) -> None:
    """Exit status 3, nothing is stored."""
    lonely, a, b = (tmp_path / f"{name}.yaml" for name in ("lonely", "a", "b"))
    lonely.write_text("id: lonely\ntype: testing\ninherits: [nowhere]\n")
    a.write_text("id: a\ntype: testing\ninherits: [b]\n")
    b.write_text("id: b\ntype: testing\ninherits: [a]\n")
    assert "inherits_unknown" in coreconfig("apply", str(lonely), status=3).err
    assert "-> a" in coreconfig("apply", str(a), str(b), status=3).err
    assert coreconfig("env", "list", "--json").json["environments"] == []


def test_every_fault_of_every_file_is_told_at_once(coreconfig: CommandLine, tmp_path: Path) -> None:
    """With file, line and column, before anything is sent."""
    bad, worse = tmp_path / "bad.yaml", tmp_path / "worse.yaml"
    bad.write_text("id: bad\ntype: testing\noverrides:\n  configuration:\n    a: .nan\n    b: !x 1\n")
    worse.write_text("id: worse\ntype: nonsense\ninherits: worse\n")
    told = coreconfig("apply", str(bad), str(worse), status=3).err
    for part in (f"{bad}: line 5, column 8", f"{bad}: line 6, column 8", "bad_type", "inherits"):
        assert part in told


def test_an_environment_with_children_is_not_deleted(coreconfig: CommandLine) -> None:
    """Refused with the children's names; without them it goes."""
    coreconfig("apply", *FILES)
    assert "development" in coreconfig("env", "delete", "global", status=3).err
    coreconfig("env", "delete", "trading-demo")
    assert "trading-demo" not in coreconfig("env", "list").out


def test_an_environment_is_created_and_shown(coreconfig: CommandLine) -> None:
    """`env show` prints what it says itself, not what it inherits."""
    coreconfig("apply", str(EXAMPLE / "global.yaml"))
    coreconfig("env", "create", "qa", "--type", "testing", "--inherits", "global", "--service", "api")
    shown = coreconfig("env", "show", "qa").out
    assert "inherits: [global]" in shown
    assert "metrics" not in shown
    assert coreconfig("get", "qa/api", "metrics.interval").out == "60000\n"

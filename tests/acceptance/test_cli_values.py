"""Single values: reading, writing, explaining and undoing them, against a real server."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.acceptance.command_line import CommandLine, command, environment

from coreconfig.cli.tour.processes import Child

ENGINE = "trading-demo/trading-engine"


def test_a_value_is_printed_as_data(trading: CommandLine) -> None:
    """A text as it is, anything else as JSON, and nothing else on standard output."""
    assert trading("get", "production", "logging.level").out == "warn\n"
    assert trading("get", "production", "database.postgresql.pool").out == '{\n  "max": 50,\n  "min": 10\n}\n'
    assert trading("get", "production", "metrics.enabled").out == "true\n"


def test_a_written_value_is_read_back_as_what_it_is(trading: CommandLine) -> None:
    """JSON where it is JSON, a text where it is not or where that is demanded."""
    for text, printed in (("2.5", "2.5"), ("plain text", "plain text"), ("null", "null"), ("-5", "-5")):
        trading("set", ENGINE, "a.b", text)
        assert trading("get", ENGINE, "a.b").out == f"{printed}\n"
    trading("set", ENGINE, "a.b", "--string", "12")
    assert trading("get", ENGINE, "a.b", "--json").json["value"] == "12"


def test_set_tells_who_sees_the_new_value(trading: CommandLine) -> None:
    """Standard output has the revision, standard error old and new value and the views."""
    told = trading("set", "global", "metrics.interval", "15000")
    assert told.out == "revision 2\n"
    assert "metrics.interval: 60000 -> 15000" in told.err
    assert "production/trading-engine" in told.err


def test_unset_hides_what_is_inherited_and_delete_brings_it_back(trading: CommandLine) -> None:
    """They are opposites, and explain tells them apart."""
    trading("unset", ENGINE, "risk.dailyLossLimit")
    assert "key_not_found" in trading("get", ENGINE, "risk.dailyLossLimit", status=1).err
    assert "unset" in trading("explain", ENGINE, "risk.dailyLossLimit").out
    trading("delete", ENGINE, "risk.dailyLossLimit")
    assert trading("get", ENGINE, "risk.dailyLossLimit").out == "500\n"


def test_deleting_what_a_layer_does_not_say_is_a_failure(trading: CommandLine) -> None:
    """An inherited value is not deleted by it, and no empty change is stored."""
    told = trading("delete", ENGINE, "risk.maxPositionSize", status=1).err
    assert "`coreconfig unset`" in told
    assert "revision 1" in trading("show", ENGINE).err
    trading("delete", ENGINE, "risk.limits")
    assert "[key_not_found]" in trading("get", ENGINE, "risk.limits", status=1).err


def test_explain_lists_the_layers_strongest_first(trading: CommandLine) -> None:
    """The one in effect is marked, the others are overridden."""
    trading("set", ENGINE, "risk.maxPositionSize", "2500", "--reason", "more room")
    first, own, inherited = trading("explain", ENGINE, "risk.maxPositionSize").out.splitlines()
    assert first.startswith("risk.maxPositionSize = 2500 ")
    assert own.split()[:4] == [">", ENGINE, "set", "2500"]
    assert inherited.split()[:3] == ["development/trading-engine", "set", "1000"]
    assert inherited.endswith("(overridden)")


def test_history_lists_what_moved_the_value_with_the_reason(trading: CommandLine) -> None:
    """Newest first; a change of something else is not in it."""
    trading("set", "development/trading-engine", "risk.maxPositionSize", "1500", "--reason", "a test")
    trading("set", ENGINE, "a.b", "1")
    rows = trading("history", ENGINE, "risk.maxPositionSize").out.splitlines()
    assert len(rows) == 2
    assert rows[0].startswith("2 ")
    assert "1000 -> 1500" in rows[0]
    assert rows[0].endswith("a test")


def test_show_prints_the_resolved_tree(trading: CommandLine) -> None:
    """As YAML, as lines, with the origin of each line, and a part of it."""
    assert "logging:\n  destinations: [console, file]\n  format: json\n" in trading("show", ENGINE).out
    lines = trading("show", ENGINE, "--flat", "--prefix", "risk").out.splitlines()
    assert "risk.limits.maxLeverage = 5" in lines
    rows = [row.split() for row in trading("show", ENGINE, "--origins").out.splitlines()]
    assert ["risk.maxPositionSize", "1000", "development/trading-engine"] in rows


def test_the_past_is_read_with_at(trading: CommandLine) -> None:
    """Reading it does not make it the newest."""
    trading("set", ENGINE, "risk.maxPositionSize", "2500")
    assert trading("get", ENGINE, "risk.maxPositionSize", "--at", "1").out == "1000\n"
    assert trading("get", ENGINE, "risk.maxPositionSize").out == "2500\n"


def test_diff_compares_places_and_times(trading: CommandLine) -> None:
    """Two environments, or one and its past."""
    told = trading("diff", "development/trading-engine", "production/trading-engine").out
    assert "~ risk.maxPositionSize: 1000 -> 100000" in told
    assert "+ database.postgresql.ssl = true" in told
    trading("set", ENGINE, "risk.maxPositionSize", "2500")
    told = trading("diff", f"{ENGINE}@1", ENGINE).out
    assert told == "~ risk.maxPositionSize: 1000 -> 2500\n"
    changes = trading("diff", f"{ENGINE}@1", ENGINE, "--json").json["changes"]
    assert changes == [{"key": "risk.maxPositionSize", "operation": "SET", "value": 2500}]


def test_revert_restores_what_a_revision_replaced(trading: CommandLine) -> None:
    """As a new revision; a path edited since is a conflict."""
    trading("set", ENGINE, "risk.maxPositionSize", "2500")
    assert trading("revert", "2").out == "revision 3\n"
    assert trading("get", ENGINE, "risk.maxPositionSize").out == "1000\n"
    trading("set", ENGINE, "a.b", "1")
    trading("set", ENGINE, "a.b", "2")
    assert "conflict" in trading("revert", "4", status=3).err


def test_a_write_upon_an_old_view_is_a_conflict(trading: CommandLine) -> None:
    """Exit status 3 and advice; an unrelated write in between is none."""
    trading("set", ENGINE, "a.b", "1")
    trading("set", ENGINE, "c.d", "1", "--expected-revision", "1")
    told = trading("set", ENGINE, "a.b", "2", "--expected-revision", "1", status=3).err
    assert "[conflict]" in told
    assert "hint: " in told


def test_a_refused_value_is_told_with_its_code(trading: CommandLine) -> None:
    """JSON that no value may be is not sent."""
    assert "duplicate_member" in trading("set", ENGINE, "a", '{"x": 1, "x": 2}', status=3).err
    assert "integer_out_of_range" in trading("set", ENGINE, "a", "99999999999999999999", status=3).err


def test_unknown_places_are_failures_with_advice(trading: CommandLine) -> None:
    """Exit status 1, the code, and the command that shows what there is."""
    told = trading("show", "nowhere", status=1).err
    assert "[unknown_environment]" in told
    assert "`coreconfig env list`" in told
    assert "[unknown_service]" in trading("show", "production/nobody", status=1).err


def test_errors_are_json_for_programs(trading: CommandLine) -> None:
    """On standard error; standard output stays empty."""
    told = trading("show", "nowhere", "--json", status=1)
    assert told.out == ""
    assert '"code": "unknown_environment"' in told.err


def test_a_server_that_is_not_there_has_its_own_status(trading: CommandLine) -> None:
    """Exit status 5, so that a script can wait for it."""
    assert "hint: start a server" in trading("get", ENGINE, "a", "--url", "http://127.0.0.1:1", status=5).err


def test_changes_are_listed_and_shown(trading: CommandLine) -> None:
    """Every write is one; its edits and effect can be read later."""
    change = trading("set", ENGINE, "risk.maxPositionSize", "2500", "--reason", "more room", "--json").json
    assert change["id"] in trading("change", "list").out
    shown = trading("change", "show", change["id"]).out
    assert f"{ENGINE}: set risk.maxPositionSize = 2500" in shown
    assert "reason: more room" in shown


def test_watch_prints_changes_as_they_arrive(trading: CommandLine, tmp_path: Path) -> None:
    """Only those that match; it is no instance in the fleet; it waits for a server that is away."""
    arguments = command("watch", ENGINE, "risk.**", "--interval", "0.05", "--url", trading.url)
    watching = Child("watch", arguments, environment(tmp_path), tmp_path)
    try:
        watching.wait_for("watching", seconds=20)
        trading("set", ENGINE, "a.b", "1")
        trading("set", ENGINE, "risk.maxPositionSize", "2500")
        line, _ = watching.wait_for("->", seconds=20)
        assert line.text == "risk.maxPositionSize: 1000 -> 2500  (revision 3)"
        assert trading("fleet", "--json").json["instances"] == []
    finally:
        watching.stop()
    assert watching.ended in (130, -signal.SIGTERM)

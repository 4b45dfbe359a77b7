"""Child processes of the demo: heard line by line, and never left behind."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from coreconfig.cli.tour.processes import Child
from coreconfig.cli.tour.screen import Screen, StepFailed

ECHO = (
    "import sys\nprint('ready', flush=True)\nfor line in sys.stdin: print('heard', line, end='', flush=True)"
)
STUBBORN = (
    "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "print('ready', flush=True)\nwhile True: time.sleep(60)"
)


def start(program: str, folder: Path) -> Child:
    return Child("the child", [sys.executable, "-c", program], dict(os.environ), folder)


@pytest.fixture
def echo(tmp_path: Path) -> Iterator[Child]:
    child = start(ECHO, tmp_path)
    yield child
    child.stop()


def test_a_line_is_found_with_the_time_it_arrived(echo: Child) -> None:
    """What was said before the mark is not found again."""
    ready, _ = echo.wait_for("ready", seconds=20)
    mark = len(echo.lines)
    echo.tell("a.b")
    heard, found = echo.wait_for(r"heard (\S+)", since=mark, seconds=20)
    assert found.group(1) == "a.b"
    assert heard.at >= ready.at


def test_waiting_ends_with_what_was_said_instead(echo: Child) -> None:
    """The failure quotes the last lines."""
    echo.wait_for("ready", seconds=20)
    with pytest.raises(StepFailed, match=r"did not say 'never' within 0 s(.|\n)*ready"):
        echo.wait_for("never", seconds=0)


def test_a_process_that_ended_is_told_at_once(tmp_path: Path) -> None:
    """Nobody waits for the time-out, and its last words are quoted."""
    child = start("print('no database')", tmp_path)
    with pytest.raises(StepFailed, match=r"has ended(.|\n)*no database"):
        child.wait_for("ready", seconds=600)
    child.stop()
    assert child.ended == 0


def test_stopping_twice_does_no_harm(echo: Child) -> None:
    """Also after it was killed."""
    echo.wait_for("ready", seconds=20)
    echo.kill()
    echo.stop()
    assert echo.ended == -signal.SIGKILL


def test_a_process_that_will_not_stop_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the time it is given."""
    monkeypatch.setattr("coreconfig.cli.tour.processes._GRACE", 0.2)
    child = start(STUBBORN, tmp_path)
    child.wait_for("ready", seconds=20)
    child.stop()
    assert child.ended == -signal.SIGKILL


def test_a_step_that_goes_wrong_is_told_with_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever kind of error it was."""
    screen = Screen()
    with screen.step("one"):
        screen.seen("this", 0.0125)
    with pytest.raises(StepFailed, match="no such file"), screen.step("two"):
        raise FileNotFoundError("no such file")
    assert screen.step_name == "two"
    told = capsys.readouterr().out.split("\n")
    assert told[1] == " 1  one"
    assert told[2].split() == ["ok", "this", "12", "ms"]
    assert told[4:6] == [" 2  two", "    FAILED no such file"]

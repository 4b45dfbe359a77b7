"""The demo: the whole tour with real processes, and nothing left of it afterwards."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from tests.acceptance.command_line import command, environment

from coreconfig.cli.tour.processes import Child


def descendants_running(folder: Path) -> list[str]:
    """The processes whose working folder lies in `folder`."""
    running = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            place = str((process / "cwd").readlink())
        except OSError:  # it is gone, or not ours to look at
            continue
        if place.startswith(str(folder)) and int(process.name) != os.getpid():
            running.append((process / "cmdline").read_text().replace("\0", " "))
    return running


@pytest.mark.slow
def test_the_tour_is_seen_from_the_first_step_to_the_last(tmp_path: Path) -> None:
    """Exit status 0, every step in order, and no process left."""
    arguments = command("demo", "--once", "--folder", str(tmp_path))
    told = subprocess.run(
        arguments, env=environment(tmp_path), capture_output=True, text=True, timeout=180, check=False
    )
    assert told.returncode == 0, told.stdout + told.stderr
    steps = [line for line in told.stdout.splitlines() if line[:2].strip().isdigit()]
    assert [int(line.split()[0]) for line in steps] == list(range(1, 11))
    for seen in (
        "trading-engine reports 1000 -> 2500",
        "data-bridge reports metrics.interval -> 15000",
        " ms",
    ):
        assert seen in told.stdout
    assert "\x1b" not in told.stdout
    assert descendants_running(tmp_path) == []


@pytest.mark.slow
def test_a_step_that_fails_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    """A port that somebody else holds: exit status 1, at the first step."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        arguments = command("demo", "--once", "--folder", str(tmp_path), "--port", port)
        told = subprocess.run(
            arguments, env=environment(tmp_path), capture_output=True, text=True, timeout=120, check=False
        )
    assert told.returncode == 1
    assert "The demo failed at: Start the server on SQLite" in told.stderr
    assert descendants_running(tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_demo_leaves_nothing_behind_however_it_is_ended(tmp_path: Path, number: signal.Signals) -> None:
    """Interrupted and terminated it stops what it started; killed, they stop by themselves."""
    demo = Child("the demo", command("demo", "--folder", str(tmp_path)), environment(tmp_path), tmp_path)
    try:
        demo.wait_for(r"4  Set risk.maxPositionSize", seconds=90)
        os.kill(demo.pid, number)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and (demo.ended is None or descendants_running(tmp_path)):
            time.sleep(0.05)
        assert descendants_running(tmp_path) == []
    finally:
        demo.stop()

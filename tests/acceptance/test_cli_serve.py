"""`serve` and `migrate`: how the server starts, refuses to start, and stops."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from tests.acceptance.command_line import command, environment, server_process

from coreconfig.cli.tour.processes import Child


def told(folder: Path, *arguments: str) -> tuple[int, str]:
    """Exit status and standard error of a command that ends by itself."""
    ended = subprocess.run(
        command(*arguments),
        env=environment(folder),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return ended.returncode, ended.stderr


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, -signal.SIGTERM)])
def test_the_server_stops_when_it_is_told_to(tmp_path: Path, number: signal.Signals, status: int) -> None:
    """Ctrl-C is no failure; after SIGTERM the process ends as whoever sent it expects."""
    child = Child("the server", command("serve", "--port", "0"), environment(tmp_path), tmp_path)
    try:
        child.wait_for(r"^serving at http://127\.0\.0\.1:\d+", seconds=30)
        os.kill(child.pid, number)
        deadline = time.monotonic() + 30
        while child.ended is None and time.monotonic() < deadline:
            time.sleep(0.02)
    finally:
        child.stop()
    assert child.ended == status
    assert (tmp_path / "coreconfig.db").exists()


def test_a_port_in_use_is_told_with_what_to_do(tmp_path: Path) -> None:
    """A failure with its own code, not a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        status, error = told(tmp_path, "serve", "--port", str(taken.getsockname()[1]))
    assert status == 1
    assert "[port_in_use]" in error
    assert "--port" in error
    assert "Traceback" not in error


def test_a_second_server_on_the_same_file_is_refused(tmp_path: Path) -> None:
    """Two writers that do not know of each other would each number the same revisions."""
    with server_process(tmp_path):
        status, error = told(tmp_path, "serve", "--port", "0", "--database", "test.db")
    assert status != 0
    assert "[database_in_use]" in error
    assert "Traceback" not in error


def test_the_server_is_not_exposed_by_accident(tmp_path: Path) -> None:
    """Beyond this machine it wants TLS, or something in front that speaks it."""
    status, error = told(tmp_path, "serve", "--port", "0", "--host", "0.0.0.0")  # noqa: S104  # it is refused
    assert status == 3
    assert "[plain_text_exposed]" in error


def test_migrate_prepares_a_database_that_serve_then_uses(tmp_path: Path) -> None:
    """Twice does no harm."""
    for _ in range(2):
        status, error = told(tmp_path, "migrate", "--database", "test.db")
        assert (status, "is up to date" in error) == (0, True)
    with server_process(tmp_path) as url:
        assert url


def test_without_the_server_extra_the_error_says_what_to_install(tmp_path: Path) -> None:
    """The base install has the command, and it knows what is missing."""
    program = (
        "import sys\nfor name in ('sqlalchemy', 'fastapi', 'uvicorn'): sys.modules[name] = None\n"
        "from coreconfig.cli.run import run\nsys.exit(run(sys.argv[1:]))"
    )
    arguments = [command()[0], "-c", program, "serve"]
    ended = subprocess.run(
        arguments, env=environment(tmp_path), cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert 'pip install "coreconfig[server]"' in ended.stderr

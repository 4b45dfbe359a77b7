"""A real server process, and the command line called against it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest

from coreconfig.cli.run import run
from coreconfig.cli.tour.files import example_folder
from coreconfig.cli.tour.processes import Child
from coreconfig.cli.tour.stage import free_port

EXAMPLE = example_folder()
FILES = [str(EXAMPLE / f"{name}.yaml") for name in ("global", "development", "production", "trading-demo")]


@dataclass(frozen=True)
class Told:
    """What a command printed, and its exit status."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as JSON."""
        return json.loads(self.out)


class CommandLine:
    """`coreconfig` in this process, against one server; `calls` are its arguments."""

    def __init__(self, url: str, capture: pytest.CaptureFixture[str]) -> None:
        self.url = url
        self._capture = capture

    def __call__(self, *arguments: str, status: int = 0) -> Told:
        """Run a command that has to end with this exit status."""
        self._capture.readouterr()
        ended = run(["--url", self.url, *arguments])
        printed = self._capture.readouterr()
        told = Told(ended, click.unstyle(printed.out), click.unstyle(printed.err))
        assert ended == status, f"{arguments} ended with {ended}\n{told.out}\n{told.err}"
        return told


@contextmanager
def server_process(folder: Path, *options: str) -> Iterator[str]:
    """The address of a server that runs while the context lasts."""
    with server_child(folder, *options) as (url, _):
        yield url


@contextmanager
def server_child(folder: Path, *options: str) -> Iterator[tuple[str, Child]]:
    """The address of a server that runs while the context lasts, and its process."""
    url = f"http://127.0.0.1:{(port := free_port(0))}"
    command = [sys.executable, "-m", "coreconfig.cli", "serve", "--stop-with-stdin"]
    command += ["--database", str(folder / "test.db"), "--port", str(port), *options]
    child = Child("the server", command, environment(folder), folder)
    try:
        child.wait_for(r"^serving at ", seconds=30)
        yield url, child
    finally:
        child.stop()


def environment(folder: Path) -> dict[str, str]:
    """Variables for a child process that leave this user's own files alone."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CORECONFIG_")}
    return {**kept, "XDG_CACHE_HOME": str(folder / "cache"), "PYTHONUNBUFFERED": "1"}


def command(*arguments: str) -> Sequence[str]:
    """`coreconfig` as another process is told to run it."""
    return [sys.executable, "-m", "coreconfig.cli", *arguments]

"""The client when everything around it fails: servers, networks, disks, and the program itself."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.fakes.fake_server import FakeServer

from coreconfig import CoreConfig

WITHIN = 10.0


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    with FakeServer({"risk": {"max": 1}, "b": [1]}) as running:
        yield running


def client(fake: FakeServer | str, **options: Any) -> CoreConfig:
    """A client that reconnects without waiting."""
    url = fake if isinstance(fake, str) else fake.url
    return CoreConfig(
        "shop", "dev", url=url, **{"cache_dir": None, "random": lambda: 0.0, "poll_interval": 60.0, **options}
    )


def until(is_so: Callable[[], Any], within: float = WITHIN) -> None:
    """Wait until something is so; fails after a deadline."""
    deadline = time.monotonic() + within
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.002)


def program(text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program of its own with every warning shown."""
    command = [sys.executable, "-W", "always", "-c", text, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30.0, check=False)


# a program's own code


def test_a_check_that_outlives_its_connection_holds_up_one_snapshot_and_brings_nothing_back(
    fake: FakeServer,
) -> None:
    """It goes on deciding about something that is old by then."""
    release, entered = threading.Event(), threading.Event()
    seen: list[int] = []

    def slow(candidate: Any) -> None:
        if candidate.get("risk.max") == 2:
            entered.set()
            release.wait(WITHIN)

    with client(fake) as config:
        config.check(slow)
        config.watch("risk.max", lambda change: seen.append(change.new_value))
        fake.change({"risk": {"max": 2}, "b": [1]}, [("risk.max", "SET", 2)])
        assert entered.wait(WITHIN)
        fake.values, fake.revision = {"risk": {"max": 3}, "b": [1]}, 3
        fake.hang_up()
        fake.await_said("hello", 2)
        release.set()
        until(lambda: config.get("risk.max") == 3)
        until(lambda: seen and seen[-1] == 3)
        assert config.availability == "CURRENT"
    assert seen in ([3], [2, 3])


def test_a_check_that_hangs_does_not_keep_the_program_from_ending(fake: FakeServer) -> None:
    """The interpreter waits for nothing that a check does."""
    text = """
import sys, threading
from coreconfig import CoreConfig
config = CoreConfig("shop", "dev", url=sys.argv[1], cache_dir=None, start_timeout=0.5)
config.check(lambda candidate: threading.Event().wait())
try:
    config.start()
except Exception as error:
    print(type(error).__name__)
"""
    ended = program(text, fake.url)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "NotReady\n", "")

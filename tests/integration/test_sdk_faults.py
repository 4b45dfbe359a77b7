"""The client when everything around it fails: servers, networks, disks, and the program itself."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Self

import httpx2
import pytest
from tests.fakes.fake_clock import FakeClock
from tests.fakes.fake_server import FakeServer
from tests.fakes.proxy import Proxy

from coreconfig import ConfigValidationError, CoreConfig, Invalid, Unavailable
from coreconfig.errors import Issue
from coreconfig.server.delivery.connection import Deadlines
from coreconfig.testing.server import InProcessServer
from coreconfig.wire import frames

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
from coreconfig import ConfigValidationError, CoreConfig, Invalid, Unavailable
from coreconfig.errors import Issue
from coreconfig.server.delivery.connection import Deadlines
from coreconfig.testing.server import InProcessServer
from coreconfig.wire import frames
config = CoreConfig("shop", "dev", url=sys.argv[1], cache_dir=None, start_timeout=0.5)
config.check(lambda candidate: threading.Event().wait())
try:
    config.start()
except Exception as error:
    print(type(error).__name__)
"""
    ended = program(text, fake.url)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "NotReady\n", "")


def test_a_start_that_failed_may_be_repeated(fake: FakeServer) -> None:
    """What was refused the first time is judged anew, and newer things too."""

    def even(candidate: Any) -> None:
        if candidate.get("risk.max") % 2:
            raise ConfigValidationError("odd")

    config = client(fake)
    config.check(even)
    with pytest.raises(ConfigValidationError):
        config.start()
    fake.values, fake.revision = {"risk": {"max": 2}}, 2
    with config:
        assert config.get("risk.max") == 2
        assert fake.said("hello")[-1]["refused"] == []
        assert config.health_check().status == "healthy"


def test_a_check_with_much_to_say_is_heard(fake: FakeServer) -> None:
    """A nack that is too large for a frame would cost the connection and never arrive."""

    def verbose(candidate: Any) -> None:
        if candidate.get("risk.max") == 2:
            issues = [Issue("odd", "very " * 10_000, key="risk.max") for _ in range(200)]
            raise ConfigValidationError("long" * 1_000_000, issues=issues)

    with client(fake) as config:
        config.check(verbose)
        fake.change({"risk": {"max": 2}, "b": [1]}, [("risk.max", "SET", 2)])
        nack = fake.await_said("ack", 2)
        assert nack["outcome"] == "rejected"
        assert len(json.dumps(nack)) < 256 * 1024


@pytest.mark.parametrize("checks", [{"db": object()}, {"db": float("nan")}, {"db": "x" * 100_000}, {1: 2}])
def test_health_that_no_frame_can_carry_is_refused_where_it_is_said(fake: FakeServer, checks: Any) -> None:
    """It would be said after each reconnection, and end the connection each time."""
    with client(fake) as config:
        with pytest.raises(Invalid):
            config.report_health("healthy", checks)
        config.report_health("degraded", {"db": {"up": False}})
        assert fake.await_said("health")["checks"] == {"db": {"up": False}}


def test_ten_thousand_watches_cost_the_server_a_few_bounded_frames(fake: FakeServer) -> None:
    """What is watched informs the server; it may not keep the client from being served."""
    told: list[Any] = []
    with client(fake) as config:
        for number in range(10_000):
            config.watch(f"some.service.with.a.long.name.{number}.*", told.append)
        config.watch("risk.max", told.append)
        subscribed = fake.await_said("subscribe")
        assert len(json.dumps(subscribed)) < 256 * 1024
        assert len(fake.said("subscribe")) < 100
        fake.hang_up()
        assert len(json.dumps(fake.await_said("hello", 2))) < 256 * 1024
        fake.change({"risk": {"max": 2}, "b": [1]}, [("risk.max", "SET", 2)])
        until(lambda: told)
        config.unwatch("risk.max")
    assert [change.new_value for change in told] == [2]


# servers that do not do what they should


def test_a_stream_that_is_accepted_and_silent_is_given_up(fake: FakeServer) -> None:
    """Something in between may take connections for a server that is stuck."""
    fake._answers = lambda frame: []  # type: ignore[method-assign]  # stuck
    with client(fake, request_timeout=0.1, required=False) as config:
        fake.await_said("hello", 2)
        until(lambda: config.availability == "CURRENT")  # by requests


def test_a_server_that_welcomes_and_serves_nothing_is_asked_less_and_less_often(fake: FakeServer) -> None:
    """A welcome is not yet a success: many clients that cannot get on must not keep a server busy."""
    clock = FakeClock()
    fake.told = [frames.Bye(0.0)]
    config = client(fake, clock=clock, random=lambda: 0.5, poll_interval=1e6, required=False)
    with config:
        fake.await_said("hello", 8)
        until(lambda: 15.0 in clock.slept)
    waits = [seconds for seconds in clock.slept if 0 < seconds < 100]
    assert waits[:6] == [2.5, 1.0, 2.0, 4.0, 8.0, 15.0]


def test_a_server_with_an_older_log_changes_nothing_and_is_reported(fake: FakeServer) -> None:
    """It may have been restored from a backup: what was read is kept until the server is newer again."""
    fake.revision, fake.streams = 50, False
    errors: list[Any] = []
    with client(fake, poll_interval=0.02, hot_reload=False) as config:
        config.on("error", errors.append)
        fake.told, fake.revision = [], 40  # nothing but a welcome
        until(lambda: errors)
        assert errors[0].details["code"] == "behind"
        assert (config.revision, config.get("risk.max")) == (50, 1)
        assert [problem.code for problem in config.health_check().problems] == ["behind"]
        with pytest.raises(Unavailable) as caught:
            config.reload()
        assert caught.value.code == "behind"
        fake.told, fake.revision, fake.values = None, 51, {"risk": {"max": 2}}
        until(lambda: config.revision == 51)
        until(lambda: config.health_check().status == "healthy")


# networks


def document(number: int) -> dict[str, Any]:
    """A configuration in which everything has to have the same number."""
    return {"n": number, "copy": {"n": number, "deep": {"n": [number, number]}}}


def edit(key: str, value: Any) -> dict[str, Any]:
    """The edit that sets a key of the base layer."""
    place = {"kind": "value", "environment": "dev", "service": None}
    return {**place, "key": key, "operation": "set", "value": value}


def write(server: InProcessServer, *edits: dict[str, Any]) -> int:
    """Commit one change; its revision."""
    answer = httpx2.post(f"{server.url}/v1/changes", json={"edits": edits}, timeout=WITHIN)
    assert answer.status_code == 200, answer.text
    return int(answer.json()["revision"])


def write_number(server: InProcessServer, number: int) -> int:
    """All numbers move together."""
    values = {"n": number, "copy.n": number, "copy.deep.n": [number, number]}
    return write(server, *(edit(key, value) for key, value in values.items()))


@pytest.fixture
def numbers(server: InProcessServer) -> InProcessServer:
    """A server with an environment in which all numbers are 1."""
    whole = {"id": "dev", "name": "dev", "type": "development", "inherits": [], "services": {"shop": {}}}
    whole["overrides"] = {"configuration": document(1)}
    write(server, {"kind": "environment", "environment": "dev", "operation": "create", "document": whole})
    return server


@pytest.fixture
def proxy(numbers: InProcessServer) -> Iterator[Proxy]:
    """What stands between."""
    with Proxy(numbers.port) as running:
        yield running


class Tangle:
    """A network that loses, repeats, reorders, truncates and falsifies; the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self._chance = Random(seed)
        self._kept: list[bytes] = []

    def __call__(self, text: bytes) -> list[bytes]:
        """What becomes of one text."""
        return self._chance.choice(
            [self._as_it_is] * 3 + [self._lost, self._twice, self._later, self._cut, self._flip]
        )(text)

    def _as_it_is(self, text: bytes) -> list[bytes]:
        return [text]

    def _lost(self, text: bytes) -> list[bytes]:
        return []

    def _twice(self, text: bytes) -> list[bytes]:
        return [text, text]

    def _later(self, text: bytes) -> list[bytes]:
        self._kept.append(text)
        return [text, self._kept.pop(0)] if len(self._kept) > 2 else []

    def _cut(self, text: bytes) -> list[bytes]:
        return [text[: self._chance.randrange(len(text))]]

    def _flip(self, text: bytes) -> list[bytes]:
        # what a text says about content is protected by the digest, what it says about its place by nobody
        begin = max(text.find(b'"values"'), text.find(b'"changes"'), 0)
        flipped = bytearray(text)
        flipped[self._chance.randrange(begin, len(text))] ^= 1 << self._chance.randrange(7)
        return [bytes(flipped)] if begin else [text]


class Witness:
    """Looks at a client all the time, from outside and by a watch, and notes what must not be."""

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        self.wrong: list[str] = []
        self.told: list[int] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look)
        config.watch("n", self._note)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join(WITHIN)

    def _note(self, change: Any) -> None:
        if self.told and self.told[-1] != change.old_value:
            self.wrong.append(f"told of {self.told[-1]}, then of {change.old_value} -> {change.new_value}")
        if change.old_value == change.new_value:
            self.wrong.append(f"told of {change.new_value} again")
        self.told.append(change.new_value)

    def _look(self) -> None:
        newest = 0
        while not self._done.wait(0.001):
            number, copy, deep = self.config.get_batch(["n", "copy.n", "copy.deep.n"]).values()
            if not number == copy == deep[0] == deep[1]:
                self.wrong.append(f"torn: {number}, {copy}, {deep}")
            if number < newest:
                self.wrong.append(f"back from {newest} to {number}")
            newest = number


@pytest.mark.parametrize("seed", range(3))
def test_whatever_a_network_does_to_frames_nothing_wrong_is_read_or_told_and_the_client_catches_up(
    numbers: InProcessServer, proxy: Proxy, seed: int
) -> None:
    """Reads are of one revision and never go back, each difference is told once, the end is the newest."""
    numbers.services.hub.deadlines = Deadlines(progress=0.5, ack=2.0)
    with client(proxy.url, poll_interval=2.0) as config, Witness(config) as witness:
        proxy.mangle = Tangle(seed)
        for number in range(2, 60):
            write_number(numbers, number)
            if number % 20 == 0:
                proxy.cut()
        proxy.mangle = None
        until(lambda: config.get("n") == 59 and config.availability == "CURRENT", 30.0)
        until(lambda: witness.told and witness.told[-1] == 59)
    assert witness.wrong == []


def test_where_no_stream_gets_through_changes_arrive_by_requests_until_one_does(
    numbers: InProcessServer, proxy: Proxy
) -> None:
    """A proxy that refuses upgrades costs freshness and nothing else."""
    proxy.upgrades = False
    with client(proxy.url, poll_interval=0.1) as config:
        assert config.availability == "CURRENT"
        write_number(numbers, 2)
        until(lambda: config.get("n") == 2)
        assert not config.health_check().connected
        proxy.upgrades = True
        until(lambda: config.health_check().connected)
        write_number(numbers, 3)
        until(lambda: config.get("n") == 3)


def test_an_answer_that_drips_is_given_up(numbers: InProcessServer, proxy: Proxy) -> None:
    """Nothing may hold up the one attempt that a client makes at a time for ever."""
    proxy.upgrades, proxy.drip = False, 0.05  # the whole answer takes half a minute
    config = client(proxy.url, request_timeout=0.1, start_timeout=0.3, poll_interval=0.1, required=False)
    with config:
        until(lambda: "cannot be reached" in str(config.health_check().problems))
        proxy.drip = 0.0
        until(lambda: config.availability == "CURRENT")


def test_a_connection_that_falls_silent_is_noticed_within_15_seconds(
    numbers: InProcessServer, proxy: Proxy
) -> None:
    """Both ends think that it is there; reads go on, and it is found again."""
    with client(proxy.url) as config:
        proxy.freeze()
        write_number(numbers, 2)
        until(lambda: config.availability == "CACHED", 15.0)
        assert config.get("n") == 1
        proxy.thaw()
        until(lambda: config.get("n") == 2 and config.availability == "CURRENT")


def test_a_write_whose_answer_is_lost_is_repeated_and_applied_once(
    numbers: InProcessServer, proxy: Proxy
) -> None:
    """The repetition has the name of the first, so that the server knows it."""
    with client(proxy.url) as config:
        before = config.revision
        proxy.lose = 1
        receipt = config.set("own", 1, reason="once")
        assert (receipt.revision, config.get("own")) == (before + 1, 1)
        assert write(numbers, edit("other", 1)) == before + 2

"""The client against a real server: what a program sees."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from coreconfig import (
    AsyncCoreConfig,
    ConfigValidationError,
    Conflict,
    CoreConfig,
    Invalid,
    KeyNotFound,
    NotAuthenticated,
    NotFound,
)
from coreconfig.testing.server import InProcessServer

WITHIN = 10.0
BASE = {"risk": {"max": 5, "names": ["a"], "none": None}, "websocket": {"port": 9000}}


@dataclass(frozen=True)
class Risk:
    max: int
    names: list[str]


@pytest.fixture
def platform(server: InProcessServer) -> InProcessServer:
    """A server with an environment `dev` and its service `shop`."""
    document = {
        "id": "dev",
        "name": "Dev",
        "type": "development",
        "overrides": {"configuration": BASE},
        "services": {"shop": {"configuration": {"own": 1}}, "other": {}},
    }
    created = httpx2.post(f"{server.url}/v1/environments", json=document)
    assert created.status_code == 201, created.text
    return server


def client(server: InProcessServer, **options: Any) -> CoreConfig:
    return CoreConfig("shop", "dev", url=server.url, **{"cache_dir": None, "random": lambda: 0.01, **options})


def until(is_so: Callable[[], Any]) -> None:
    deadline = time.monotonic() + WITHIN
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def test_from_a_write_to_a_live_value_and_its_watch(platform: InProcessServer) -> None:
    """The whole way once, with two services."""
    told: list[Any] = []
    with client(platform) as config, CoreConfig("other", "dev", url=platform.url, cache_dir=None) as other:
        assert config.get_all() == {**BASE, "own": 1}
        assert other.get_all() == BASE
        other.watch("risk.*", told.append)
        receipt = config.set("risk.max", 7, scope="environment", reason="more")
        assert (receipt.state, receipt.revision, config.get("risk.max")) == ("completed", config.revision, 7)
        until(lambda: told)
        assert (told[0].key, told[0].old_value, told[0].new_value) == ("risk.max", 5, 7)
        assert other.get("risk.max") == 7


def test_own_writes_are_read_at_once(platform: InProcessServer) -> None:
    """Every kind of write, many times, without a sleep between."""
    with client(platform) as config:
        for number in range(20):
            config.set("counter", number)
            assert config.get("counter") == number
        config.set_batch({"a.b": 1, "a.c": None, "list": [1, {"x": 2}]})
        assert config.get_batch(["a.b", "a.c", "list"]) == {"a.b": 1, "a.c": None, "list": [1, {"x": 2}]}
        config.merge("risk", {"max": 6, "extra": True})
        assert config.get("risk") == {**BASE["risk"], "max": 6, "extra": True}
        config.unset("risk.names")
        assert "risk.names" not in config
        config.delete("risk")
        assert config.get("risk") == BASE["risk"]
        config.delete("a")
        with pytest.raises(KeyNotFound):
            config.get("a.b")


def test_a_batch_is_one_change_and_one_revision(platform: InProcessServer) -> None:
    """Nobody sees half of it."""
    with client(platform) as config:
        before = config.revision
        receipt = config.set_batch({f"k{number}": number for number in range(50)})
        assert receipt.revision == before + 1


def test_a_stale_expected_revision_is_a_conflict(platform: InProcessServer) -> None:
    """Somebody else was faster."""
    with client(platform) as config:
        seen = config.revision
        config.set("risk.max", 6)
        with pytest.raises(Conflict) as caught:
            config.set("risk.max", 7, expected_revision=seen)
        assert caught.value.code == "conflict"
        assert config.get("risk.max") == 6
        assert config.set("other.key", 1, expected_revision=seen).state == "completed"


def test_an_explanation_names_the_layers(platform: InProcessServer) -> None:
    """The own layer covers the base layer."""
    with client(platform) as config:
        config.set("risk.max", 9, reason="own")
        told = config.explain("risk.max")
        assert (told.value, told.layer, told.author) == (9, "dev/shop", "local")
        assert [layer["value"] for layer in told.overridden] == [5]
        with pytest.raises(KeyNotFound):
            config.explain("nothing.here")


def test_typed_reads_and_bindings_follow_the_server(platform: InProcessServer) -> None:
    """What does not convert is refused, and the server is told."""
    with client(platform) as config:
        risk = config.bind("risk", Risk)
        assert risk.value == config.get_typed("risk", Risk) == Risk(5, ["a"])
        config.set("risk.max", 6)
        assert risk.value.max == 6
        config.set("risk.max", "much")
        assert risk.value.max == 6
        assert config.get("risk.max") == 6
        begun = time.monotonic()
        with pytest.raises(ConfigValidationError):
            config.reload()
        assert time.monotonic() - begun < 3

        def instance() -> dict[str, Any]:
            fleet = httpx2.get(f"{platform.url}/v1/fleet").json()["instances"]
            return next(one for one in fleet if one["instance"] == config.get_diagnostics().instance)

        until(lambda: instance()["state"] == "rejected")
        config.set("risk.max", 8)
        assert risk.value.max == 8
        until(lambda: instance()["state"] == "current")


@pytest.mark.parametrize(
    ("service", "environment", "code"),
    [("shop", "nowhere", "unknown_environment"), ("nobody", "dev", "unknown_service")],
)
def test_what_the_server_does_not_know_is_said_at_once(
    platform: InProcessServer, service: str, environment: str, code: str
) -> None:
    """Not after ten seconds of waiting."""
    begun = time.monotonic()
    with pytest.raises(NotFound):
        CoreConfig(service, environment, url=platform.url, cache_dir=None).start()
    assert time.monotonic() - begun < 5


def test_a_wrong_token_is_said_at_once(platform: InProcessServer) -> None:
    """And it does not stand in the message."""
    assert httpx2.post(f"{platform.url}/v1/tokens", json={"name": "first", "roles": ["admin"]}).is_success
    for token in ("cc_wrong", None):
        with pytest.raises(NotAuthenticated) as caught:
            client(platform, token=token).start()
        assert "cc_wrong" not in str(caught.value)


def test_a_restarted_server_is_found_again_and_nothing_is_missed(platform: InProcessServer) -> None:
    """Reads go on meanwhile."""
    told: list[Any] = []
    with client(platform) as config:
        config.watch("risk.max", told.append)
        platform.stop()
        until(lambda: config.availability == "CACHED")
        assert config.get("risk.max") == 5
        platform.start()
        httpx2.put(
            f"{platform.url}/v1/environments/dev/configuration/risk.max", json={"value": 11}
        ).raise_for_status()
        until(lambda: config.get("risk.max") == 11)
        until(lambda: told)
        assert (config.availability, config.get_diagnostics().reconnects) == ("CURRENT", 1)


def test_a_service_starts_without_its_server_and_catches_up(
    platform: InProcessServer, tmp_path: Path
) -> None:
    """On the last known good."""
    with client(platform, cache_dir=tmp_path) as config:
        config.set("risk.max", 6)
    platform.stop()
    with client(platform, cache_dir=tmp_path) as config:
        assert (config.availability, config.get("risk.max")) == ("CACHED", 6)
        platform.start()
        until(lambda: config.availability == "CURRENT")


def test_polling_alone_gives_the_same(platform: InProcessServer) -> None:
    """Own writes included; the fleet sees an instance that polls."""
    with client(platform, hot_reload=False, poll_interval=0.05) as config:
        config.set("risk.max", 6)
        assert config.get("risk.max") == 6
        httpx2.put(
            f"{platform.url}/v1/environments/dev/configuration/websocket.port", json={"value": 1}
        ).raise_for_status()
        until(lambda: config.get("websocket.port") == 1)
        (instance,) = httpx2.get(f"{platform.url}/v1/fleet").json()["instances"]
        assert instance["link"] == "poll"


def test_a_large_view_arrives_by_request_and_goes_on_by_deltas(platform: InProcessServer) -> None:
    """Beyond 256 KiB a snapshot is fetched."""
    large = {f"k{number}": "x" * 1000 for number in range(600)}
    with client(platform) as writer:
        writer.set("large", large)
        with client(platform) as config:
            assert config.get("large.k599") == "x" * 1000
            assert config.get("large") == large
            writer.set("large.k5", "short")
            until(lambda: config.get("large.k5") == "short")
            assert config.get_diagnostics().last_error is None


def test_reload_brings_what_was_written_elsewhere(platform: InProcessServer) -> None:
    """By the time it returns."""
    with client(platform) as config:
        for number in range(10):
            url = f"{platform.url}/v1/environments/dev/configuration/risk.max"
            httpx2.put(url, json={"value": number}).raise_for_status()
            config.reload()
            assert config.get("risk.max") == number


async def test_the_asynchronous_client_does_the_same_with_await(platform: InProcessServer) -> None:
    """Callbacks run on the loop and may be coroutine functions."""
    loop = asyncio.get_running_loop()
    told: list[Any] = []
    called = asyncio.Event()

    async def on_risk(change: Any) -> None:
        assert asyncio.get_running_loop() is loop
        await asyncio.sleep(0)
        told.append(change)
        called.set()

    async with AsyncCoreConfig("shop", "dev", url=platform.url, cache_dir=None) as config:
        config.watch("risk.max", on_risk)
        stream = config.changes("risk.*")
        assert config.get("risk.max") == 5
        receipt = await config.set("risk.max", 6)
        assert (receipt.revision, config.get("risk.max")) == (config.revision, 6)
        change = await asyncio.wait_for(anext(stream), WITHIN)
        assert (change.key, change.new_value) == ("risk.max", 6)
        await config.set_batch({"x": 1, "y": 2})
        await config.merge("x2", {"a": 1})
        await config.unset("websocket")
        await config.delete("websocket")
        assert config.get("websocket.port") == 9000
        assert (await config.explain("x")).value == 1
        await config.reload()
        assert config.health_check().status == "healthy"
        with config.pinned() as snapshot:
            assert snapshot["y"] == 2
        await asyncio.wait_for(called.wait(), WITHIN)
        with pytest.raises(Invalid):
            await config.set("a..b", 1)
    assert [change async for change in stream] == []
    assert told[0].new_value == 6


async def test_many_waiting_calls_share_one_link(platform: InProcessServer) -> None:
    """Each gets its own answer."""
    async with AsyncCoreConfig("shop", "dev", url=platform.url, cache_dir=None) as config:
        receipts = await asyncio.gather(*(config.set(f"n{number}", number) for number in range(20)))
        assert len({receipt.revision for receipt in receipts}) == 20
        assert all(config.get(f"n{number}") == number for number in range(20))


async def test_cancelling_a_call_leaves_the_client_usable(platform: InProcessServer) -> None:
    """A time-out of the program is not the end of its configuration."""
    async with AsyncCoreConfig("shop", "dev", url=platform.url, cache_dir=None) as config:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await config.reload()
        await config.reload()
        assert config.get("risk.max") == 5


def test_through_restarts_each_client_hears_an_unbroken_chain_and_ends_where_the_server_is(
    platform: InProcessServer, tmp_path: Path
) -> None:
    """What a change calls old is what the change before called new, whatever was skipped or repeated."""
    chains: list[list[Any]] = [[] for _ in range(4)]
    clients = [
        client(platform, cache_dir=tmp_path / str(number), poll_interval=0.3, random=lambda: 0.05)
        for number in range(4)
    ]
    for config, chain in zip(clients, chains, strict=True):
        config.start()
        config.watch("counter", chain.append)
    url = f"{platform.url}/v1/environments/dev/configuration/counter"
    try:
        for number in range(60):
            httpx2.put(url, json={"value": number}).raise_for_status()
            if number % 20 == 10:
                platform.restart()
        until(lambda: all(chain and chain[-1].new_value == 59 for chain in chains))
        for config, chain in zip(clients, chains, strict=True):
            assert config.get("counter") == 59
            assert chain[0].old_value is None
            assert [c.old_value for c in chain[1:]] == [c.new_value for c in chain[:-1]]
            assert [c.revision for c in chain] == sorted({c.revision for c in chain})
            assert config.get_diagnostics().callback_failures == 0
    finally:
        for config in clients:
            config.close()

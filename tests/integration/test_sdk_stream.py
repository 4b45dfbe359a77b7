"""The client against a server that does what it is told, over real sockets."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.fakes.fake_server import FakeServer, at_of

from coreconfig import (
    ConfigValidationError,
    CoreConfig,
    Denied,
    Invalid,
    KeyNotFound,
    NotAuthenticated,
    NotFound,
    NotReady,
    Unavailable,
)
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


def refusal(status: int, code: str, **headers: str) -> tuple[int, Any, dict[str, str]]:
    return status, {"error": {"code": code, "message": f"told: {code}"}}, headers


def test_a_start_brings_the_snapshot_and_acknowledges_it(fake: FakeServer) -> None:
    """start() returns when reads return what the server has."""
    with client(fake) as config:
        assert config.get("risk.max") == 1
        assert (config.availability, config.revision, config.age) == ("CURRENT", 1, 0.0)
        ack = fake.await_said("ack")
        assert (ack["outcome"], ack["nonce"], ack["at"]["digest"]) == ("applied", "n1", fake.at.digest)


def test_a_pushed_delta_is_read_told_and_acknowledged(fake: FakeServer) -> None:
    """In this order: the ack means that reads return it."""
    told: list[Any] = []
    with client(fake) as config:
        config.watch("risk.*", told.append)
        fake.change({"risk": {"max": 2}, "b": [1]}, [("risk.max", "SET", 2)])
        fake.await_said("ack", 2)
        assert config.get("risk.max") == 2
        until(lambda: told)
    assert [(change.key, change.old_value, change.new_value) for change in told] == [("risk.max", 1, 2)]


def test_a_gap_between_deltas_is_answered_by_a_new_hello_and_closed(fake: FakeServer) -> None:
    """The client never guesses what it missed."""
    with client(fake) as config:
        fake.revision = 2
        skipped = fake.at
        fake.values, fake.revision = {"risk": {"max": 3}}, 3
        fake.push(fake.delta(at_of({"other": 1}, skipped.revision), [("risk.max", "SET", 3)]))
        until(lambda: config.revision == 3)
        assert len(fake.said("hello")) == 2
        assert config.get_all() == {"risk": {"max": 3}}
        assert "does not continue" in str(config.get_diagnostics().last_error)


def test_a_delta_that_does_not_come_out_at_its_digest_is_replaced_by_the_whole(fake: FakeServer) -> None:
    """Found before it is read."""
    seen: list[Any] = []
    with client(fake) as config:
        config.watch("**", lambda change: seen.append(change.new_value))
        fake.change({"risk": {"max": 2}, "b": [1]}, [("risk.max", "SET", 99)])
        until(lambda: config.get("risk.max") == 2)
        assert fake.said("hello")[1].get("have") is None
    assert 99 not in seen


@pytest.mark.parametrize(
    "garbage", ["", "not json", "[]", '{"type": "snapshot"}', '{"type": "revision", "at": 3}']
)
def test_garbage_is_reported_and_survived(fake: FakeServer, garbage: str) -> None:
    """The stream goes on after a resync."""
    errors: list[Any] = []
    with client(fake) as config:
        config.on("error", errors.append)
        fake.push(garbage)
        fake.await_said("hello", 2)
        fake.change({"x": 1}, [("risk", "DELETE", None), ("b", "DELETE", None), ("x", "SET", 1)])
        until(lambda: config.get("x", None) == 1)
        until(lambda: errors)
        assert config.get_diagnostics().reconnects == 0


def test_unknown_frames_are_events_and_known_ones_may_have_unknown_members(fake: FakeServer) -> None:
    """A newer server speaks to an older client."""
    unknown: list[Any] = []
    with client(fake) as config:
        config.on("unknown_message", unknown.append)
        fake.push('{"type": "tea_time", "cups": 2}')
        until(lambda: unknown)
        assert unknown[0].details == {"type": "tea_time", "cups": 2}
        fake.values, fake.revision = {"y": 1}, 2
        push = {**msgspec.to_builtins(fake.snapshot()), "type": "snapshot", "tea": [1], "secrets": {}}
        fake.push(json.dumps(push))
        until(lambda: config.get("y", None) == 1)
        assert len(fake.said("hello")) == 1


def test_a_lower_revision_is_never_taken(fake: FakeServer) -> None:
    """Not by a push and not by a bookmark; the ack says what is held."""
    fake.revision = 5
    with client(fake) as config:
        fake.await_said("ack")
        fake.push(fake.snapshot(at=at_of({"old": 1}, 4), values={"old": 1}, nonce="old"))
        ack = fake.await_said("ack", 2)
        assert (ack["nonce"], ack["at"]["revision"]) == ("old", 5)
        assert config.get("risk.max") == 1


def test_an_equal_revision_with_another_digest_is_taken(fake: FakeServer) -> None:
    """What the server says last about a revision counts."""
    with client(fake) as config:
        fake.push(fake.snapshot(at=at_of({"z": 1}, 1), values={"z": 1}))
        until(lambda: config.get("z", None) == 1)


def test_a_new_epoch_comes_as_a_whole_even_with_a_lower_revision(fake: FakeServer) -> None:
    """(epoch, revision) is the order."""
    fake.revision = 50
    with client(fake) as config:
        fake.epoch, fake.revision, fake.values = 2, 3, {"new": 1}
        fake.push(fake.snapshot())
        until(lambda: config.revision == 3)
        assert config.get_all() == {"new": 1}
        assert config.get_diagnostics().epoch == 2


def test_a_check_that_raises_nacks_with_its_issues_and_the_old_snapshot_stays(fake: FakeServer) -> None:
    """A bad update is refused by whoever knows that it is bad."""

    def small(candidate: Any) -> None:
        if candidate.get("risk.max", 0) > 10:
            raise ConfigValidationError("too much risk")

    with client(fake) as config:
        config.check(small)
        fake.change({"risk": {"max": 99}, "b": [1]}, [("risk.max", "SET", 99)])
        nack = fake.await_said("ack", 2)
        assert (nack["outcome"], nack["at"]["revision"]) == ("rejected", 1)
        assert nack["issues"][0]["message"] == "too much risk"
        assert config.get("risk.max") == 1
        health = config.health_check()
        assert (health.status, health.availability) == ("degraded", "CURRENT")
        assert config.get_diagnostics().rejected == 1
        fake.hang_up()
        assert fake.await_said("hello", 2)["refused"] == [fake.at.digest]


def test_a_binding_is_the_last_valid_instance_and_nacks_what_is_not(fake: FakeServer) -> None:
    """Typed from the first snapshot on."""
    config = client(fake)
    risk = config.bind("risk", dict[str, int])
    with pytest.raises(NotReady):
        _ = risk.value
    with config:
        assert risk.value == {"max": 1}
        fake.change({"risk": {"max": "much"}, "b": [1]}, [("risk.max", "SET", "much")])
        nack = fake.await_said("ack", 2)
        assert (nack["outcome"], nack["issues"][0]["key"]) == ("rejected", "risk.max")
        assert risk.value == {"max": 1}


def test_a_slow_check_gives_signs_of_life_and_reads_go_on(fake: FakeServer) -> None:
    """The server must not take a thinking client for a dead one."""
    release, entered = threading.Event(), threading.Event()

    def slow(candidate: Any) -> None:
        if candidate.revision > 1:
            entered.set()
            release.wait(WITHIN)

    with client(fake) as config:
        config.check(slow)
        fake.change({"risk": {"max": 2}, "b": [1]}, [("risk.max", "SET", 2)])
        assert entered.wait(WITHIN)
        fake.await_said("ping")
        assert config.get("risk.max") == 1
        release.set()
        until(lambda: config.get("risk.max") == 2)


def test_the_only_snapshot_refused_by_a_check_ends_the_start_with_every_issue(fake: FakeServer) -> None:
    """There is nothing to run on."""
    config = client(fake)
    config.bind("risk.max", str)
    config.bind("gone", int)
    with pytest.raises(ConfigValidationError) as caught:
        config.start()
    assert {issue.key for issue in caught.value.issues} == {"risk.max", "gone"}


def test_a_large_view_is_fetched_and_acknowledged_over_the_stream(fake: FakeServer) -> None:
    """With the nonce of the snapshot that was fetched."""
    fake.told = [frames.Fetch(fake.at)]
    config = client(fake, start_timeout=20)
    starting = threading.Thread(target=config.start)
    starting.start()
    fake.until(lambda: bool(fake.synced))
    fake.told = None
    fake.push(frames.Fetch(fake.at))
    starting.join(WITHIN)
    assert config.get("risk.max") == 1
    assert fake.await_said("ack")["nonce"] == "n1"
    config.close()


def test_after_a_loss_it_connects_again_says_what_it_holds_and_sees_what_it_missed(fake: FakeServer) -> None:
    """CACHED meanwhile, and reads go on."""
    events: list[str] = []
    told: list[Any] = []
    with client(fake) as config:
        for name in ("connected", "disconnected"):
            config.on(name, lambda event: events.append(event.name))
        config.watch("risk.max", told.append)
        config.report_health("degraded", {"db": "slow"})
        fake.stop()
        until(lambda: config.availability == "CACHED")
        assert config.get("risk.max") == 1
        assert not config.health_check().connected
        assert config.get_diagnostics().fallbacks >= 1
        fake.values, fake.revision = {"risk": {"max": 7}}, 9
        fake.start()
        until(lambda: config.get("risk.max") == 7)
        until(lambda: events == ["disconnected", "connected"])
        assert fake.said("hello")[-1]["have"]["revision"] == 1
        assert fake.await_said("health", 2)["checks"] == {"db": "slow"}
        assert config.get_diagnostics().reconnects == 1
    assert [(change.old_value, change.new_value) for change in told] == [(1, 7)]


def test_a_server_that_is_away_when_a_service_starts_is_found_later(fake: FakeServer) -> None:
    """For ever, one attempt at a time."""
    fake.stop()
    config = client(fake, required=False, defaults={"risk": {"max": 0}})
    with config:
        assert (config.availability, config.get("risk.max")) == ("DEFAULTS", 0)
        assert config.health_check().problems[0].code == "unreachable"
        fake.start()
        until(lambda: config.get("risk.max") == 1)


def test_retry_after_is_honoured(fake: FakeServer) -> None:
    """A server that is full is left alone for as long as it asks."""
    fake.refusal = refusal(503, "too_many_arrivals", **{"Retry-After": "1"})
    config = client(fake, start_timeout=0.6)
    with pytest.raises(NotReady, match="too_many_arrivals"):
        config.start()
    assert len(fake.requests) <= 1


def test_a_goodbye_with_a_time_is_honoured(fake: FakeServer) -> None:
    """Neither stream nor poll before."""
    with client(fake) as config:
        fake.push(frames.Bye(30.0))
        until(lambda: not config.health_check().connected)
        time.sleep(0.1)
        assert len(fake.said("hello")) == 1


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (401, "not_authenticated", NotAuthenticated),
        (403, "denied", Denied),
        (404, "unknown_service", NotFound),
    ],
)
def test_a_definite_refusal_ends_a_start_at_once(
    fake: FakeServer, status: int, code: str, error: type
) -> None:
    """The error is the server's, and no thread is left behind."""
    fake.refusal = refusal(status, code)
    before = threading.active_count()
    begun = time.monotonic()
    with pytest.raises(error) as caught:
        client(fake).start()
    assert caught.value.code == code
    assert time.monotonic() - begun < 5
    until(lambda: threading.active_count() <= before)


def test_a_refusal_by_an_error_frame_ends_a_start_too(fake: FakeServer) -> None:
    """As the server refuses an unknown environment."""
    fake.told = []
    config = client(fake)
    starting: list[BaseException] = []

    def start() -> None:
        try:
            config.start()
        except NotFound as error:
            starting.append(error)

    refuse = json.dumps({"type": "error", "code": "unknown_environment", "message": "no dev here"})
    fake._welcome = lambda: json.loads(refuse) or None  # type: ignore[method-assign]  # a server that knows nobody
    thread = threading.Thread(target=start)
    thread.start()
    thread.join(WITHIN)
    assert [error.code for error in starting] == ["unknown_environment"]


def test_with_a_last_known_good_a_refusal_is_reported_and_the_service_starts(
    fake: FakeServer, tmp_path: Path
) -> None:
    """A revoked token does not take a running system down."""
    with client(fake, cache_dir=tmp_path):
        pass
    fake.refusal = refusal(401, "token_revoked")
    with client(fake, cache_dir=tmp_path, token="cc_hush") as config:
        assert (config.availability, config.get("risk.max")) == ("CACHED", 1)
        health = config.health_check()
        assert health.problems[0].code == "token_revoked"
        assert "cc_hush" not in repr(config) + str(health) + str(config.get_diagnostics())


def test_a_service_starts_without_its_server_on_the_last_known_good(fake: FakeServer, tmp_path: Path) -> None:
    """At the first failure to connect; the newer snapshot then fires watches."""
    with client(fake, cache_dir=tmp_path):
        pass
    fake.stop()
    told: list[Any] = []
    begun = time.monotonic()
    with client(fake, cache_dir=tmp_path) as config:
        assert time.monotonic() - begun < 1
        assert (config.availability, config.revision, config.get("risk.max")) == ("CACHED", 1, 1)
        assert 0 <= config.age < 60
        assert config.get_diagnostics().source == "file"
        config.watch("**", told.append)
        fake.values, fake.revision = {"risk": {"max": 2}, "b": [1]}, 2
        fake.start()
        until(lambda: len(told) == 2)
        hellos = [one["hello"] for one in fake.synced] + fake.said("hello")[1:]
        assert hellos[0]["have"]["revision"] == 1
        assert set(config.get_diagnostics().hits) == {"file"}
        assert config.get("risk.max") == 2
        assert config.get_diagnostics().hits["service"] == 1


def test_a_frozen_server_holds_a_start_up_for_a_second_only(fake: FakeServer, tmp_path: Path) -> None:
    """It accepts and says nothing."""
    with client(fake, cache_dir=tmp_path):
        pass
    fake._answers = lambda frame: []  # type: ignore[method-assign]  # a server that is stuck
    begun = time.monotonic()
    with client(fake, cache_dir=tmp_path) as config:
        assert 0.9 < time.monotonic() - begun < 3
        assert config.availability == "CACHED"


def test_a_damaged_cache_is_passed_over_and_reported(fake: FakeServer, tmp_path: Path) -> None:
    """It costs nothing but its content, and is replaced by a good one."""
    with client(fake, cache_dir=tmp_path):
        pass
    (file,) = tmp_path.glob("*/current")
    file.write_bytes(file.read_bytes()[:-5])
    fake.streams = False
    with client(fake, cache_dir=tmp_path) as config:
        assert config.get("risk.max") == 1
    assert len(file.read_bytes()) > 5


def test_a_cache_that_a_check_refuses_is_not_run_and_the_server_may_have_a_better_one(
    fake: FakeServer, tmp_path: Path
) -> None:
    """Only when there is nothing else the start fails, and says why."""
    with client(fake, cache_dir=tmp_path):
        pass

    def needs_two(candidate: Any) -> None:
        if candidate["risk.max"] < 2:
            raise ValueError("too little")

    fake.values, fake.revision = {"risk": {"max": 2}}, 2
    config = client(fake, cache_dir=tmp_path)
    config.check(needs_two)
    fake.stop()
    with pytest.raises(ConfigValidationError, match="too little"):
        config.start()
    fake.start()
    with config:
        assert config.get("risk.max") == 2


def test_another_installation_at_the_same_address_replaces_the_cache_whatever_its_revision(
    fake: FakeServer, tmp_path: Path
) -> None:
    """A server that was set up anew begins at revision 1 again."""
    fake.revision = 300
    with client(fake, cache_dir=tmp_path):
        pass
    fake.installation, fake.revision, fake.values = "two", 2, {"fresh": True}
    with client(fake, cache_dir=tmp_path) as config:
        until(lambda: config.revision == 2)
        assert config.get_all() == {"fresh": True}


def test_without_streams_requests_do_the_same(fake: FakeServer) -> None:
    """A proxy that lets no WebSocket through costs freshness, not correctness; acks are sent at once."""
    fake.streams = False
    with client(fake) as config:
        assert config.get("risk.max") == 1
        assert config.availability == "CURRENT"
        fake.until(lambda: any(one["acks"] for one in fake.synced))
        (ack,) = [ack for one in fake.synced for ack in one["acks"]]
        assert (ack["nonce"], ack["outcome"]) == ("n1", "applied")
        fake.values, fake.revision = {"risk": {"max": 2}}, 2
        config.reload()
        assert config.get("risk.max") == 2


def test_with_hot_reload_off_the_server_is_polled_and_no_stream_is_opened(fake: FakeServer) -> None:
    """Every poll_interval ± half."""
    with client(fake, hot_reload=False, poll_interval=0.02, random=lambda: 0.5) as config:
        assert config.health_check().status == "healthy"
        fake.values, fake.revision = {"risk": {"max": 2}}, 2
        until(lambda: config.get("risk.max") == 2)
        assert fake.connections == 0
        assert fake.said("hello") == []
        fake.stop()
        until(lambda: config.availability == "CACHED")


def test_reload_waits_for_what_the_server_has_now(fake: FakeServer) -> None:
    """Also when nothing is pushed by itself."""
    with client(fake) as config:
        fake.await_said("ack")
        fake.values, fake.revision = {"risk": {"max": 5}}, 5
        config.reload()
        assert config.revision == 5
        fake.stop()
        until(lambda: not config.health_check().connected)
        with pytest.raises(Unavailable):
            config.reload()


def test_reload_says_when_the_newest_is_refused_here(fake: FakeServer) -> None:
    """What is read is then not the newest."""
    with client(fake) as config:
        config.bind("risk.max", int)
        fake.values, fake.revision = {"risk": {"max": "x"}}, 5
        with pytest.raises(ConfigValidationError):
            config.reload()
        assert config.get("risk.max") == 1


def test_a_write_is_read_here_when_it_returns(fake: FakeServer) -> None:
    """The client asks for the revision of its own write."""
    with client(fake) as config:
        fake.values, fake.revision = {"risk": {"max": 8}}, 4
        fake.answers["/v1/changes"] = (200, {"id": "c", "state": "completed", "revision": 4, "issues": []})
        receipt = config.set("risk.max", 8, reason="more")
        assert (receipt.revision, config.get("risk.max")) == (4, 8)


def test_what_a_write_is_refused_with_is_raised_and_an_unreachable_server_is_unavailable(
    fake: FakeServer,
) -> None:
    """Reads go on either way."""
    with client(fake) as config:
        fake.answers["/v1/changes"] = refusal(403, "denied")[:2]
        with pytest.raises(Denied):
            config.delete("risk.max")
        with pytest.raises(Invalid):
            config.set("a..b", 1)
        fake.stop()
        until(lambda: not config.health_check().connected)
        with pytest.raises(Unavailable) as caught:
            config.set("risk.max", 2)
        assert caught.value.code == "unreachable"
        assert config.explain("risk.max").layers is None
        assert config.get("risk.max") == 1


def test_watched_patterns_are_told_to_the_server(fake: FakeServer) -> None:
    """In the hello, and whenever they change."""
    config = client(fake)
    config.watch("a.*", print)
    with config:
        assert fake.await_said("hello")["patterns"] == ["a.*"]
        config.watch(["b"], print)
        assert fake.await_said("subscribe")["patterns"] == ["a.*", "b"]


def test_the_token_is_sent_and_shown_nowhere(fake: FakeServer, caplog: pytest.LogCaptureFixture) -> None:
    """Not even at the lowest level of logging."""
    caplog.set_level("DEBUG")
    fake.answers["/v1/changes"] = (200, {"id": "c", "state": "completed", "revision": 1, "issues": []})
    with client(fake, token="cc_hush") as config:
        config.set("a", 1)
        assert fake.requests[-1][2]["authorization"] == "Bearer cc_hush"
        assert "cc_hush" not in repr(config) + str(config.get_diagnostics())
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("uvicorn")]
    assert ours
    assert "cc_hush" not in "".join(ours)


def test_a_closed_client_still_reads_and_does_nothing_else(fake: FakeServer) -> None:
    """Reads never fail for the network; close may be called twice."""
    before = threading.active_count()
    config = client(fake).start()
    config.close()
    config.close()
    assert config.get("risk.max") == 1
    with pytest.raises(KeyNotFound):
        config.get("x")
    for call in (config.reload, lambda: config.set("a", 1), config.start):
        with pytest.raises(Invalid) as caught:
            call()
        assert caught.value.code == "closed"
    until(lambda: threading.active_count() <= before)
    fake.until(lambda: fake.connections == 0)


def test_closing_ends_a_call_that_waits(fake: FakeServer) -> None:
    """Nobody hangs on a client that is gone."""
    config = client(fake).start()
    fake._answers = lambda frame: []  # type: ignore[method-assign]  # a server that is stuck
    errors: list[BaseException] = []

    def reload() -> None:
        try:
            config.reload()
        except Unavailable as error:
            errors.append(error)

    thread = threading.Thread(target=reload)
    thread.start()
    fake.await_said("sync")
    config.close()
    thread.join(WITHIN)
    assert [error.code for error in errors] == ["closed"]  # type: ignore[attr-defined]  # Unavailable has one


def test_a_pinned_snapshot_stays_while_the_client_moves_on(fake: FakeServer) -> None:
    """One revision for one request."""
    with client(fake) as config, config.pinned() as snapshot:
        fake.change({"risk": {"max": 2}, "b": [1]}, [("risk.max", "SET", 2)])
        until(lambda: config.get("risk.max") == 2)
        assert (snapshot.get("risk.max"), snapshot.revision) == (1, 1)
        assert snapshot.get_section("risk") == {"max": 1}


def test_the_health_of_services_is_an_event(fake: FakeServer) -> None:
    """With all that the server said."""
    told: list[Any] = []
    with client(fake) as config:
        config.on("service_health_changed", told.append)
        fake.push(frames.ServiceHealthChanged("pay", "healthy", "degraded", 2, 3, 1, "now"))
        until(lambda: told)
    assert (told[0].details["service"], told[0].details["total"]) == ("pay", 3)


def test_callbacks_run_outside_of_any_lock(fake: FakeServer) -> None:
    """A callback may use the client in every way, also from threads of its own."""
    done = threading.Event()
    with client(fake) as config:

        def use_everything(change: Any) -> None:
            def elsewhere() -> None:
                config.watch("x", print)
                config.get_all()
                config.health_check()
                config.unwatch("x")

            thread = threading.Thread(target=elsewhere)
            thread.start()
            thread.join(WITHIN)
            if not thread.is_alive():
                config.reload()
                done.set()

        config.watch("risk", use_everything)
        fake.change({"risk": {"max": 2}, "b": [1]}, [("risk.max", "SET", 2)])
        assert done.wait(WITHIN)

"""The stream against a real server: what connects, what is pushed, what an answer means, how it ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select
from tests.integration.streaming import Server, create, put
from websockets.exceptions import InvalidStatus

from coreconfig.server.audit.tables import audit
from coreconfig.server.delivery.connection import Deadlines
from coreconfig.server.settings import Settings
from coreconfig.testing.server import InProcessServer


@pytest.fixture
async def demo(server: InProcessServer) -> AsyncIterator[Server]:
    """Two environments: global, and demo that inherits from it, with two services."""
    running = Server(server.url)
    async with running.http:
        await running.edit(
            create("global", {"log": {"level": "info"}}),
            create("demo", None, {"engine": {"risk": {"max": 1}}, "bridge": {}}, ["global"]),
        )
        yield running


async def until(condition: Any, within: float = 5.0) -> Any:
    """Ask again and again until the answer is true."""
    async with asyncio.timeout(within):
        while not (found := await condition()):  # noqa: ASYNC110  # the server has no event for a test
            await asyncio.sleep(0.01)
        return found


async def test_a_first_hello_is_answered_with_the_whole_view(demo: Server) -> None:
    """welcome says where the server stands, snapshot what the service resolves to there."""
    async with demo.stream() as stream:
        push = await stream.take("snapshot")
        assert push["values"] == {"log": {"level": "info"}, "risk": {"max": 1}}
        assert push["at"]["revision"] == stream.welcome["revision"] == 1
        assert stream.welcome["installation"]


async def test_a_change_reaches_whom_it_concerns_as_a_difference(demo: Server) -> None:
    """The service gets what moved for it, from exactly what it holds, and its neighbour gets nothing."""
    async with demo.stream() as engine, demo.stream("two", "demo/bridge") as bridge:
        await engine.take("snapshot")
        await bridge.take("snapshot")
        await demo.put("demo/engine", "risk.max", 2)
        push = await engine.take("configuration_changed")
        assert push["changes"] == [{"key": "risk.max", "operation": "SET", "value": 2}]
        await demo.put("global", "log.level", "debug")
        for stream in (engine, bridge):
            await stream.take("configuration_changed")
            assert stream.values["log"] == {"level": "debug"}
        assert engine.values["risk"] == {"max": 2}


async def test_one_push_is_in_flight_and_the_newest_state_wins(demo: Server) -> None:
    """While a push is unanswered nothing else is sent; its ack brings the sum of what came meanwhile."""
    async with demo.stream() as stream:
        first = await stream.expect("snapshot")
        for value in range(2, 12):
            await demo.put("demo/engine", "risk.max", value)
        await stream.silence(0.2)
        stream.apply(first)
        await stream.ack(first)
        push = await stream.take("configuration_changed")
        assert push["changes"] == [{"key": "risk.max", "operation": "SET", "value": 11}]
        await stream.silence(0.2)


async def test_an_ack_with_another_nonce_opens_nothing(demo: Server) -> None:
    """Only the answer to the push in flight counts."""
    async with demo.stream() as stream:
        first = await stream.expect("snapshot")
        await demo.put("demo/engine", "risk.max", 2)
        await stream.ack({**first, "nonce": "1-1-0000000000000000"})
        await stream.silence(0.2)
        stream.apply(first)
        await stream.ack(first)
        await stream.take("configuration_changed")


async def test_a_client_that_comes_back_continues_from_what_it_holds(demo: Server) -> None:
    """Nothing moved: a bookmark. Something moved: the difference. Unknown content: everything."""
    async with demo.stream() as stream:
        await stream.take("snapshot")
        held, values = stream.at, stream.values
    await demo.put("demo/bridge", "unrelated", True)
    async with demo.stream(have=held) as stream:
        bookmark = await stream.expect("revision")
        assert bookmark["at"] == {**held, "revision": 2}
    await demo.put("demo/engine", "risk.max", 2)
    async with demo.stream(have=held) as stream:
        stream.at, stream.values = held, values
        await stream.take("configuration_changed")
        assert stream.values["risk"] == {"max": 2}
    async with demo.stream(have={**held, "digest": "0" * 32}) as stream:
        await stream.take("snapshot")


async def test_a_client_that_is_ahead_keeps_what_it_holds(demo: Server) -> None:
    """A server that does not know a revision never takes a client back behind it, and says so."""
    async with demo.stream(have={"epoch": 1, "revision": 999, "digest": "f" * 32}) as stream:
        assert (await stream.expect("error"))["code"] == "behind"
        await stream.silence(0.2)


async def test_a_nack_is_shown_and_the_refused_state_is_not_offered_again(demo: Server) -> None:
    """The instance stays where it is, the fleet tells why, and the next change starts from there."""
    async with demo.stream() as stream:
        await stream.take("snapshot")
        await demo.put("demo/engine", "risk.max", -1)
        refused = await stream.expect("configuration_changed")
        issue = {"code": "too_small", "severity": "HIGH", "key": "risk.max", "message": "must be at least 0"}
        await stream.send(
            "ack", nonce=refused["nonce"], at=stream.at, outcome="rejected", reason="no", issues=[issue]
        )

        async def rejected() -> Any:
            one = (await demo.fleet())["one"]
            return one if one["state"] == "rejected" else None

        shown = await until(rejected)
        assert shown["revision"] == 1
        assert shown["last_nack"]["reason"] == "no"
        assert shown["last_nack"]["issues"] == [issue]
        assert shown["last_nack"]["digest"] == refused["at"]["digest"]
        await stream.silence(0.2)
        await demo.put("demo/engine", "risk.max", 5)
        await stream.take("configuration_changed")
        assert stream.values["risk"] == {"max": 5}
    assert (await demo.sync("two", hello={"refused": [stream.at["digest"]]}))[1:] == []


async def test_sync_is_answered_at_once(demo: Server) -> None:
    """Who has written asks for that revision and is told when it has what belongs to it."""
    async with demo.stream() as stream:
        await stream.take("snapshot")
        mine = await demo.put("demo/bridge", "unrelated", 1)
        await stream.send("sync", revision=mine)
        assert (await stream.expect("revision"))["at"]["revision"] >= mine
        await stream.send("sync")
        assert (await stream.expect("revision"))["at"]["revision"] >= mine
        await stream.send("sync", revision=mine + 1_000)
        told = await stream.expect("error")
        assert (told["code"], told["retry"]) == ("behind", True)


async def test_unrelated_revisions_are_told_together(demo: Server) -> None:
    """An idle session hears of many revisions by one bookmark."""
    async with demo.stream() as stream:
        await stream.take("snapshot")
        for value in range(10):
            last = await demo.put("demo/bridge", "unrelated", value)
        told = [(await stream.receive())["at"]["revision"]]
        while told[-1] < last:
            told.append((await stream.receive())["at"]["revision"])
        assert len(told) <= 3


async def test_a_second_hello_is_answered_with_everything(demo: Server) -> None:
    """Who cannot use a difference begins anew in the same session; for another instance it may not."""
    async with demo.stream() as stream:
        await stream.take("snapshot")
        await demo.put("demo/engine", "risk.max", 2)
        await stream.expect("configuration_changed")
        await stream.hello(have=None)
        await stream.take("snapshot")
        assert stream.values["risk"] == {"max": 2}
        stream.instance = "two"
        await stream.hello()
        assert (await stream.closed())[:2] == (1008, "another_instance")


async def test_a_large_view_is_fetched_and_acknowledged_on_the_stream(demo: Server) -> None:
    """Beyond 256 KiB the view comes by POST /v1/sync; afterwards differences are pushed as always."""
    await demo.put("demo/engine", "large", ["x" * 50_000] * 6)
    async with demo.stream() as stream:
        assert (await stream.expect("fetch"))["at"]["revision"] == 2
        _, snapshot = await demo.sync()
        stream.apply(snapshot)
        await stream.ack(snapshot)
        await demo.put("demo/engine", "risk.max", 2)
        await stream.take("configuration_changed")
        assert stream.values["risk"] == {"max": 2}


async def test_ping_is_answered_and_unknown_frames_are_passed_over(demo: Server) -> None:
    """A newer client may say things that this server does not know."""
    async with demo.stream() as stream:
        await stream.take("snapshot")
        await stream.send("something_new", much=[1])
        await stream.send("usage", read=["a"])
        await stream.send("ping")
        await stream.expect("pong")


@pytest.mark.parametrize(
    ("sent", "code", "reason"),
    [
        ("{", 1007, "not_json"),
        (b"\x00", 1007, "not_json"),
        ("[]", 1008, "bad_frame"),
        ('{"type": "sync"}', 1008, "no_hello"),
        ('{"type": "hello", "service": "engine"}', 1008, "bad_frame"),
        ('{"type": "hello", "service": "E", "environment": "demo", "instance": "i"}', 1008, "bad_id"),
    ],
)
async def test_a_malformed_frame_ends_the_session_with_its_reason(
    demo: Server, sent: str | bytes, code: int, reason: str
) -> None:
    """An error frame for the program, a close code and a reason for who looks at the connection."""
    async with demo.socket() as socket:
        await socket.send(sent)
        told = json.loads(await socket.recv())
        assert (told["type"], told["code"]) == ("error", reason)
        await socket.wait_closed()
        assert (socket.close_code, socket.close_reason) == (code, reason)


@pytest.mark.parametrize(
    ("place", "code"), [("nowhere/engine", "unknown_environment"), ("demo/x", "unknown_service")]
)
async def test_what_does_not_exist_has_no_stream(demo: Server, place: str, code: str) -> None:
    """The error says what is missing."""
    async with demo.socket() as socket:
        environment, _, service = place.partition("/")
        hello = {"type": "hello", "environment": environment, "service": service, "instance": "one"}
        await socket.send(json.dumps(hello))
        assert json.loads(await socket.recv())["code"] == code


async def test_the_end_of_an_environment_ends_its_sessions(demo: Server) -> None:
    """Clients keep what they hold; the close tells them why nothing more comes."""
    async with demo.stream() as stream:
        await stream.take("snapshot")
        assert (await demo.http.delete("/v1/environments/demo")).status_code == 200
        assert (await stream.closed())[:2] == (1008, "unknown_environment")


async def test_a_server_that_leaves_says_so(server: InProcessServer, demo: Server) -> None:
    """bye in a frame and 1012 in the close mean: come back."""
    async with demo.stream() as stream:
        await stream.take("snapshot")
        stopping = asyncio.create_task(asyncio.to_thread(server.stop))
        code, reason, frames = await stream.closed()
        assert (code, reason) == (1012, "server_leaves")
        assert frames[-1] == {"type": "bye", "retry_after": 0.0}
        await stopping


async def test_after_a_restart_clients_continue(server: InProcessServer, demo: Server) -> None:
    """What was held before is right after it, without a snapshot."""
    async with demo.stream() as stream:
        await stream.take("snapshot")
        held = stream.at
    await asyncio.to_thread(server.restart)
    async with demo.stream(have=held) as stream:
        assert (await stream.expect("revision"))["at"] == held


async def test_too_many_arrivals_are_told_when_to_come_back(tmp_path: Any) -> None:
    """The handshake is answered with 503 and Retry-After, before anything is set up."""
    settings = Settings(database_url=f"sqlite:///{tmp_path}/server.db", port=0, admission_rate=1.0)
    with InProcessServer(settings) as server:
        running = Server(server.url)
        async with running.http, running.socket():
            with pytest.raises(InvalidStatus) as refused:
                async with running.socket():
                    pass
            assert refused.value.response.status_code == 503
            assert int(refused.value.response.headers["Retry-After"]) >= 1


async def test_who_does_not_answer_is_cut(server: InProcessServer, demo: Server) -> None:
    """A push that makes no progress ends the session; who is silent before a hello is sent away too."""
    server.services.hub.deadlines = replace(Deadlines(), progress=0.5, hello=0.5)
    async with demo.stream() as stream, demo.socket() as silent:
        await stream.expect("snapshot")
        assert (await stream.closed())[:2] == (1008, "no_progress")
        await silent.wait_closed()
        assert silent.close_reason == "no_hello"


async def test_a_client_that_takes_its_time_stays_while_it_shows_that_it_lives(
    server: InProcessServer, demo: Server
) -> None:
    """Pings keep a session whose candidate is still being checked, until the time for an ack is over."""
    server.services.hub.deadlines = replace(Deadlines(), progress=0.5, ack=4.0)
    async with demo.stream() as stream:
        await stream.expect("snapshot")
        for _ in range(20):
            await asyncio.sleep(0.1)
            await stream.send("ping")
            await stream.expect("pong")
        assert (await stream.closed())[:2] == (1008, "no_progress")


async def test_a_client_that_reads_nothing_holds_up_nobody(server: InProcessServer, demo: Server) -> None:
    """Others get every change while one socket is full; that one is dropped."""
    server.services.hub.deadlines = replace(Deadlines(), progress=1.0)
    await demo.put("demo/engine", "large", "x" * 60_000)
    host, port = server.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
    writer.write(
        b"GET /v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    hello = b'{"type":"hello","environment":"demo","service":"engine","instance":"stuck"}'
    writer.write(b"\x81" + bytes([0x80 | len(hello)]) + bytes(4) + hello)
    async with demo.stream() as stream:
        await stream.take("snapshot")
        await until(lambda: _is_connected(demo, "stuck"))
        for value in range(5):
            await demo.put("demo/engine", "risk.max", value + 10)
            await stream.take("configuration_changed")

        async def gone() -> bool:
            await stream.send("ping")
            await stream.expect("pong")
            return not await _is_connected(demo, "stuck")

        await until(gone)
    writer.close()


async def _is_connected(demo: Server, instance: str) -> bool:
    return instance in await demo.fleet()


async def test_the_health_of_a_service_is_told_to_its_instances(demo: Server) -> None:
    """When one says that it is not well the others hear how many are left."""
    async with demo.stream("one") as one, demo.stream("two") as two:
        for stream in (one, two):
            await stream.take("snapshot")
            await stream.send("health", status="healthy")
        told = await one.expect("service_health_changed")
        while told["healthy"] < 2:
            told = await one.expect("service_health_changed")
        await two.send("health", status="unhealthy", checks={"database": "gone"})
        told = await one.expect("service_health_changed")
        while told["to"] == "healthy":
            told = await one.expect("service_health_changed")
        assert (told["service"], told["to"], told["healthy"], told["total"]) == ("engine", "degraded", 1, 2)
        assert (await demo.get("/v1/fleet/two")).json()["checks"] == {"database": "gone"}


async def test_a_revoked_token_ends_its_sessions(demo: Server) -> None:
    """Within a second; and the first token of all ends the sessions of open mode."""
    async with demo.stream("open") as opened:
        await opened.take("snapshot")
        admin = await _token(demo, name="root", roles=["admin"])
        assert (await opened.closed())[:2] == (1008, "token_revoked")
    root = Server(demo.url, admin["token"])
    async with root.http:
        made = await _token(root, name="engine", service="engine", environments=["demo"])
        engine = Server(demo.url, made["token"])
        async with engine.http, engine.stream() as stream:
            await stream.take("snapshot")
            assert (await root.http.delete(f"/v1/tokens/{made['id']}")).status_code in (200, 204)
            async with asyncio.timeout(1.0):
                assert (await stream.closed())[:2] == (1008, "token_revoked")


async def test_a_token_speaks_for_its_own_service_only(demo: Server) -> None:
    """Another service, another environment and a missing one are answered alike: they do not exist."""
    admin = await _token(demo, name="root", roles=["admin"])
    root = Server(demo.url, admin["token"])
    async with root.http:
        made = await _token(root, name="engine", service="engine", environments=["demo"])
    engine = Server(demo.url, made["token"])
    async with engine.http:
        for place in ("demo/bridge", "global/engine", "nowhere/engine"):
            async with engine.socket() as socket:
                environment, _, service = place.partition("/")
                hello = {"type": "hello", "environment": environment, "service": service, "instance": "one"}
                await socket.send(json.dumps(hello))
                assert json.loads(await socket.recv())["code"].startswith("unknown_")
            polled = await engine.http.post(
                "/v1/sync", json={"hello": {k: hello[k] for k in hello if k != "type"}}
            )
            assert polled.status_code == 404
        async with engine.stream() as stream:
            await stream.take("snapshot")


async def test_a_refused_hello_is_recorded(server: InProcessServer, demo: Server) -> None:
    """Who asked for what is in the audit, as it is for a refused request."""
    admin = await _token(demo, name="root", roles=["admin"])
    root = Server(demo.url, admin["token"])
    async with root.http:
        made = await _token(root, name="engine", service="engine", environments=["demo"])
    engine = Server(demo.url, made["token"])
    async with engine.http, engine.socket() as socket:
        await socket.send('{"type":"hello","environment":"global","service":"engine","instance":"one"}')
        await socket.wait_closed()
    rows = server.services.database.read(lambda tx: tx.execute(select(audit)).mappings().all())
    assert [(row["target"], row["allowed"]) for row in rows if row["action"] == "stream.connect"] == [
        ("global/engine", False)
    ]


async def test_without_a_token_there_is_no_stream_once_one_exists(demo: Server) -> None:
    """The handshake itself is refused."""
    await _token(demo, name="root", roles=["admin"])
    with pytest.raises(InvalidStatus) as refused:
        async with demo.socket():
            pass
    assert refused.value.response.status_code == 401


async def _token(server: Server, **body: Any) -> Any:
    answer = await server.http.post("/v1/tokens", json=body)
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


async def test_many_sessions_converge_on_the_newest_state(demo: Server) -> None:
    """Sessions of several services under a stream of changes all end with what a read answers."""
    async with asyncio.TaskGroup() as tasks:
        ends = [
            tasks.create_task(_follow(demo, f"i{number}", place, 40))
            for number in range(10)
            for place in ("demo/engine", "demo/bridge")
        ]
        for value in range(20):
            await demo.edit(put("global", "log.level", value), put("demo/engine", "risk.max", value))
        await demo.put("global", "done", True)
    for end in ends:
        place, values = end.result()
        environment, _, service = place.partition("/")
        answer = await demo.get(f"/v1/environments/{environment}/services/{service}/configuration")
        assert values == answer.json()["values"]


async def _follow(demo: Server, instance: str, place: str, most: int) -> tuple[str, Any]:
    async with demo.stream(instance, place) as stream:
        for _ in range(most):
            frame = await stream.receive()
            if frame["type"] == "revision":
                stream.at = frame["at"]
                continue
            stream.apply(frame)
            await stream.ack(frame)
            if stream.values.get("done"):
                return place, stream.values
    raise AssertionError("the newest state never came")

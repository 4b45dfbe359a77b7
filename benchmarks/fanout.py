"""From a commit to the last of 4,000 subscribers: against Redis ``PUBLISH`` and against watches of etcd."""

from __future__ import annotations

import base64
import socket
import time
from collections.abc import Callable, Iterator

from benchmarks import servers
from benchmarks.figures import Figure, limit, of_pairs

SUBSCRIBERS, VIEWS, ROUNDS = 4_000, 50, 9
MESSAGE = b"x" * 400
"""About what one push takes."""


def figures() -> Iterator[Figure]:
    """Every round: the write, timed from before it is sent, until the last subscriber has its effect."""
    with servers.folder() as place, servers.coreconfig(place / "bench.db") as ours, servers.redis() as redis:
        servers.create_environment(servers.Requests(ours.port), VIEWS, {"value": 0})
        before = ours.memory()
        size = len(_redis_message())
        with (
            servers.Swarm("stream", ours.port, SUBSCRIBERS) as sessions,
            servers.Swarm("redis", redis.port, SUBSCRIBERS, "--size", str(size)) as subscribers,
        ):
            sessions.told(), subscribers.told()
            grown = (ours.memory() - before) / SUBSCRIBERS / 1000
            publish, put = _publisher(redis.port), _writer(servers.Requests(ours.port))
            pairs = [(_round(put, sessions), _round(publish, subscribers)) for _ in range(ROUNDS)]
    yield of_pairs("commit to the last of 4,000 sessions in 50 views", "Redis PUBLISH", pairs, bound=2.5)
    yield limit("memory of a session", grown, 30, unit="KB")
    ours_median = sorted(ours for ours, _ in pairs)[ROUNDS // 2]
    watched = [(ours_median, other) for other in _etcd_rounds()]
    yield of_pairs("commit to the last of 4,000 sessions in 50 views", "etcd watch", watched, bound=0.8)


def _round(act: Callable[[], None], swarm: servers.Swarm) -> float:
    time.sleep(0.7)  # the acks of the round before are over
    began = time.monotonic()
    act()
    last: float = swarm.told()["last"]
    return last - began


def _writer(ask: servers.Requests) -> Callable[[], None]:
    numbers = iter(range(1, 1_000))
    return lambda: ask("PUT", "/v1/environments/bench/configuration/value", {"value": next(numbers)})


def _redis_message() -> bytes:
    """What a subscriber of the channel gets."""
    return b"*3\r\n$7\r\nmessage\r\n$5\r\nbench\r\n$400\r\n" + MESSAGE + b"\r\n"


def _publisher(port: int) -> Callable[[], None]:
    connection = socket.create_connection(("127.0.0.1", port))
    request = b"*3\r\n$7\r\nPUBLISH\r\n$5\r\nbench\r\n$400\r\n" + MESSAGE + b"\r\n"

    def publish() -> None:
        connection.sendall(request)

    return publish


def _etcd_rounds() -> list[float]:
    with servers.etcd() as etcd, servers.Swarm("etcd", etcd.port, SUBSCRIBERS) as watchers:
        watchers.told()
        ask = servers.Requests(etcd.port)
        value = base64.b64encode(MESSAGE).decode()
        return [
            _round(lambda: ask("POST", "/v3/kv/put", {"key": "YmVuY2g=", "value": value}), watchers)
            for _ in range(ROUNDS)
        ]

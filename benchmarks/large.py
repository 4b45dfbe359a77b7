"""What a server takes that holds 500 large views: 10 environments of 50 services over 100,000 keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks import servers
from benchmarks.figures import Figure, limit

ENVIRONMENTS, SERVICES, OWN_KEYS = 10, 50, 100


def figures() -> Iterator[Figure]:
    """Each of the 500 services has a session and 100 keys of its own."""
    with servers.folder() as place, servers.coreconfig(place / "bench.db") as ours:
        ask = servers.Requests(ours.port)
        _create(ask, "shared", overrides={"configuration": _shared()})
        for number in range(ENVIRONMENTS):
            services = {f"s{service}": _own(number, service) for service in range(SERVICES)}
            _create(ask, f"e{number}", inherits=["shared"], services=services)
        sessions = ENVIRONMENTS * SERVICES
        with servers.Swarm("stream", ours.port, sessions, "--environments", str(ENVIRONMENTS)) as swarm:
            swarm.told()
            yield limit(
                "500 sessions in 500 views of 100,100 keys, memory", ours.memory() / 1e6, 400, unit="MB"
            )


def _create(ask: servers.Requests, name: str, **members: Any) -> None:
    ask("POST", "/v1/environments", {"id": name, "type": "development", **members})


def _shared() -> dict[str, Any]:
    return {
        f"group{i}": {f"part{j}": {f"key{k}": f"value {i} {j} {k}" for k in range(50)} for j in range(40)}
        for i in range(50)
    }


def _own(environment: int, service: int) -> dict[str, Any]:
    return {"configuration": {"own": {f"k{k}": f"{environment} {service} {k}" for k in range(OWN_KEYS)}}}

"""What watchers see: alive, ready, metrics."""

from __future__ import annotations

import time

from sqlalchemy import update
from tests.integration.http_api import client, code_of, create, new_token

from coreconfig.server.revisions.tables import log
from coreconfig.testing.server import InProcessServer


def test_a_server_is_alive_and_ready(server: InProcessServer) -> None:
    """With the revision that it serves."""
    with client(server) as http:
        assert http.get("/healthz").json()["status"] == "alive"
        create(http, "dev")
        ready = http.get("/readyz").json()
    assert (ready["status"], ready["revision"]) == ("ready", 1)


def test_watchers_need_no_token(server: InProcessServer) -> None:
    """They learn nothing about what is configured."""
    with client(server) as http:
        create(http, "secret-project", services={"secret-service": {"configuration": {"secret": {"key": 1}}}})
        new_token(http, name="root", roles=["admin"])
        for path in ("/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/"):
            answer = http.get(path)
            assert answer.status_code == 200
            assert "secret-" not in answer.text


def test_metrics_count_requests_by_route_and_never_by_path(server: InProcessServer) -> None:
    """Ten thousand paths are one route; what matches none is one more."""
    with client(server) as http:
        for name in ("a", "b", "c"):
            http.get(f"/v1/environments/{name}")
            http.get(f"/nothing/{name}")
        text = http.get("/metrics").text
    shown = 'coreconfig_http_requests_total{method="GET",route="/v1/environments/{env}",status="404"} 3.0'
    assert shown in text
    assert 'coreconfig_http_requests_total{method="GET",route="(none)",status="404"} 3.0' in text
    assert "/nothing/" not in text


def test_metrics_tell_how_far_the_log_is_served(server: InProcessServer) -> None:
    """Revision, epoch and lag."""
    with client(server) as http:
        create(http, "dev")
        text = http.get("/metrics").text
    assert "coreconfig_revision 1.0" in text
    assert "coreconfig_replica_lag_revisions 0.0" in text
    assert "coreconfig_replica_healthy 1.0" in text


def test_a_damaged_log_makes_the_server_unready_and_it_serves_what_it_has(server: InProcessServer) -> None:
    """503 with the code; reads go on with the revision before, writes are refused."""
    with client(server) as http:
        create(http, "dev")
        create(http, "second")
        server.stop()
        from coreconfig.server.db.database import Database

        database = Database.open(server.settings.database_url)
        database.write(
            lambda tx: tx.execute(update(log).where(log.c.revision == 2).values(author="somebody"))
        )
        database.close()
        server.start()
        deadline = time.monotonic() + 5
        while (ready := http.get("/readyz")).status_code == 200:
            assert time.monotonic() < deadline, "the damage was not noticed"
            time.sleep(0.02)
        assert (ready.status_code, code_of(ready)) == (503, "store_integrity")
        assert ready.headers["X-CoreConfig-Revision"] == "1"
        assert [one["id"] for one in http.get("/v1/environments").json()["environments"]] == ["dev"]
        refused = http.put("/v1/environments/dev/configuration/a", json={"value": 1})
        assert (refused.status_code, code_of(refused)) == (503, "store_integrity")

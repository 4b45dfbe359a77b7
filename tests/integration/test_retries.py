"""A request that is sent again under its Idempotency-Key is answered as it was the first time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.integration.http_api import client, code_of, create

from coreconfig.testing.server import InProcessServer

BASE = "/v1/environments/dev/configuration"


def test_a_retried_delete_is_answered_with_its_receipt(server: InProcessServer) -> None:
    """Although there is nothing left to delete."""
    with client(server) as http:
        create(http, "dev", overrides={"configuration": {"a": 1}})
        first = http.delete(f"{BASE}/a", headers={"Idempotency-Key": "k"})
        again = http.delete(f"{BASE}/a", headers={"Idempotency-Key": "k"})
        assert (first.status_code, again.json()) == (200, first.json())
        assert code_of(http.delete(f"{BASE}/a", headers={"Idempotency-Key": "other"})) == "key_not_found"


def test_a_retried_revert_is_answered_with_its_receipt(server: InProcessServer) -> None:
    """Although what it restored now counts as edited since."""
    with client(server) as http:
        create(http, "dev", overrides={"configuration": {"a": 1}})
        http.put(f"{BASE}/a", json={"value": 2})
        first = http.post("/v1/revisions/2/revert", headers={"Idempotency-Key": "k"})
        again = http.post("/v1/revisions/2/revert", headers={"Idempotency-Key": "k"})
        assert (first.status_code, again.json()) == (200, first.json())
        assert http.get(f"{BASE}/a").json()["value"] == 1


def test_the_same_request_at_the_same_time_is_done_once(server: InProcessServer) -> None:
    """All of them get the one receipt, whichever came first."""
    with client(server) as http:
        create(http, "dev", overrides={"configuration": {"a": 1, "b": 1}})

    def ask(number: int) -> object:
        with client(server) as http:
            headers = {"Idempotency-Key": "same"}
            if number % 2:
                return http.delete(f"{BASE}/b", headers={"Idempotency-Key": "delete"}).json()
            return http.put(f"{BASE}/a", json={"value": 2}, headers=headers).json()

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(ask, range(16)))
    assert len({str(answer) for answer in answers}) == 2
    with client(server) as http:
        assert http.get("/v1/revisions").json()["revisions"][0]["revision"] == 3


def test_a_dry_run_says_that_the_state_is_no_longer_the_one_that_is_meant(server: InProcessServer) -> None:
    """Its conditions are those of the change that it tries out."""
    with client(server) as http:
        create(http, "dev", overrides={"configuration": {"a": 1}})
        http.put(f"{BASE}/a", json={"value": 2})
        stale = http.put(f"{BASE}/a?dry_run=true", json={"value": 3}, headers={"If-Match": '"1-1"'})
        assert stale.status_code == 412
        edit = {"kind": "value", "environment": "dev", "key": "a", "operation": "set", "value": 3}
        body = {"edits": [edit], "expected_revision": 1}
        conflict = http.post("/v1/changes?dry_run=true", json=body)
        assert code_of(conflict) == "conflict"
        (issue,) = conflict.json()["error"]["issues"]
        assert issue["message"] == "moved at revision 2 by local, to 2"


def test_a_change_of_environments_is_one_in_the_log_whichever_way_it_came(server: InProcessServer) -> None:
    """Routes are shorthand; what a change is follows from its edits."""
    with client(server) as http:
        create(http, "dev")
        document = {"type": "development"}
        edit = {"kind": "environment", "environment": "two", "operation": "create", "document": document}
        assert http.post("/v1/changes", json={"edits": [edit]}).status_code == 200
        kinds = {one["kind"] for one in http.get("/v1/revisions").json()["revisions"]}
        assert len(kinds) == 1


def test_any_state_means_that_there_is_one(server: InProcessServer) -> None:
    """`If-Match: *` changes a value and never makes one, also after it was deleted."""
    with client(server) as http:
        create(http, "dev", overrides={"configuration": {"a": 1}})
        anything = {"If-Match": "*"}
        assert http.put(f"{BASE}/b", json={"value": 1}, headers=anything).status_code == 412
        assert http.put(f"{BASE}/a", json={"value": 2}, headers=anything).status_code == 200
        assert http.delete(f"{BASE}/a", headers=anything).status_code == 200
        assert http.put(f"{BASE}/a", json={"value": 3}, headers=anything).status_code == 412


def test_an_environment_that_was_changed_since_is_a_conflict_for_who_changes_it(
    server: InProcessServer,
) -> None:
    """Attributes have no path, so it is the environment that counts; values set in it do not."""
    with client(server) as http:
        create(http, "dev", services={"shop": {"instances": 1}})
        http.put(f"{BASE}/a", json={"value": '"environment":"dev","kind":"environment"'})
        edit = {"kind": "environment", "environment": "dev", "operation": "update"}
        first = {**edit, "document": {"services": {"shop": {"instances": 2}}}}
        body = {"edits": [first], "expected_revision": 1}
        assert http.post("/v1/changes", json=body).status_code == 200
        second = {**edit, "document": {"services": {"shop": {"instances": 3}}}}
        conflict = http.post("/v1/changes", json={"edits": [second], "expected_revision": 2})
        assert code_of(conflict) == "conflict"
        (issue,) = conflict.json()["error"]["issues"]
        assert (issue["key"], issue["message"]) == (
            "dev",
            "the environment was changed at revision 3 by local",
        )

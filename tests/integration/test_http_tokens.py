"""Tokens: how open mode ends, who gets in, and that a revoked one is worth nothing at once."""

from __future__ import annotations

import time

import httpx2
import pytest
from sqlalchemy import select
from tests.integration.http_api import client, code_of, create, new_token
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from coreconfig.server.audit.tables import audit
from coreconfig.server.identity.tables import token as token_table
from coreconfig.testing.server import InProcessServer
from coreconfig.wire.frames import SUBPROTOCOL

HELLO = '{"type": "hello", "service": "shop", "environment": "dev", "instance": "shop-1"}'


@pytest.fixture
def admin(server: InProcessServer) -> str:
    """The token of an administrator of a server that has one environment `dev` with the service `shop`."""
    with client(server) as http:
        create(
            http, "dev", services={"shop": {"configuration": {"x": 1}}, "bank": {"configuration": {"y": 2}}}
        )
        create(http, "prod")
        return new_token(http, name="root", roles=["admin"])


def stream(server: InProcessServer, token: str | None) -> ClientConnection:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    url = server.url.replace("http", "ws") + "/v1/stream"
    return connect(url, subprotocols=[SUBPROTOCOL], additional_headers=headers, close_timeout=1)


def ends_within(connection: ClientConnection, seconds: float) -> bool:
    """Whether the peer closes in time."""
    deadline = time.monotonic() + seconds
    try:
        while True:
            connection.recv(timeout=max(0.0, deadline - time.monotonic()))
    except ConnectionClosed:
        return True
    except TimeoutError:
        return False


def test_open_mode_says_so_and_the_first_token_ends_it_at_once(server: InProcessServer) -> None:
    """From one answer to the next everybody needs a token."""
    with client(server) as http:
        assert http.get("/v1/environments").headers["X-CoreConfig-Mode"] == "open"
        assert http.get("/nothing").headers["X-CoreConfig-Mode"] == "open"
        token = new_token(http, name="root", roles=["admin"])
        refused = http.get("/v1/environments")
        assert (refused.status_code, code_of(refused)) == (401, "not_authenticated")
        assert refused.headers["WWW-Authenticate"].startswith("Bearer")
        assert "X-CoreConfig-Mode" not in refused.headers
    with client(server, token) as http:
        assert http.get("/v1/environments").status_code == 200


@pytest.mark.parametrize(
    "grant",
    [
        {"roles": ["viewer"]},
        {"service": "shop", "environments": ["dev"]},
        {"roles": ["admin"], "environments": ["dev"]},
        {"roles": ["admin"], "keys": ["a.**"]},
    ],
)
def test_the_first_token_has_to_be_an_administrators(
    server: InProcessServer, grant: dict[str, object]
) -> None:
    """Any other would lock everybody out; nothing is stored and open mode goes on."""
    with client(server) as http:
        answer = http.post("/v1/tokens", json={"name": "first", **grant})
        assert (answer.status_code, code_of(answer)) == (400, "first_token_admin")
        assert http.get("/v1/tokens").json() == {"tokens": []}


def test_a_token_is_shown_once_and_kept_as_a_hash(server: InProcessServer, admin: str) -> None:
    """Neither the list nor the database holds its secret."""
    secret = admin.rsplit("_", 1)[1]
    with client(server, admin) as http:
        assert secret not in http.get("/v1/tokens").text
    rows = server.services.database.read(lambda tx: tx.execute(select(token_table)).all())
    assert secret not in repr(rows)
    assert len(rows) == 1


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer nonsense",
        "Basic cm9vdDpyb290",
        "Bearer cc_aaaaaaaaaaaa_" + "0" * 64,
        "Bearer cc__",
    ],
)
def test_a_wrong_token_is_refused_without_a_hint(server: InProcessServer, admin: str, header: str) -> None:
    """Unknown id, wrong secret and nonsense are told apart by nobody."""
    with client(server) as http:
        answer = http.get("/v1/environments", headers={"Authorization": header})
    assert answer.status_code == 401
    assert code_of(answer) in ("not_authenticated", "bad_token")


def test_the_right_id_with_another_secret_is_refused_like_an_unknown_one(
    server: InProcessServer, admin: str
) -> None:
    """The public id alone is worth nothing."""
    public = admin.split("_")[1]
    with client(server) as http:
        answers = [
            http.get("/v1/environments", headers={"Authorization": f"Bearer cc_{name}_{'0' * 64}"}).json()
            for name in (public, "aaaaaaaaaaaa")
        ]
    assert answers[0] == answers[1]


def test_a_revoked_token_is_worth_nothing_at_once(server: InProcessServer, admin: str) -> None:
    """The answer to the revocation and the next use are in this order for everybody."""
    with client(server, admin) as http:
        token = new_token(http, name="ann", roles=["viewer"])
        with client(server, token) as other:
            assert other.get("/v1/environments").status_code == 200
            revoked = http.delete(f"/v1/tokens/{token.split('_')[1]}")
            assert revoked.json()["revoked_at"]
            assert code_of(other.get("/v1/environments")) == "bad_token"
        again = http.delete(f"/v1/tokens/{token.split('_')[1]}")
        assert again.json() == revoked.json()
        missing = http.delete("/v1/tokens/aaaaaaaaaaaa")
        assert (missing.status_code, code_of(missing)) == (404, "unknown_token")


def test_revocation_closes_open_streams_within_a_second(server: InProcessServer, admin: str) -> None:
    """Those that were opened with this token, and no others."""
    with client(server, admin) as http:
        token = new_token(http, name="shop in dev", service="shop", environments=["dev"])
        with stream(server, token) as ended, stream(server, admin) as stays:
            ended.send(HELLO)
            ended.recv(timeout=5)
            http.delete(f"/v1/tokens/{token.split('_')[1]}")
            assert ends_within(ended, 1.0)
            stays.send('{"type": "ping"}')
            assert "pong" in str(stays.recv(timeout=5))


def test_the_first_token_closes_the_streams_of_open_mode(server: InProcessServer) -> None:
    """Whoever came in without a token has to come back with one."""
    with client(server) as http:
        create(http, "dev", services={"shop": {"configuration": {"x": 1}}})
        with stream(server, None) as ended:
            ended.send(HELLO)
            ended.recv(timeout=5)
            new_token(http, name="root", roles=["admin"])
            assert ends_within(ended, 1.0)


def test_a_stream_without_a_valid_token_is_refused_with_the_reason(
    server: InProcessServer, admin: str
) -> None:
    """As an HTTP answer to the handshake: 401 and our error body."""
    with pytest.raises(InvalidStatus) as caught, stream(server, "cc_wrong"):
        pass
    assert caught.value.response.status_code == 401
    assert b"bad_token" in (caught.value.response.body or b"")


def test_the_last_administrator_cannot_be_revoked(server: InProcessServer, admin: str) -> None:
    """Nobody could create a token any more, and the server would not become open again either."""
    with client(server, admin) as http:
        answer = http.delete(f"/v1/tokens/{admin.split('_')[1]}")
        assert (answer.status_code, code_of(answer)) == (409, "last_admin")
        second = new_token(http, name="second", roles=["admin"])
        assert http.delete(f"/v1/tokens/{admin.split('_')[1]}").status_code == 200
        assert http.get("/v1/environments").status_code == 401
    with client(server, second) as http:
        assert http.get("/v1/environments").status_code == 200


def test_tokens_survive_a_restart(server: InProcessServer, admin: str) -> None:
    """A server that starts with tokens is never open."""
    server.restart()
    with client(server, admin) as http:
        assert http.get("/v1/environments").status_code == 200
    with client(server) as http:
        assert http.get("/v1/environments").status_code == 401


def test_a_token_of_another_process_is_seen_within_a_second(server: InProcessServer, admin: str) -> None:
    """What another writer puts into the same database counts here too."""
    from coreconfig.server.access.caller import Caller
    from coreconfig.server.identity.commands import Grant, create

    root = Caller("root", "user", frozenset({"admin"}))
    grant = Grant("elsewhere", roles=["viewer"])
    _, text = server.services.database.write(lambda tx: create(tx, root, grant))
    deadline = time.monotonic() + 2
    with client(server, text) as http:
        while http.get("/v1/environments").status_code == 401:
            assert time.monotonic() < deadline, "the new token was not seen"
            time.sleep(0.02)


def test_nobody_gives_more_than_they_have(server: InProcessServer, admin: str) -> None:
    """A security administrator neither makes administrators nor takes them away."""
    with client(server, admin) as http:
        keeper = new_token(http, name="keeper", roles=["security-admin"], environments=["dev"])
    with client(server, keeper) as http:
        for grant in (
            {"roles": ["admin"], "environments": ["dev"]},
            {"roles": ["security-admin"], "environments": ["dev"]},
            {"roles": ["viewer"], "environments": ["prod"]},
            {"roles": ["viewer"]},
        ):
            answer = http.post("/v1/tokens", json={"name": "more", **grant})
            assert (answer.status_code, code_of(answer)) == (403, "grant_exceeds_own")
        assert code_of(http.delete(f"/v1/tokens/{admin.split('_')[1]}")) == "grant_exceeds_own"
        new_token(http, name="less", roles=["viewer"], environments=["dev"])


@pytest.mark.parametrize(
    ("grant", "key"),
    [
        ({"roles": ["viewer"], "service": "shop", "environments": ["dev"]}, "roles"),
        ({"service": "shop"}, "environments"),
        ({"roles": []}, "roles"),
        ({"roles": ["viewer"], "environments": []}, "environments"),
        ({"roles": ["Not A Role"]}, "roles"),
        ({"roles": ["viewer"], "environments": ["No Id"]}, "environments"),
        ({"roles": ["viewer"], "keys": ["a..b"]}, "keys"),
        ({"roles": ["viewer"], "unknown": 1}, "unknown"),
    ],
)
def test_a_token_that_makes_no_sense_is_refused(
    server: InProcessServer, admin: str, grant: dict[str, object], key: str
) -> None:
    """With the member that is wrong; an empty list of environments never means all of them."""
    with client(server, admin) as http:
        answer = http.post("/v1/tokens", json={"name": "odd", **grant})
    assert answer.status_code == 400
    assert any(str(issue["key"]).startswith(key) for issue in answer.json()["error"]["issues"])


def test_a_name_of_ours_cannot_be_taken(server: InProcessServer, admin: str) -> None:
    """Nobody becomes `local` in the log, nor a service by its name."""
    with client(server, admin) as http:
        for name in ("local", "System", "service:shop"):
            assert http.post("/v1/tokens", json={"name": name, "roles": ["viewer"]}).status_code == 400


def entries(server: InProcessServer) -> list[tuple[str, str, bool]]:
    rows = server.services.database.read(lambda tx: tx.execute(select(audit).order_by(audit.c.id)).all())
    return [(row.principal, row.action, row.allowed) for row in rows]


def test_what_is_done_with_tokens_is_recorded_and_so_is_a_refusal(
    server: InProcessServer, admin: str
) -> None:
    """The refusal survives, although the transaction in which it was decided does not."""
    with client(server, admin) as http:
        token = new_token(http, name="ann", roles=["viewer"])
    before = len(entries(server))
    with client(server, token) as http:
        assert http.post("/v1/tokens", json={"name": "x", "roles": ["viewer"]}).status_code == 403
        assert http.get("/v1/environments/prod").status_code == 200
    recorded = entries(server)
    assert ("root", "token.administer", True) in recorded
    assert recorded[before:] == [("ann", "token.administer", False)]


def shop_client(server: InProcessServer, admin: str, **more: object) -> httpx2.Client:
    with client(server, admin) as http:
        token = new_token(http, name="shop in dev", service="shop", environments=["dev"], **more)
    return client(server, token)


def test_a_service_token_reads_its_own_view(server: InProcessServer, admin: str) -> None:
    """Resolved values, explanation and history of its own service."""
    with shop_client(server, admin) as http:
        at = "/v1/environments/dev/services/shop"
        assert http.get(f"{at}/configuration").json()["values"] == {"x": 1}
        assert http.get(f"{at}/configuration/x").status_code == 200
        assert http.get(f"{at}/explain/x").status_code == 200
        assert http.get(f"{at}/history/x").status_code == 200


def test_a_service_token_cannot_tell_foreign_things_from_missing_ones(
    server: InProcessServer, admin: str
) -> None:
    """The same status, code and words for what exists and for what does not, but for the name."""
    with shop_client(server, admin) as http:
        for real, unreal, path in (
            ("prod", "none", "/v1/environments/{}/services/shop/configuration"),
            ("prod", "none", "/v1/environments/{}"),
            ("bank", "none", "/v1/environments/dev/services/{}/configuration"),
            ("bank", "none", "/v1/environments/dev/services/{}/history/y"),
            ("bank", "none", "/v1/environments/dev/services/{}/explain/y"),
            ("bank", "none", "/v1/environments/dev/services/{}/configuration/y"),
        ):
            foreign, missing = http.get(path.format(real)), http.get(path.format(unreal))
            assert foreign.status_code == missing.status_code == 404
            assert foreign.text.replace(real, unreal) == missing.text
        listed = http.get("/v1/environments").json()["environments"]
        assert [(one["id"], one["services"]) for one in listed] == [("dev", ["shop"])]


@pytest.mark.parametrize(
    "path",
    ["/v1/environments/dev", "/v1/revisions", "/v1/revisions/1", "/v1/changes", "/v1/tokens", "/v1/fleet"],
)
def test_a_service_token_does_not_look_around(server: InProcessServer, admin: str, path: str) -> None:
    """Layers, log, changes, tokens and fleet are for people."""
    with shop_client(server, admin) as http:
        assert http.get(path).status_code in (403, 404)


def test_a_service_writes_only_if_it_was_given_that_right(server: InProcessServer, admin: str) -> None:
    """And then into its own layer only."""
    own, base = "/v1/environments/dev/services/shop/configuration/z", "/v1/environments/dev/configuration/z"
    with shop_client(server, admin) as http:
        assert http.put(own, json={"value": 1}).status_code == 403
    with shop_client(server, admin, roles=["editor"]) as http:
        assert http.put(own, json={"value": 1}).status_code == 200
        assert http.put(base, json={"value": 1}).status_code == 403
        bank = http.put("/v1/environments/dev/services/bank/configuration/z", json={"value": 1})
        assert bank.status_code in (403, 404)


def test_every_change_is_recorded_with_its_revision(server: InProcessServer, admin: str) -> None:
    """In the transaction that makes it, so that none is there without the other."""
    rows = server.services.database.read(lambda tx: tx.execute(select(audit).order_by(audit.c.id)).all())
    changes = [row for row in rows if row.action == "change.propose"]
    assert [row.detail for row in changes] == ['{"revision":1}', '{"revision":2}']
    assert all(row.target.startswith("chg-") for row in changes)

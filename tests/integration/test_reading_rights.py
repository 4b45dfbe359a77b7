"""What a caller may read, he gets by reading; nothing comes to him by writing, failing or asking sideways."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest
from tests.integration.http_api import client, code_of, create, new_token

from coreconfig.testing.server import InProcessServer

SECRET = "s3cret-value"


@pytest.fixture
def admin(server: InProcessServer) -> Iterator[httpx2.Client]:
    """prod, which nobody below may see, and dev; an administrator's client."""
    with client(server) as http:
        create(http, "prod", overrides={"configuration": {"secret": SECRET, "hidden-key": 1}})
        create(
            http,
            "dev",
            overrides={"configuration": {"a": {"b": 1}, "secret": SECRET, "n": 1}},
            services={"shop": {}},
        )
        token = new_token(http, name="root", roles=["admin"])
    with client(server, token) as http:
        yield http


def limited(server: InProcessServer, admin: httpx2.Client, **grant: object) -> httpx2.Client:
    return client(server, new_token(admin, name="limited", **grant))


def same_answer(one: httpx2.Response, other: httpx2.Response, name: str, instead: str) -> bool:
    """Whether two answers differ in nothing but the name that was asked for."""
    return one.status_code == other.status_code and one.text == other.text.replace(instead, name)


def test_a_foreign_environment_is_not_read_by_inheriting_from_it(
    server: InProcessServer, admin: httpx2.Client
) -> None:
    """It is answered like one that does not exist, when created and when updated."""
    with limited(server, admin, roles=["editor"], environments=["dev", "mine"]) as http:
        answers = {}
        for parent in ("prod", "none"):
            document = {"id": "mine", "type": "development", "inherits": [parent]}
            made = http.post("/v1/environments", json=document)
            moved = http.patch("/v1/environments/dev", json={"inherits": [parent]})
            assert (made.status_code, moved.status_code) == (400, 400)
            answers[parent] = made.text + moved.text
        assert answers["prod"].replace("prod", "none") == answers["none"]
        assert "inherits_unknown" in answers["prod"]


def test_a_parent_that_an_administrator_gave_may_stay(server: InProcessServer, admin: httpx2.Client) -> None:
    """An editor of the child changes other attributes without losing it."""
    assert admin.patch("/v1/environments/dev", json={"inherits": ["prod"]}).status_code == 200
    with limited(server, admin, roles=["editor"], environments=["dev"]) as http:
        answer = http.patch("/v1/environments/dev", json={"inherits": ["prod"], "name": "Dev"})
        assert answer.status_code == 200, answer.text


def test_a_key_that_was_not_granted_is_not_read_by_referring_to_it(
    server: InProcessServer, admin: httpx2.Client
) -> None:
    """Neither as a whole, nor spliced, nor from inside an array, whether it exists or not."""
    with limited(server, admin, roles=["editor"], keys=["a.**"]) as http:
        for target in ("secret", "no-such-key"):
            for text in (f"${{config:{target}}}", f"x${{config:{target}}}"):
                for value in (text, [text], {"deep": text}):
                    answer = http.put("/v1/environments/dev/configuration/a.c", json={"value": value})
                    assert answer.status_code == 403
                    assert SECRET not in answer.text
        answer = http.put("/v1/environments/dev/configuration/a.c", json={"value": "${config:a.b}"})
        assert answer.status_code == 200, answer.text


def test_whether_a_foreign_layer_has_a_key_is_not_told_by_deleting_it(
    server: InProcessServer, admin: httpx2.Client
) -> None:
    """The right is looked at before the entry."""
    grants = [
        {"service": "shop", "environments": ["dev"]},
        {"roles": ["editor"], "environments": ["dev"], "keys": ["a.**"]},
    ]
    for grant in grants:
        with limited(server, admin, **grant) as http:
            for base in ("/v1/environments/prod/configuration/", "/v1/environments/dev/configuration/"):
                there, missing = http.delete(base + "secret"), http.delete(base + "absent")
                assert same_answer(there, missing, "secret", "absent")


def test_a_revert_tells_nothing_of_what_is_foreign(server: InProcessServer, admin: httpx2.Client) -> None:
    """Neither in the refusal nor in a conflict, and to a service not even that there is one."""
    admin.put("/v1/environments/prod/configuration/hidden-key", json={"value": 2})
    revision = admin.put("/v1/environments/prod/configuration/hidden-key", json={"value": 3}).json()[
        "revision"
    ]
    for grant in (
        {"roles": ["editor"], "environments": ["dev"]},
        {"service": "shop", "environments": ["dev"]},
    ):
        with limited(server, admin, **grant) as http:
            for number in (revision, revision - 1):
                answer = http.post(f"/v1/revisions/{number}/revert")
                assert answer.status_code == 403
                assert "hidden-key" not in answer.text
                assert "prod" not in answer.text


def test_a_document_in_a_change_is_withheld_from_who_may_not_read_all_of_it(
    server: InProcessServer, admin: httpx2.Client
) -> None:
    """A creation holds the values of every key."""
    change = next(one for one in admin.get("/v1/changes").json()["changes"] if one["revision"] == 2)
    assert SECRET in admin.get(f"/v1/changes/{change['id']}").text
    with limited(server, admin, roles=["viewer"], environments=["dev"], keys=["a.**"]) as http:
        answer = http.get(f"/v1/changes/{change['id']}")
        assert answer.status_code == 200
        assert SECRET not in answer.text


def test_a_foreign_view_that_a_change_would_break_is_not_named(
    server: InProcessServer, admin: httpx2.Client
) -> None:
    """The author learns which rule, and that somebody else has to be asked."""
    admin.patch("/v1/environments/prod", json={"inherits": ["dev"]})
    admin.put("/v1/environments/prod/configuration/hidden-key", json={"value": "${config:n}"})
    with limited(server, admin, roles=["editor"], environments=["dev"]) as http:
        answer = http.delete("/v1/environments/dev/configuration/n")
        assert code_of(answer) == "reference_dangling"
        assert "hidden-key" not in answer.text
        assert "prod" not in answer.text
        answer = http.delete("/v1/environments/dev")
        assert code_of(answer) == "environment_has_children"
        assert "prod" not in answer.text


def test_why_a_foreign_revision_was_made_and_by_whom_is_withheld(
    server: InProcessServer, admin: httpx2.Client
) -> None:
    """The log has no gaps for anybody, and no reasons that are not his."""
    body = {"value": 5, "reason": "because of the merger"}
    revision = admin.put("/v1/environments/prod/configuration/n", json=body).json()["revision"]
    with limited(server, admin, roles=["viewer"], environments=["dev"]) as http:
        listed = http.get("/v1/revisions")
        assert listed.json()["revisions"][0]["revision"] == revision
        one = http.get(f"/v1/revisions/{revision}")
        for answer in (listed, one):
            assert "merger" not in answer.text
            assert "root" not in answer.text
        assert listed.json()["revisions"][-1]["author"] == "(withheld)"
        assert listed.json()["revisions"][-2]["author"] == "local"

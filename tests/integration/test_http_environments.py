"""Reading environments and the log."""

from __future__ import annotations

from tests.integration.http_api import client, code_of, create, new_token

from coreconfig.testing.server import InProcessServer


def test_a_new_environment_is_listed_and_read_as_it_was_written(server: InProcessServer) -> None:
    """The document comes back in the shape of an environment file."""
    with client(server) as http:
        create(http, "global", services={"bank": {"configuration": {"x": 1}}})
        create(
            http,
            "dev",
            inherits=["global"],
            overrides={"configuration": {"a": {"b": 1}}},
            services={"shop": {"instances": 2}},
        )
        listed = http.get("/v1/environments").json()
        assert listed["revision"] == 2
        assert [one["id"] for one in listed["environments"]] == ["dev", "global"]
        assert listed["environments"][0]["services"] == ["bank", "shop"]
        shown = http.get("/v1/environments/dev").json()
    assert shown["status"] == "active"
    assert shown["environment"]["overrides"] == {"configuration": {"a": {"b": 1}}}
    assert shown["environment"]["inherits"] == ["global"]
    assert shown["environment"]["services"]["shop"]["instances"] == 2


def test_a_read_that_is_current_costs_no_body(server: InProcessServer) -> None:
    """304 for the same state, 200 with a new ETag after it has moved, and the same ETag if another moved."""
    with client(server) as http:
        create(http, "dev")
        first = http.get("/v1/environments/dev")
        known = {"If-None-Match": first.headers["ETag"]}
        create(http, "other")
        again = http.get("/v1/environments/dev", headers=known)
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["X-CoreConfig-Revision"] == "2"
        http.put("/v1/environments/dev/configuration/a", json={"value": 1})
        moved = http.get("/v1/environments/dev", headers=known)
        assert moved.status_code == 200
        assert moved.headers["ETag"] != first.headers["ETag"]


def test_the_past_can_be_read(server: InProcessServer) -> None:
    """`?at=` shows what was so at a revision."""
    with client(server) as http:
        create(http, "dev")
        http.put("/v1/environments/dev/configuration/a", json={"value": 1})
        before = http.get("/v1/environments/dev?at=1")
        assert before.json()["environment"]["overrides"]["configuration"] == {}
        assert before.headers["X-CoreConfig-Revision"] == "1"
        assert http.get("/v1/environments?at=0").json()["environments"] == []
        future = http.get("/v1/environments?at=3")
        assert (future.status_code, code_of(future)) == (404, "unknown_revision")


def test_a_minimum_that_is_not_reached_is_never_answered_with_something_older(
    server: InProcessServer,
) -> None:
    """503 with Retry-After after 2 s, and at once what is new enough."""
    with client(server) as http:
        create(http, "dev")
        late = http.get("/v1/environments", headers={"X-CoreConfig-Min-Revision": "2"})
        assert (late.status_code, code_of(late)) == (503, "behind")
        assert int(late.headers["Retry-After"]) >= 1
        there = http.get("/v1/environments", headers={"X-CoreConfig-Min-Revision": "1"})
        assert there.status_code == 200
        assert (
            code_of(http.get("/v1/environments", headers={"X-CoreConfig-Min-Revision": "x"}))
            == "bad_parameter"
        )


def test_the_revision_of_a_write_can_be_read_at_once(server: InProcessServer) -> None:
    """One's own writes are there when they are asked for by their revision."""
    with client(server) as http:
        for number in range(10):
            written = create(http, f"dev-{number}").json()["revision"]
            read = http.get("/v1/environments", headers={"X-CoreConfig-Min-Revision": str(written)})
            assert len(read.json()["environments"]) == number + 1


def test_the_log_is_paged_from_the_newest_to_the_first(server: InProcessServer) -> None:
    """Following `next` shows every revision once."""
    with client(server) as http:
        for number in range(5):
            create(http, f"dev-{number}")
        seen: list[int] = []
        before = ""
        while True:
            page = http.get(f"/v1/revisions?limit=2{before}").json()
            seen += [one["revision"] for one in page["revisions"]]
            if page["next"] is None:
                break
            before = f"&before={page['next']}"
    assert seen == [5, 4, 3, 2, 1]


def test_a_revision_shows_its_edits(server: InProcessServer) -> None:
    """Who, when, why and what."""
    with client(server) as http:
        create(http, "dev")
        http.put("/v1/environments/dev/configuration/a", json={"value": 1, "reason": "because"})
        shown = http.get("/v1/revisions/2").json()
        assert (shown["author"], shown["reason"], shown["withheld"]) == ("local", "because", 0)
        assert shown["edits"][0]["key"] == "a"
        missing = http.get("/v1/revisions/3")
        assert (missing.status_code, code_of(missing)) == (404, "unknown_revision")


def test_a_document_is_cut_to_the_keys_of_the_token(server: InProcessServer) -> None:
    """Values that the patterns of a token do not take in are neither in the document nor in the log."""
    with client(server) as http:
        create(http, "dev", overrides={"configuration": {"risk": {"max": 1}, "secret": {"x": "hidden"}}})
        http.put("/v1/environments/dev/configuration/secret.x", json={"value": "hidden too"})
        create(http, "prod", overrides={"configuration": {"y": "hidden as well"}})
        admin = new_token(http, name="root", roles=["admin"])
    with client(server, admin) as http:
        token = new_token(http, name="ann", roles=["viewer"], environments=["dev"], keys=["risk.**"])
    with client(server, token) as http:
        shown = http.get("/v1/environments/dev").json()["environment"]
        assert shown["overrides"]["configuration"] == {"risk": {"max": 1}}
        answers = [http.get(path).text for path in ("/v1/environments", "/v1/revisions/1", "/v1/revisions/2")]
        answers.append(http.get("/v1/revisions/3").text)
        assert "hidden" not in "".join(answers)
        assert "prod" not in "".join(answers)

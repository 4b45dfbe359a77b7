"""Whatever is wrong with a request, the answer is our error body with the right status."""

from __future__ import annotations

import logging
import socket

import pytest
from starlette.requests import Request
from starlette.responses import Response
from tests.integration.http_api import client, code_of

from coreconfig.server.web.operations import Operation
from coreconfig.testing.server import InProcessServer


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "body_missing"),
        (b"not json", 400, "not_json"),
        (b'{"name": "a", "name": "b"}', 400, "duplicate_member"),
        (b'{"name": NaN}', 400, "number_not_finite"),
        (b"[" * 50_000, 400, "too_deep"),
        (b"[]", 400, "bad_body"),
        (b'"' + b"x" * 1_100_000 + b'"', 413, "body_too_large"),
    ],
)
def test_a_body_that_cannot_be_taken_has_its_own_code(
    server: InProcessServer, body: bytes, status: int, code: str
) -> None:
    """Malformed, ambiguous, too deep, too large: never a 500."""
    with client(server) as http:
        answer = http.post("/v1/tokens", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, code_of(answer)) == (status, code)


def test_a_body_without_a_media_type_is_refused(server: InProcessServer) -> None:
    """Only JSON that says that it is JSON is taken, so no form of a foreign page can write."""
    with client(server) as http:
        answer = http.post("/v1/tokens", content=b"{}", headers={"Content-Type": "text/plain"})
        assert (answer.status_code, code_of(answer)) == (415, "unsupported_media_type")
        assert http.post("/v1/tokens", content=b"{}").status_code == 415


def test_a_method_that_does_not_exist_is_told_those_that_do(server: InProcessServer) -> None:
    """`Allow` lists the methods of the path, not only those of one route."""
    with client(server) as http:
        answer = http.put("/v1/environments", json={})
        assert (answer.status_code, code_of(answer)) == (405, "method_not_allowed")
        assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "POST"}
        key = http.post("/v1/environments/dev/configuration/a", json={})
        assert set(key.headers["Allow"].split(", ")) == {"GET", "HEAD", "PUT", "DELETE"}


@pytest.mark.parametrize("path", ["/nothing", "/v1", "/v1/environments/", "//v1/environments", "/v1/../v1/x"])
def test_a_path_that_does_not_exist_is_not_found(server: InProcessServer, path: str) -> None:
    """Nothing is guessed and nobody is redirected."""
    with client(server) as http:
        answer = http.get(path)
    assert (answer.status_code, code_of(answer)) == (404, "no_such_route")


def test_a_misspelt_query_parameter_is_an_error(server: InProcessServer) -> None:
    """Passed over, it would silently mean something else."""
    with client(server) as http:
        assert code_of(http.get("/v1/revisions?limt=5")) == "unknown_parameter"
        assert code_of(http.get("/v1/revisions?limit=5&limit=6")) == "repeated_parameter"
        assert code_of(http.get("/v1/revisions?limit=-1")) == "bad_parameter"


def test_who_cannot_read_json_is_told_so(server: InProcessServer) -> None:
    """406, not an answer in a form that was not asked for."""
    with client(server) as http:
        answer = http.get("/v1/environments", headers={"Accept": "text/html"})
    assert (answer.status_code, code_of(answer)) == (406, "not_acceptable")


def test_a_bug_is_answered_with_an_incident_and_nothing_of_its_cause(
    server: InProcessServer, caplog: pytest.LogCaptureFixture
) -> None:
    """The log has the traceback under the number that the answer names."""

    async def broken(request: Request) -> Response:
        raise RuntimeError("the password is swordfish")

    assert server.app is not None
    server.app.router.routes.append(Operation("GET", "/broken", broken, id="broken", summary="", tag=""))
    with caplog.at_level(logging.ERROR), client(server) as http:
        answer = http.get("/broken")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (500, "internal")
    assert "swordfish" not in answer.text
    assert error["incident"] in error["message"]
    logged = [record for record in caplog.records if error["incident"] in str(record.msg)]
    assert len(logged) == 1


def test_every_answer_has_the_security_headers(server: InProcessServer) -> None:
    """Also errors: no sniffing, no framing, no referrer, nothing loaded from elsewhere."""
    with client(server) as http:
        for answer in (http.get("/"), http.get("/nothing"), http.get("/v1/environments"), http.get("/docs")):
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["X-Frame-Options"] == "DENY"
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_pages_load_nothing_from_elsewhere(server: InProcessServer) -> None:
    """They work without a network, and tell nobody who reads them."""
    with client(server) as http:
        for path in ("/", "/docs"):
            text = http.get(path).text
            assert "://" not in text.replace(server.url, "")
            assert "<script" not in text
        listed = http.get("/docs").text
        assert "/v1/environments/{env}/configuration/{key}" in listed


def test_a_request_that_is_no_http_does_not_stop_the_server(server: InProcessServer) -> None:
    """Noise on the port is answered with 400 and forgotten."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as raw:
        raw.sendall(b"\x16\x03\x01\x02\x00 hello\r\n\r\n")
        assert b"400" in raw.recv(1024)
    with client(server) as http:
        assert http.get("/healthz").status_code == 200


def test_the_description_names_every_operation_once(server: InProcessServer) -> None:
    """Ids of operations are unique, and each describes the errors that every request can meet."""
    with client(server) as http:
        described = http.get("/openapi.json").json()
    operations = [one for methods in described["paths"].values() for one in methods.values()]
    ids = [one["operationId"] for one in operations]
    assert len(ids) == len(set(ids))
    assert described["openapi"].startswith("3.1")
    assert all("400" in one["responses"] for one in operations)
    assert all({"401", "403"} <= set(one["responses"]) for one in operations if one["security"])

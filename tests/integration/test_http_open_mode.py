"""Open mode against foreign pages, on HTTP and on the stream."""

from __future__ import annotations

import pytest
from tests.integration.http_api import client, code_of
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from coreconfig.testing.server import InProcessServer
from coreconfig.wire.frames import SUBPROTOCOL

FOREIGN = [
    ({"Host": "rebound.example"}, "foreign_host"),
    ({"Origin": "http://evil.example"}, "foreign_origin"),
    ({"Origin": "null"}, "foreign_origin"),
    ({"Sec-Fetch-Site": "cross-site"}, "foreign_origin"),
    ({"Sec-Fetch-Site": "same-site"}, "foreign_origin"),
    ({"X-Forwarded-For": "192.0.2.1"}, "forwarded"),
]


@pytest.mark.parametrize(("headers", "code"), FOREIGN)
@pytest.mark.parametrize("path", ["/v1/environments", "/metrics", "/"])
def test_a_foreign_page_gets_nothing(
    server: InProcessServer, headers: dict[str, str], code: str, path: str
) -> None:
    """Neither values nor metrics, whatever way it found to this machine."""
    with client(server) as http:
        answer = http.get(path, headers=headers)
    assert (answer.status_code, code_of(answer)) == (403, code)
    assert answer.headers["X-CoreConfig-Mode"] == "open"


def test_a_foreign_page_writes_nothing(server: InProcessServer) -> None:
    """The refusal comes before anything is done."""
    with client(server) as http:
        body = {"id": "dev", "type": "development"}
        refused = http.post("/v1/environments", json=body, headers={"Origin": "http://evil.example"})
        assert refused.status_code == 403
        assert http.get("/v1/revisions").json()["revisions"] == []


@pytest.mark.parametrize(("headers", "code"), [pair for pair in FOREIGN if "Host" not in pair[0]])
def test_a_foreign_page_opens_no_stream(server: InProcessServer, headers: dict[str, str], code: str) -> None:
    """Browsers let every page open a WebSocket, so its handshake is judged like any request."""
    url = server.url.replace("http", "ws") + "/v1/stream"
    with (
        pytest.raises(InvalidStatus) as caught,
        connect(url, subprotocols=[SUBPROTOCOL], additional_headers=headers),
    ):
        pass
    assert caught.value.response.status_code == 403
    assert code.encode() in (caught.value.response.body or b"")


def test_the_stream_of_open_mode_says_so(server: InProcessServer) -> None:
    """Every answer does, also the one that opens a WebSocket."""
    url = server.url.replace("http", "ws") + "/v1/stream"
    with connect(url, subprotocols=[SUBPROTOCOL], close_timeout=1) as connection:
        assert connection.response is not None
        assert connection.response.headers["X-CoreConfig-Mode"] == "open"

"""How the command line speaks HTTP: what it sends, what it remembers, what it makes of answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from coreconfig.cli.api import Api, Unreachable
from coreconfig.cli.remembered import Remembered
from coreconfig.errors import Conflict, Invalid, NotFound, ProtocolError, Unavailable


class ScriptedServer(ThreadingHTTPServer):
    """Answers each request with the next scripted answer; None breaks the connection instead."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answering)
        self.script: list[tuple[int, dict[str, str], Any] | None] = []
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Answering(BaseHTTPRequestHandler):
    server: ScriptedServer

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.seen.append((self.command, self.path, headers, body))
        scripted = self.server.script.pop(0)
        if scripted is None:
            self.close_connection = True
            self.connection.close()
            return
        status, more, answer = scripted
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in {**more, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_DELETE = answer  # noqa: N815  # the names are the base class's

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is the base class's
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def api(server: ScriptedServer, tmp_path: Path) -> Iterator[Api]:
    with Api(server.url, "secret", cache=tmp_path) as api:
        yield api


def test_a_read_names_the_newest_revision_that_was_seen(
    server: ScriptedServer, api: Api, tmp_path: Path
) -> None:
    """Also in the next process, and never a lower one that came later."""
    server.script = [
        (200, {"X-CoreConfig-Revision": "7"}, {}),
        (200, {"X-CoreConfig-Revision": "5"}, {}),
        (200, {}, {}),
        (200, {}, {}),
    ]
    for _ in range(3):
        api.get("/v1/x")
    with Api(server.url, cache=tmp_path) as another:
        another.get("/v1/x")
    minima = [headers.get("x-coreconfig-min-revision") for _, _, headers, _ in server.seen]
    assert minima == [None, "7", "7", "7"]


def test_a_write_raises_the_revision_that_reads_must_reach(server: ScriptedServer, api: Api) -> None:
    """So that one reads one's own writes."""
    server.script = [(200, {}, {"revision": 9}), (200, {}, {})]
    api.change([{"kind": "value"}])
    api.get("/v1/x")
    assert server.seen[1][2]["x-coreconfig-min-revision"] == "9"


def test_a_look_at_the_past_is_not_remembered(server: ScriptedServer, api: Api) -> None:
    """Reading revision 3 does not make 3 the newest, nor 99 from a body about the past."""
    server.script = [(200, {"X-CoreConfig-Revision": "99"}, {}), (200, {}, {})]
    api.get("/v1/x", at=99)
    api.get("/v1/x")
    assert "x-coreconfig-min-revision" not in server.seen[1][2]


BEHIND = (503, {}, {"error": {"code": "behind", "message": "not there yet"}})


def seven_is_seen(server: ScriptedServer, api: Api) -> None:
    server.script.append((200, {"X-CoreConfig-Revision": "7"}, {}))
    api.get("/v1/x")


def test_a_server_that_lags_is_not_read(server: ScriptedServer, api: Api) -> None:
    """Its newest revision is older than what was seen: it is the same log, and it has to catch up."""
    seven_is_seen(server, api)
    server.script = [BEHIND, (200, {}, {"revisions": [{"revision": 6, "timestamp": "2020-01-01T00:00:00Z"}]})]
    with pytest.raises(Unavailable, match="not there yet"):
        api.get("/v1/x")


@pytest.mark.parametrize("revisions", [[], [{"revision": 2, "timestamp": "2999-01-01T00:00:00Z"}]])
def test_another_installation_at_the_same_address_is_read(
    server: ScriptedServer, api: Api, revisions: list[dict[str, Any]]
) -> None:
    """An empty log, or a lower number committed after a higher one was seen, is not the log of before."""
    seven_is_seen(server, api)
    server.script = [BEHIND, (200, {}, {"revisions": revisions}), (200, {}, {"new": True}), (200, {}, {})]
    assert api.get("/v1/x").body == {"new": True}
    api.get("/v1/x")
    assert "x-coreconfig-min-revision" not in server.seen[-1][2]


def test_a_write_that_was_cut_off_is_sent_again_under_the_same_key(server: ScriptedServer, api: Api) -> None:
    """The idempotency key is what keeps it from being applied twice."""
    server.script = [None, (200, {}, {"revision": 1})]
    api.change([{"kind": "value"}], reason="because")
    (_, _, first, body), (_, _, second, again) = server.seen
    assert first["idempotency-key"] == second["idempotency-key"]
    assert body == again == b'{"edits": [{"kind": "value"}], "reason": "because", "source": "cli"}'


def test_two_writes_have_two_keys(server: ScriptedServer, api: Api) -> None:
    """Saying the same thing twice is two changes."""
    server.script = [(200, {}, {}), (200, {}, {})]
    for _ in range(2):
        api.change([{"kind": "value"}])
    first, second = (headers["idempotency-key"] for _, _, headers, _ in server.seen)
    assert first != second


def test_a_connection_that_keeps_breaking_counts_as_unreachable(server: ScriptedServer, api: Api) -> None:
    """After three attempts."""
    server.script = [None, None, None]
    with pytest.raises(Unreachable, match="broke"):
        api.get("/v1/x")


def test_nobody_there_is_unreachable(tmp_path: Path) -> None:
    """The message names the address."""
    with (
        Api("http://127.0.0.1:1", cache=tmp_path) as api,
        pytest.raises(Unreachable, match=r"127\.0\.0\.1:1"),
    ):
        api.get("/v1/x")


def test_an_error_of_the_server_is_raised_as_what_it_is(server: ScriptedServer, api: Api) -> None:
    """Class, code, issues and revision survive the way."""
    issue = {"code": "conflict", "severity": "HIGH", "key": "a.b", "message": "alice was faster"}
    error = {"code": "conflict", "message": "somebody was faster", "issues": [issue], "revision": 4}
    server.script = [(409, {}, {"error": error})]
    with pytest.raises(Conflict) as caught:
        api.change([])
    assert (caught.value.code, caught.value.revision) == ("conflict", 4)
    assert caught.value.issues[0].key == "a.b"


def test_only_the_expected_absence_is_an_answer(server: ScriptedServer, api: Api) -> None:
    """`find` does not take another "not found" for the one it asked about."""
    absent = (404, {}, {"error": {"code": "unknown_environment", "message": "none"}})
    other = (404, {}, {"error": {"code": "unknown_route", "message": "none"}})
    server.script = [absent, other]
    assert api.find("/v1/x", "unknown_environment") is None
    with pytest.raises(NotFound):
        api.find("/v1/x", "unknown_environment")


def test_something_else_than_coreconfig_is_named_as_such(server: ScriptedServer, api: Api) -> None:
    """A login page of a proxy is no configuration."""
    server.script = [(200, {}, b"<html>")]
    with pytest.raises(ProtocolError, match="is it a CoreConfig server"):
        api.get("/v1/x")


@pytest.mark.parametrize("url", ["localhost:8400", "ftp://x", "http://", ""])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    """Before anything is sent."""
    with pytest.raises(Invalid, match="write http://HOST:PORT"):
        Api(url)


def test_a_cache_folder_that_cannot_be_written_costs_nothing_but_the_memory(tmp_path: Path) -> None:
    """The command goes on; within it the revision is still known."""
    (tmp_path / "file").write_text("")
    remembered = Remembered("http://a", tmp_path / "file")
    remembered.saw(3)
    assert remembered.revision == 3
    assert Remembered("http://a", tmp_path / "file").revision is None

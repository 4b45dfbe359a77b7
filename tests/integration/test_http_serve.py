"""Starting and stopping the server."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from tests.integration.http_api import client, create
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from coreconfig.errors import Conflict, CoreConfigError, Invalid
from coreconfig.server.serve import address_of, bind, check_exposure, serve
from coreconfig.server.settings import Settings
from coreconfig.testing.server import InProcessServer
from coreconfig.wire.frames import SUBPROTOCOL


def settings(tmp_path: Path, **given: object) -> Settings:
    return replace(Settings(database_url=f"sqlite:///{tmp_path / 'server.db'}", port=0), **given)  # type: ignore[arg-type]  # fields by name


def test_a_port_in_use_is_told_with_what_to_do(server: InProcessServer, tmp_path: Path) -> None:
    """Before the database is touched."""
    with pytest.raises(CoreConfigError, match="--port") as caught:
        serve(settings(tmp_path, port=server.port))
    assert caught.value.code == "port_in_use"
    assert not (tmp_path / "server.db").exists()


def test_a_host_that_is_not_here_is_told(tmp_path: Path) -> None:
    """Neither a name that does not resolve nor an address of somebody else."""
    for host in ("192.0.2.1", "no such host"):
        with pytest.raises(Invalid) as caught:
            bind(host, 0)
        assert caught.value.code == "bad_host"


def test_a_second_server_on_the_same_file_is_refused(server: InProcessServer) -> None:
    """Two writers of one file would each believe to be the only one."""
    with pytest.raises(Conflict) as caught, InProcessServer(replace(server.settings, port=0)):
        pass
    assert caught.value.code == "database_in_use"


@pytest.mark.parametrize(
    ("given", "has_tokens", "code"),
    [
        ({"host": "0.0.0.0"}, True, "plain_text_exposed"),  # noqa: S104 - it is refused, that is the test
        ({"host": "192.0.2.1"}, False, "plain_text_exposed"),
        ({"host": "0.0.0.0", "behind_proxy": True}, False, "open_mode_exposed"),  # noqa: S104 - the same
        ({"behind_proxy": True}, False, "open_mode_exposed"),
    ],
)
def test_nobody_is_exposed_by_accident(
    tmp_path: Path, given: dict[str, object], has_tokens: bool, code: str
) -> None:
    """Plain text and open mode stay on this machine."""
    with pytest.raises(Invalid) as caught:
        check_exposure(settings(tmp_path, **given), has_tokens=has_tokens)
    assert caught.value.code == code


def test_with_tokens_and_a_proxy_the_server_may_be_reached(tmp_path: Path) -> None:
    """What was set up on purpose is not refused."""
    check_exposure(settings(tmp_path, host="0.0.0.0", behind_proxy=True), has_tokens=True)  # noqa: S104 - allowed
    check_exposure(settings(tmp_path), has_tokens=False)


def test_a_restart_keeps_port_and_database(server: InProcessServer) -> None:
    """So that clients find it again."""
    url = server.url
    server.restart()
    assert server.url == url


def test_an_ipv6_address_is_written_as_a_url() -> None:
    """With brackets."""
    listening = bind("::1", 0)
    with listening:
        assert address_of(listening).startswith("http://[::1]:")


def test_a_server_that_leaves_says_goodbye_to_its_streams(server: InProcessServer) -> None:
    """`bye`, then close code 1012, which means: come back with some delay."""
    with client(server) as http:
        create(http, "dev", services={"shop": {"configuration": {"x": 1}}})
    url = server.url.replace("http", "ws") + "/v1/stream"
    with connect(url, subprotocols=[SUBPROTOCOL], close_timeout=1) as connection:
        connection.send('{"type": "hello", "service": "shop", "environment": "dev", "instance": "shop-1"}')
        seen = [str(connection.recv(timeout=5))]
        server.stop()
        with suppress(ConnectionClosed):
            while True:
                seen.append(str(connection.recv(timeout=5)))
    assert '"bye"' in seen[-1]
    assert connection.close_code == 1012

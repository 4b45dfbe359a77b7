"""In open mode only this machine is served, and no page of a foreign site on it."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from coreconfig.errors import Denied
from coreconfig.server.identity.open_mode import check_local, is_loopback

LOCAL = {"host": "127.0.0.1:8400"}


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:8400", "localhost", "LOCALHOST:1", "[::1]:8400", "127.9.9.9:1"]
)
def test_a_loopback_name_is_served(host: str) -> None:
    """Every name that can only mean this machine will do."""
    check_local(Headers({"host": host}), "127.0.0.1")


@pytest.mark.parametrize(
    "host",
    [
        "example.com",
        "localhost.example.com",
        "127.0.0.1.example.com",
        "0.0.0.0",  # noqa: S104 - a name in a header, nothing is bound
        "10.0.0.1:8400",
        "",
        "[::2]:1",
        "localhost:1@example.com",
        "localhost:x",
    ],
)
def test_a_host_that_could_be_elsewhere_is_refused(host: str) -> None:
    """A foreign name that was pointed at this machine (DNS rebinding) keeps its name in `Host`."""
    with pytest.raises(Denied) as caught:
        check_local(Headers({"host": host}), "127.0.0.1")
    assert caught.value.code == "foreign_host"


@pytest.mark.parametrize(
    "origin", ["http://example.com", "null", "http://127.0.0.1:3000", "http://localhost:8400", "file://"]
)
def test_a_page_of_another_origin_is_refused(origin: str) -> None:
    """Also a page of another program on this machine, and one that hides its origin."""
    with pytest.raises(Denied) as caught:
        check_local(Headers({**LOCAL, "origin": origin}), "127.0.0.1")
    assert caught.value.code == "foreign_origin"


def test_the_servers_own_page_is_served() -> None:
    """`/docs` may ask."""
    check_local(Headers({**LOCAL, "origin": "http://127.0.0.1:8400", "sec-fetch-site": "same-origin"}), "::1")


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_what_the_browser_calls_another_site_is_refused(site: str) -> None:
    """A request without `Origin`, such as an image, is known by `Sec-Fetch-Site`."""
    with pytest.raises(Denied):
        check_local(Headers({**LOCAL, "sec-fetch-site": site}), "127.0.0.1")


@pytest.mark.parametrize("name", ["x-forwarded-for", "forwarded", "via", "x-forwarded-host"])
def test_what_a_proxy_passes_on_is_refused(name: str) -> None:
    """Behind a proxy everybody looks local."""
    with pytest.raises(Denied) as caught:
        check_local(Headers({**LOCAL, name: "x"}), "127.0.0.1")
    assert caught.value.code == "forwarded"


def test_a_peer_from_elsewhere_is_refused() -> None:
    """Whatever it claims in its headers."""
    with pytest.raises(Denied):
        check_local(Headers(LOCAL), "192.0.2.1")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1", "[::1]"])
def test_loopback_is_known_in_all_its_spellings(host: str) -> None:
    """Names and addresses, with and without brackets."""
    assert is_loopback(host)

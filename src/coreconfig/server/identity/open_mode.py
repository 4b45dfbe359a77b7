"""Open mode: as long as no token exists, whoever sits at this machine may do everything, and nobody else.

A page of a foreign site can make the browser of that person send requests to a loopback address, directly or
by a name of its own that it points there (DNS rebinding). So the ``Host`` has to be a loopback name, and what
a browser says of the page that asks (``Origin``, ``Sec-Fetch-Site``) has to be this server itself.
"""

from __future__ import annotations

import ipaddress
import re

from starlette.datastructures import Headers

from coreconfig.errors import Denied

MODE_HEADER = "X-CoreConfig-Mode"
_HOST = re.compile(r"(\[[^\[\]@]*\]|[^:@\[\]]*)(?::[0-9]*)?")
_FORWARDING = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


def is_loopback(host: str) -> bool:
    """Whether a host name or address, without port, can only mean this machine."""
    name = host.removeprefix("[").removesuffix("]")
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def check_local(headers: Headers, peer: str | None) -> None:
    """Raise `Denied` unless the request comes from this machine and from no foreign page.

    Codes: ``foreign_peer``, ``foreign_host``, ``foreign_origin``, ``forwarded``.
    """
    if peer is not None and not is_loopback(peer):
        raise _denied("foreign_peer", f"it came from {peer}")
    forwarded = next((name for name in _FORWARDING if name in headers), None)
    if forwarded is not None:
        raise _denied("forwarded", f"a proxy passed it on ({forwarded})")
    _check_host(headers)
    _check_page(headers)


def _check_host(headers: Headers) -> None:
    hosts = headers.getlist("host")
    if len(hosts) != 1 or not is_loopback(_without_port(hosts[0])):
        raise _denied("foreign_host", f"it asks for the host {', '.join(hosts)[:120] or 'of no name'!r}")


def _check_page(headers: Headers) -> None:
    host = headers["host"].lower()
    for origin in headers.getlist("origin"):
        if origin.lower() not in (f"http://{host}", f"https://{host}"):
            raise _denied("foreign_origin", f"a page of {origin[:120]!r} sent it")
    for site in headers.getlist("sec-fetch-site"):
        if site.lower() not in ("same-origin", "none"):
            raise _denied("foreign_origin", f"a page of another site sent it ({site[:40]!r})")


def _without_port(host: str) -> str:
    """The name or address in a ``Host`` header; nothing if it holds anything but that and a port."""
    found = _HOST.fullmatch(host)
    return found.group(1) if found else ""


def _denied(code: str, what: str) -> Denied:
    return Denied(
        "this server has no tokens yet and serves this machine only, and the request does not belong to it:"
        f" {what}; use a loopback address, or create a token",
        code=code,
    )

"""Running the server: a socket of its own, uvicorn as the stream needs it, and no exposure by accident."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Callable
from typing import Any

import uvicorn

from coreconfig.errors import CoreConfigError, Invalid
from coreconfig.server.app import Services, application, build
from coreconfig.server.delivery.socket import UVICORN_OPTIONS
from coreconfig.server.identity.open_mode import is_loopback
from coreconfig.server.identity.queries import version_of
from coreconfig.server.logs import configure, get_logger
from coreconfig.server.settings import Settings
from coreconfig.server.web.arriving import RequestProtocol

log = get_logger("coreconfig.server")

_BACKLOG = 2048


def bind(host: str, port: int) -> socket.socket:
    """A listening address; port 0 takes a free one.

    Raises `CoreConfigError` with code ``port_in_use``, ``port_forbidden`` or ``bad_host``.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise Invalid(f"{host!r} is no address of this machine: {error}", code="bad_host") from None
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        listening.close()
        raise _not_bound(host, port, error) from None
    listening.set_inheritable(False)
    return listening


def _not_bound(host: str, port: int, error: OSError) -> CoreConfigError:
    if error.errno == errno.EADDRINUSE:
        return CoreConfigError(
            f"port {port} of {host} is taken by another program: stop that one, or choose another with --port"
            " (0 takes a free one)",
            code="port_in_use",
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return CoreConfigError(
            f"this user may not listen on port {port}; choose one above 1023 with --port",
            code="port_forbidden",
        )
    return Invalid(f"{host!r} is no address of this machine: {error.strerror}", code="bad_host")


def check_exposure(settings: Settings, *, has_tokens: bool) -> None:
    """Refuse to be reachable by others without protection.

    Raises `Invalid`: ``plain_text_exposed`` (neither TLS nor a proxy that speaks it), ``open_mode_exposed``
    (no token exists, so everybody could do everything).
    """
    local = is_loopback(settings.host)
    if not local and settings.tls_cert is None and not settings.behind_proxy:
        raise Invalid(
            f"--host {settings.host} would send tokens and values in plain text through the network: give"
            " --tls-cert and --tls-key, or --behind-proxy if something in front of the server speaks TLS,"
            " or listen on 127.0.0.1",
            code="plain_text_exposed",
        )
    if not has_tokens and (not local or settings.behind_proxy):
        raise Invalid(
            "no token exists yet, and without one everybody who reaches the server could do everything: start"
            " it on 127.0.0.1 without --behind-proxy, create the first token there (coreconfig token create"
            " NAME --role admin), then start it as you meant to",
            code="open_mode_exposed",
        )


def configuration(services: Services) -> uvicorn.Config:
    """uvicorn for these services: its own logging off, the stream's options on."""
    settings = services.settings
    options: dict[str, Any] = dict(UVICORN_OPTIONS)
    return uvicorn.Config(
        application(services),
        host=settings.host,
        port=settings.port,
        lifespan="on",
        http=RequestProtocol,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=settings.behind_proxy,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=max(1, round(settings.shutdown_grace)),
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
        **options,
    )


def serve(settings: Settings, *, ready: Callable[[str], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT; `ready` is called with the address once it answers.

    Raises `CoreConfigError` when it cannot start: what `bind`, `build` and `check_exposure` raise, and
    ``bad_certificate``.
    """
    listening = bind(settings.host, settings.port)
    try:
        configure(settings.log_level)
        services = build(settings)
        try:
            check_exposure(settings, has_tokens=services.database.read(version_of) != (0, 0))
            server = Server(_loaded(configuration(services)), ready)
        except BaseException:
            services.database.close()
            raise
        server.run(sockets=[listening])
    finally:
        listening.close()


def _loaded(config: uvicorn.Config) -> uvicorn.Config:
    try:
        config.load()
    except (ssl.SSLError, OSError) as error:
        raise Invalid(f"the certificate or its key cannot be used: {error}", code="bad_certificate") from None
    return config


class Server(uvicorn.Server):
    """uvicorn's server, which lets the streams say goodbye before it cuts them, and says when it answers."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[str], None] | None = None) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell who waits for it."""
        await super().startup(sockets)
        if self.started and sockets:
            url = address_of(sockets[0], secure=self.config.is_ssl)
            log.info("listening", url=url)
            if self._ready is not None:
                self._ready(url)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Send the streams home with a word, which uvicorn itself has none for; then stop as always."""
        application: Any = self.config.app
        await application.state.services.hub.stop()
        await super().shutdown(sockets)


def address_of(listening: socket.socket, *, secure: bool = False) -> str:
    """The URL at which a socket is reached."""
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if secure else 'http'}://{shown}:{port}"

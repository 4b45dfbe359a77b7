"""`serve`: the server in this process."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from coreconfig.errors import CoreConfigError

_DATABASE = (
    "Where everything is stored: a path is an SQLite file, postgresql://USER@HOST/NAME a server's database."
    " Else sqlite:///coreconfig.db."
)


@click.command(context_settings={"auto_envvar_prefix": "CORECONFIG_SERVER"})
@click.option("--database", metavar="URL", envvar="CORECONFIG_DATABASE", help=_DATABASE)
@click.option("--host", metavar="ADDRESS", help="The address to listen on; else 127.0.0.1.")
@click.option("--port", type=click.IntRange(0, 65535), help="Else 8400; 0 takes a free one.")
@click.option(
    "--tls-cert", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Certificate (PEM)."
)
@click.option(
    "--tls-key", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Its key (PEM)."
)
@click.option("--behind-proxy", is_flag=True, default=None, help="Something in front of it speaks TLS.")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="Else info.")
@click.option(
    "--stop-with-stdin", is_flag=True, help="Stop when standard input closes: do not outlive who began it."
)
def serve(*, database: str | None, stop_with_stdin: bool, **given: Any) -> None:
    """Start the server; Ctrl-C stops it.

    As long as no token exists it listens on this machine only, and everybody on it may do everything. Each
    option can be given as CORECONFIG_SERVER_<OPTION> too.
    """
    try:
        from coreconfig.server.serve import serve as run_server
        from coreconfig.server.settings import Settings
    except ModuleNotFoundError as error:
        raise not_installed(error) from error
    chosen = {name: value for name, value in given.items() if value is not None}
    if database is not None:
        chosen["database_url"] = database_url(database)
    settings = Settings(**chosen)
    if stop_with_stdin:
        threading.Thread(target=_stop_at_end_of_input, daemon=True).start()
    with suppress(KeyboardInterrupt):  # Ctrl-C is how a person stops it, not a failure
        run_server(settings, ready=_say_ready)


def _say_ready(url: str) -> None:
    click.echo(f"serving at {url}, stop with Ctrl-C", err=True)


def database_url(text: str) -> str:
    """A database address; a plain path means an SQLite file."""
    return text if "://" in text else f"sqlite:///{text}"


def not_installed(error: ModuleNotFoundError) -> CoreConfigError:
    """What to tell somebody who has only the base install; our own missing module is a fault of ours."""
    if (error.name or "").startswith("coreconfig"):
        raise error
    return CoreConfigError(f"the server needs {error.name}, which is not here", code="server_not_installed")


def _stop_at_end_of_input() -> None:
    while sys.stdin.buffer.read(1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)

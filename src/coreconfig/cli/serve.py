"""`serve`: the server in this process."""

from __future__ import annotations

import os
import signal
import sys
import threading

import click

from coreconfig.errors import CoreConfigError


@click.command()
@click.option(
    "--database",
    metavar="URL",
    envvar="CORECONFIG_DATABASE",
    default="sqlite:///coreconfig.db",
    show_default=True,
    help="Where everything is stored; a plain path is an SQLite file.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8400, show_default=True)
@click.option(
    "--stop-with-stdin", is_flag=True, help="Stop when standard input closes: never outlive who began it."
)
def serve(*, database: str, host: str, port: int, stop_with_stdin: bool) -> int:
    """Start the server; Ctrl-C stops it.

    As long as no token exists it listens on this machine only, and everybody on it may do everything.
    """
    if stop_with_stdin:
        threading.Thread(target=_stop_at_end_of_input, daemon=True).start()
    try:
        from coreconfig.server.serve import serve as run_server
        from coreconfig.server.settings import Settings
    except ModuleNotFoundError as error:
        raise not_installed(error) from error
    run_server(Settings(database_url=database_url(database), host=host, port=port))
    return 0


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

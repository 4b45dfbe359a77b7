"""What commands share that work on the database itself, on its host and without a server."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from coreconfig.cli.output import Output
from coreconfig.cli.serve import database_url, not_installed


def on_the_host(command: Callable[..., int | None]) -> Callable[..., Any]:
    """Add `--database` and `--json`, and call the command with the database's URL and an `Output` first."""

    @click.option(
        "--database",
        metavar="URL",
        envvar="CORECONFIG_DATABASE",
        default="sqlite:///coreconfig.db",
        show_default=True,
        help="The database; a plain path is an SQLite file.",
    )
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    @click.pass_context
    @functools.wraps(command)
    def wrapped(ctx: click.Context, /, *, database: str, as_json: bool, **rest: Any) -> int | None:
        out = Output(as_json or bool(ctx.find_root().params.get("as_json")))
        try:
            return command(database_url(database), out, **rest)
        except ModuleNotFoundError as error:
            raise not_installed(error) from error

    return wrapped

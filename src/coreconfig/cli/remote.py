"""What every command that talks to a server shares: its options, and the connection they describe."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from coreconfig.cli.output import Output
from coreconfig.errors import KeyNotFound, NotFound

if TYPE_CHECKING:
    from coreconfig.cli.api import Api

DEFAULT_URL = "http://127.0.0.1:8400"


def remote(command: Callable[..., int | None]) -> Callable[..., Any]:
    """Add `--url`, `--token` and `--json`, and call the command with an `Api` and an `Output` first.

    The three may also stand before the command's name.
    """

    @click.option("--url", metavar="URL", help=f"The server; else CORECONFIG_URL, else {DEFAULT_URL}.")
    @click.option("--token", metavar="TOKEN", help="Who you are; else CORECONFIG_TOKEN.")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    @click.pass_context
    @functools.wraps(command)
    def wrapped(
        ctx: click.Context, /, *, url: str | None, token: str | None, as_json: bool, **rest: Any
    ) -> int | None:
        from coreconfig.cli.api import Api

        before = ctx.find_root().params
        chosen = url or before.get("url") or os.environ.get("CORECONFIG_URL") or DEFAULT_URL
        secret = token or before.get("token") or os.environ.get("CORECONFIG_TOKEN")
        with Api(chosen, secret) as api:
            try:
                return command(api, Output(as_json or bool(before.get("as_json"))), **rest)
            except (NotFound, KeyNotFound) as error:
                _add_suggestion(api, error, rest)
                raise

    return wrapped


def _add_suggestion(api: Api, error: NotFound | KeyNotFound, arguments: dict[str, Any]) -> None:
    from coreconfig.cli.near import suggestion

    if meant := suggestion(api, error, arguments):
        error.add_note(meant)

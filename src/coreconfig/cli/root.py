"""The `coreconfig` command: knows the names of all others, and loads the one that is called."""

from __future__ import annotations

import difflib
import os
from importlib import import_module
from typing import Any

import click

from coreconfig import __version__

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo:demo", "Show the whole way: a server, four services, a change that reaches them"),
    "serve": ("serve:serve", "Start the server"),
    "migrate": ("migrate:migrate", "Bring a database to this version"),
    "apply": ("files:apply", "Make environments what their files say"),
    "export": ("files:export", "Write an environment as a file"),
    "show": ("values:show", "Show a resolved configuration"),
    "get": ("values:get", "Print one value"),
    "set": ("values:set_", "Set one value"),
    "unset": ("values:unset", "Remove what is inherited at a key"),
    "delete": ("values:delete", "Take a key out of a layer, so that it is inherited again"),
    "explain": ("explain:explain", "Tell where a value comes from"),
    "history": ("explain:history", "List the revisions that moved a value"),
    "diff": ("diff:diff", "Compare two resolved configurations"),
    "revert": ("revert:revert", "Take a revision back"),
    "watch": ("watch:watch", "Print changes as they arrive"),
    "fleet": ("fleet:fleet", "List running instances and what they run"),
    "env": ("env:env", "Environments: list, show, create, delete"),
    "change": ("change:change", "Changes: list, show"),
    "backup": ("backup:backup", "Copy the database while the server runs"),
    "restore": ("restore:restore", "Put a backup in the place of the database"),
    "epoch": ("epoch:epoch", "Epochs: begin one, after a database went back"),
    "compact": ("compact:compact", "Drop revisions that nobody needs any more"),
    "token": ("token:token", "Tokens: create, list, revoke"),
}


class LazyGroup(click.Group):
    """A group whose commands are loaded when they are called; its help knows them without loading."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order in which a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, loaded now; None when there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(f"coreconfig.cli.{module}"), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the arguments begin with; an unknown one is answered with the nearest names."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], COMMANDS, n=2)
            meant = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
            ctx.fail(f"There is no command {args[0]!r}.{meant}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands with their short help, without loading any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--url", metavar="URL", help="The server; else CORECONFIG_URL, else http://127.0.0.1:8400.")
@click.option("--token", metavar="TOKEN", help="Who you are; else CORECONFIG_TOKEN.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.version_option(__version__, "-V", "--version", prog_name="coreconfig", message="%(prog)s %(version)s")
@click.pass_context
def root(ctx: click.Context, /, **_: Any) -> None:
    """Configuration that changes while services run.

    Standard output is data, standard error is for people. Exit status: 0 done, 1 failure, 2 wrong usage,
    3 refused, 4 waiting for approval, 5 server unreachable.
    """
    if os.environ.get("NO_COLOR"):
        ctx.color = False

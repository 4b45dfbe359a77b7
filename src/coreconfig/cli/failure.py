"""How failures look to a person, and which exit status they have."""

from __future__ import annotations

import json

import click

from coreconfig import errors
from coreconfig.cli.output import wrapped
from coreconfig.errors import CoreConfigError, Issue
from coreconfig.wire.codes import body_of

DONE, FAILED, USAGE, REFUSED, WAITING, UNREACHABLE, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130

_REFUSALS = (
    errors.Invalid,
    errors.ConfigValidationError,
    errors.NotAuthenticated,
    errors.Denied,
    errors.Conflict,
)

_WRONG_USAGE = {"bad_url", "bad_target"}

HINTS = {
    "not_authenticated": "pass `--token` or set `CORECONFIG_TOKEN`",
    "bad_token": "an administrator makes another with `coreconfig token create`",
    "denied": "ask an administrator for a token that may do this",
    "unreachable": "start a server with `coreconfig serve`, or name one with `--url` or `CORECONFIG_URL`",
    "unknown_environment": "`coreconfig env list` shows the environments",
    "unknown_service": "`coreconfig env list` shows the services too",
    "key_not_found": "`coreconfig show ENV[/SERVICE]` lists the keys",
    "conflict": "read the value again, then decide anew",
    "inherits_unknown": "apply the parent too, in the same command",
    "storage_full": "make room on the server's disk; it goes on by itself",
    "behind": "try again in a moment",
    "server_not_installed": 'install the server with: pip install "coreconfig[server]"',
}


def status_of(error: CoreConfigError) -> int:
    """The exit status for an error."""
    if error.code == "unreachable":
        return UNREACHABLE
    if error.code in _WRONG_USAGE:
        return USAGE
    return REFUSED if isinstance(error, _REFUSALS) else FAILED


def report(error: CoreConfigError, *, as_json: bool = False) -> None:
    """Print what went wrong, each issue, and what to do; as JSON for programs that asked for JSON."""
    if as_json:
        click.echo(json.dumps(body_of(error), ensure_ascii=False), err=True)
        return
    _tell("error:", "red", f"{error.message} [{error.code}]")
    for issue in error.issues:
        if (issue.code, issue.message) != (error.code, error.message):
            click.echo(wrapped(f"  - {_line(issue)}", 2), err=True)
    notes: list[str] = getattr(error, "__notes__", [])
    hints = [*notes, *([HINTS[error.code]] if error.code in HINTS else [])]
    if hints:
        click.echo(err=True)
        _tell("hint:", "cyan", " ".join(hints))


def _tell(word: str, colour: str, text: str) -> None:
    styled = click.style(word, fg=colour, bold=True)
    click.echo(styled + wrapped(f"{word} {text}", 2).removeprefix(word), err=True)


def _line(issue: Issue) -> str:
    """An issue with its key in front, unless its message names the place already."""
    return f"{issue.message} [{issue.code}]" if names_place(issue) else str(issue)


def names_place(issue: Issue) -> bool:
    """Whether the message of an issue names its key."""
    return issue.key is None or f"{issue.key}:" in issue.message or f"{issue.key!r}" in issue.message

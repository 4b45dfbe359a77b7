"""Arguments: what is named on the command line, checked before anything is sent."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import click

from coreconfig.errors import Invalid
from coreconfig.model.keys import check_id, format_key, parse_key, parse_pattern
from coreconfig.model.values import decode_json


@dataclass(frozen=True, slots=True)
class Target:
    """An environment, or a service in one; `at` is a past revision, None for now."""

    environment: str
    service: str | None = None
    at: int | None = None

    def __str__(self) -> str:
        return f"{self.environment}/{self.service}" if self.service else self.environment

    def path(self, *rest: str) -> str:
        """The address of something that belongs to the target; the parts are quoted."""
        parts = ["environments", self.environment]
        if self.service:
            parts += ["services", self.service]
        return "/v1/" + "/".join(quote(part, safe="") for part in [*parts, *rest])


def read_target(text: str) -> Target:
    """The target that ``ENV`` or ``ENV/SERVICE`` names."""
    if "@" in text:
        raise click.BadParameter(
            f"{text!r}: only `diff` takes a revision here; elsewhere there is --at REVISION"
        )
    environment, slash, service = text.partition("/")
    _checked("environment", environment)
    if slash:
        _checked("service", service)
    return Target(environment, service or None)


def read_dated_target(text: str) -> Target:
    """The same, and ``ENV[/SERVICE]@REVISION`` for how it was."""
    where, mark, at = text.partition("@")
    if mark and not at.isdecimal():
        raise click.BadParameter(f"{at!r} is not a revision")
    found = read_target(where)
    return Target(found.environment, found.service, int(at) if mark else None)


def read_environment(text: str) -> str:
    """The id of an environment."""
    return _checked("environment", text)


def read_key(text: str) -> str:
    """A key in its canonical spelling."""
    try:
        return format_key(parse_key(text))
    except Invalid as error:
        raise click.BadParameter(error.message) from None


def read_pattern(text: str) -> str:
    """A pattern of keys."""
    try:
        return parse_pattern(text).text
    except Invalid as error:
        raise click.BadParameter(error.message) from None


def _checked(what: str, text: str) -> str:
    try:
        return check_id(what, text)
    except Invalid as error:
        raise click.BadParameter(error.message) from None


def target_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    """The argument ``ENV[/SERVICE]``."""
    return click.argument("target", metavar="ENV[/SERVICE]", type=read_target)(command)


def key_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    """The argument ``KEY``."""
    return click.argument("key", metavar="KEY", type=read_key)(command)


def read_value(text: str) -> Any:
    """A value as typed: JSON where the text is JSON, else the text itself.

    Raises `Invalid` for text that is JSON but holds what no value may, such as a member twice.
    """
    try:
        json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return text
    return decode_json(text, "value")


def doubt_about(value: Any) -> str | None:
    """A word about a text that may have been meant as something else; None for any other value."""
    if not isinstance(value, str):
        return None
    if value in _NEARLY_JSON:
        return f"note: {value} is not JSON, so it is stored as a text; JSON writes {_NEARLY_JSON[value]}"
    if value[:1] in ("{", "["):
        return "note: this is not JSON, so it is stored as a text; --string says that without this note"
    return None


_NEARLY_JSON = {
    "True": "true",
    "False": "false",
    "None": "null",
    "NaN": "no such number",
    "Infinity": "no such number",
    "-Infinity": "no such number",
}


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")

"""Parameters of operations: one object says what a parameter is called, documents it and reads it.

Everything is strict: a number is decimal digits, a flag is ``true`` or ``false``; what cannot be read is
`Invalid` (``bad_parameter``, or the code of the rule that an id or key breaks).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from starlette.requests import Request

from coreconfig.errors import Invalid
from coreconfig.model.keys import MAX_KEY_BYTES, Path, Pattern, check_id, parse_key, parse_pattern

T = TypeVar("T")
Place = Literal["path", "query", "header"]

MAX_REVISION = 2**53


@dataclass(frozen=True)
class Parameter(Generic[T]):
    """A named input outside the body; `default` stands in where it is optional and absent."""

    name: str
    place: Place
    read: Callable[[str], T]
    default: T
    schema: dict[str, Any] = field(default_factory=dict)
    about: str = ""
    example: str | int | None = None
    conditional: bool = False
    """A header that asks for more than the operation: described in its text, since no single value of it is
    right or wrong by itself."""

    def of(self, request: Request) -> T:
        """Its value in this request. Raises `Invalid`."""
        text = self._text(request)
        if text is None:
            return self.default
        try:
            return self.read(text)
        except Invalid as error:
            if error.code != "bad_parameter":
                raise
            raise Invalid(f"parameter {self.name!r}: {error.message}", code="bad_parameter") from None

    def _text(self, request: Request) -> str | None:
        if self.place == "path":
            return str(request.path_params[self.name])
        if self.place == "query":
            return request.query_params.get(self.name)
        return request.headers.get(self.name)

    def documentation(self) -> dict[str, Any]:
        """The OpenAPI parameter object."""
        described = {
            "name": self.name,
            "in": self.place,
            "required": self.place == "path",
            "description": self.about,
            "schema": self.schema,
        }
        return described if self.example is None else {**described, "example": self.example}

    def in_words(self) -> str:
        """The sentence about a conditional header."""
        return f"Takes the header `{self.name}`: {self.about}."


def _bad(message: str) -> Invalid:
    return Invalid(message, code="bad_parameter")


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """A reader of decimal digits within bounds, both included."""

    def read(text: str) -> int:
        plain = text.isascii() and text.isdigit() and len(text) <= 20
        if not plain or not low <= int(text) <= high:
            raise _bad(f"{text[:40]!r} is not a whole number from {low} to {high}")
        return int(text)

    return read


def flag(text: str) -> bool:
    """``true`` or ``false``."""
    if text not in ("true", "false"):
        raise _bad(f"{text[:40]!r} is neither true nor false")
    return text == "true"


def one_of(choices: Sequence[str]) -> Callable[[str], str]:
    """A reader of one of a few words."""

    def read(text: str) -> str:
        if text not in choices:
            raise _bad(f"{text[:40]!r} is not one of {', '.join(choices)}")
        return text

    return read


def text(limit: int) -> Callable[[str], str]:
    """A reader of any text of at most `limit` characters."""

    def read(said: str) -> str:
        if len(said) > limit:
            raise _bad(f"use at most {limit} characters")
        return said

    return read


def matching(pattern: str) -> Callable[[str], str]:
    """A reader of a text that fits a regular expression as a whole."""
    fits = re.compile(pattern).fullmatch

    def read(text: str) -> str:
        if not fits(text):
            raise _bad(f"{text[:80]!r} does not fit {pattern}")
        return text

    return read


def _id(what: str) -> Callable[[str], str]:
    return lambda text: check_id(what, text)


ID_SCHEMA: dict[str, Any] = {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,62}$"}
KEY_SCHEMA: dict[str, Any] = {
    "type": "string",
    "pattern": r"^[A-Za-z0-9_-]{1,15}(\.[A-Za-z0-9_-]{1,15}){0,7}$",
    "maxLength": MAX_KEY_BYTES,
}
"""The keys that need no quoting, and not even all of these; the grammar itself is in the reference."""
REVISION_SCHEMA: dict[str, Any] = {"type": "integer", "minimum": 0, "maximum": MAX_REVISION}
TOKEN_ID_SCHEMA: dict[str, Any] = {"type": "string", "pattern": "^[a-z0-9]{12}$"}

_revision = whole_number(0, MAX_REVISION)


def _switch(name: str, about: str) -> Parameter[bool]:
    """Something that is off unless asked for."""
    return Parameter(name, "query", flag, default=False, schema={"type": "boolean"}, about=about)


ENV = Parameter(
    "env", "path", _id("environment"), "", ID_SCHEMA, "id of an environment", example="trading-demo"
)
SERVICE = Parameter(
    "service", "path", _id("service"), "", ID_SCHEMA, "id of a service", example="trading-engine"
)
INSTANCE = Parameter("instance", "path", _id("instance"), "", ID_SCHEMA, "id of an instance")
KEY: Parameter[Path] = Parameter(
    "key", "path", parse_key, (), KEY_SCHEMA, "path of segments, with dots", example="risk.maxPositionSize"
)
CHANGE = Parameter(
    "id",
    "path",
    matching(r"[A-Za-z0-9-]{1,64}"),
    "",
    {"type": "string", "pattern": "^[A-Za-z0-9-]{1,64}$"},
    "id of a change",
)
REVISION = Parameter("n", "path", _revision, 0, REVISION_SCHEMA, "number of a revision", example=1)
TOKEN = Parameter("token_id", "path", matching(r"[a-z0-9]{12}"), "", TOKEN_ID_SCHEMA, "public id of a token")

PATH_PARAMETERS: dict[str, Parameter[Any]] = {
    parameter.name: parameter for parameter in (ENV, SERVICE, INSTANCE, KEY, CHANGE, REVISION, TOKEN)
}

LIMIT = Parameter(
    "limit",
    "query",
    whole_number(1, 1000),
    100,
    {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
    "how many entries the answer lists at most",
)
BEFORE: Parameter[int | None] = Parameter(
    "before",
    "query",
    _revision,
    None,
    REVISION_SCHEMA,
    "only what came before this revision: `next` of the last page",
)
AT: Parameter[int | None] = Parameter(
    "at", "query", _revision, None, REVISION_SCHEMA, "read the state at this revision instead of the newest"
)
FLAT = _switch("flat", "one member for each leaf, by canonical key")
EXPLAIN = _switch("explain", "say which layer gave each leaf")
DRY_RUN = _switch("dry_run", "check and show the effect, store nothing")
PREFIX: Parameter[Path] = Parameter(
    "prefix", "query", parse_key, (), KEY_SCHEMA, "only the subtree at this key", example="risk"
)
PATTERN: Parameter[Pattern | None] = Parameter(
    "pattern",
    "query",
    parse_pattern,
    None,
    {"type": "string", "maxLength": MAX_KEY_BYTES},
    "only keys that match",
)
MIN_REVISION: Parameter[int | None] = Parameter(
    "X-CoreConfig-Min-Revision",
    "header",
    _revision,
    None,
    REVISION_SCHEMA,
    "never answer from an older revision: wait up to 2 s, then 503",
    conditional=True,
)
IDEMPOTENCY_KEY: Parameter[str | None] = Parameter(
    "Idempotency-Key",
    "header",
    matching(r"[A-Za-z0-9_-]{1,128}"),
    None,
    {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,128}$"},
    "the same key with the same request is applied once; a retry gets the first answer",
)
IF_MATCH: Parameter[str | None] = Parameter(
    "If-Match",
    "header",
    str,
    None,
    {"type": "string", "pattern": '^"[0-9a-f-]{1,64}"$'},
    "write only if the state has this ETag, else 412",
    conditional=True,
)
IF_NONE_MATCH: Parameter[str | None] = Parameter(
    "If-None-Match",
    "header",
    str,
    None,
    {"type": "string", "pattern": '^"[0-9a-f-]{1,64}"$'},
    "304 if the state has this ETag",
    conditional=True,
)

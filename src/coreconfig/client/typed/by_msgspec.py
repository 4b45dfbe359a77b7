"""Reads dataclasses, TypedDicts, Structs, builtin and generic types: strictly, and with every issue.

msgspec stops at the first deviation. So where a value is refused its members are tried one by one, each
against its own type, until every part that is wrong has said so.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

import msgspec

from coreconfig.client.typed.masks import masked
from coreconfig.client.typed.members import Record, Row, Shape, Table, allowed_values, shape_of
from coreconfig.client.typed.numbers import with_integers
from coreconfig.client.typed.targets import name_of
from coreconfig.errors import Invalid, Issue
from coreconfig.model.schemas import key_below
from coreconfig.model.trees import plain

_BY_TEXT = (
    PurePath,
    ipaddress.IPv4Address,
    ipaddress.IPv6Address,
    ipaddress.IPv4Network,
    ipaddress.IPv6Network,
    ipaddress.IPv4Interface,
    ipaddress.IPv6Interface,
)
"""Types that the value spells as a text, beside those that msgspec knows."""

_PLACE = re.compile(r" - at `(?:\$\.(?P<member>[\w-]+)|[^`]*)`(?: in `[^`]*`)?\Z")
_CODES = (
    (re.compile(r"Object missing"), "missing_member"),
    (re.compile(r"Object contains unknown"), "unknown_member"),
    (re.compile(r"Invalid (enum )?value"), "not_allowed"),
    (re.compile(r"Expected .*(of length|at least length)"), "wrong_length"),
    (re.compile(r"Expected .*(matching regex)"), "wrong_format"),
    (re.compile(r"Expected .*` (<|>|<=|>=|that's a multiple)"), "out_of_bounds"),
    (re.compile(r"Expected"), "wrong_type"),
    (re.compile(r"Invalid|Number out of range|Integer value out of range"), "wrong_format"),
)


class MsgspecReader:
    """One target, read by msgspec."""

    def __init__(self, target: Any) -> None:
        """Raises TypeError where msgspec cannot read such a target."""
        self._target = target
        msgspec.json.Decoder(target, dec_hook=_from_text)

    def attempt(self, value: Any, key: str) -> tuple[Any, list[Issue]]:
        """The instance and no issue, or every issue. Raises `Invalid` (``unsupported_target``)."""
        value = plain(value)
        try:
            return _convert(value, self._target), []
        except msgspec.ValidationError:
            # 1.0 is the same value as 1, and msgspec takes only the latter for an int
            value = with_integers(value)
        try:
            return _convert(value, self._target), []
        except msgspec.ValidationError:
            return None, list(_issues(value, self._target, key))

    def json_schema(self) -> dict[str, Any]:
        """What the target demands, as JSON Schema."""
        return msgspec.json.schema(self._target, schema_hook=_schema_of_text)


def _convert(value: Any, target: Any) -> Any:
    try:
        return msgspec.convert(value, target, strict=True, str_keys=True, dec_hook=_from_text)
    except NotImplementedError as refusal:
        raise Invalid(str(refusal), code="unsupported_target") from None


def _from_text(target: Any, value: Any) -> Any:
    if not _is_spelt(target):
        # msgspec lets only this class of errors through
        raise NotImplementedError(
            f"values cannot be read as {name_of(target)}: use a pydantic model, a dataclass, a TypedDict,"
            " a msgspec Struct, a builtin or generic type, or a JSON Schema"
        )
    made = _spelt(target, value) if isinstance(value, str) else None
    if made is None:
        raise ValueError(f"Invalid {target.__name__}")
    return made


def _spelt(target: type[Any], text: str) -> Any:
    try:
        return target(str.__str__(text))
    except ValueError:
        # its text would show the value
        return None


def _is_spelt(target: Any) -> bool:
    return isinstance(target, type) and issubclass(target, _BY_TEXT)


def _schema_of_text(target: Any) -> dict[str, Any]:
    if _is_spelt(target):
        return {"type": "string"}
    raise NotImplementedError


def _issues(value: Any, target: Any, at: str) -> Iterator[Issue]:
    refusal = _refusal(value, target)
    if refusal is None:
        return
    shape = shape_of(target, value)
    found = list(_below(value, shape, at)) if shape else []
    yield from found or [_issue(refusal, value, target, at)]


def _below(value: Any, shape: Shape, at: str) -> Iterator[Issue]:
    if isinstance(shape, Record):
        yield from _in_record(value, shape, at)
    elif isinstance(shape, Table):
        yield from _in_table(value, shape, at)
    else:
        yield from _in_row(value, shape, at)


def _in_record(value: dict[str, Any], shape: Record, at: str) -> Iterator[Issue]:
    for name, (target, required) in shape.members.items():
        here = key_below(at, (name,))
        if name in value:
            yield from _issues(value[name], target, here)
        elif required:
            yield Issue("missing_member", "Required, but not set", key=here)
    if shape.closed:
        for name in value.keys() - shape.members.keys():
            yield Issue("unknown_member", "Not a member that is known here", key=key_below(at, (name,)))


def _in_table(value: dict[str, Any], shape: Table, at: str) -> Iterator[Issue]:
    for name, member in value.items():
        here = key_below(at, (name,))
        if (refusal := _refusal({name: None}, dict[shape.name, Any])) is not None:  # type: ignore[name-defined]  # a type made at run time
            yield _issue(refusal, name, shape.name, here)
        yield from _issues(member, shape.value, here)


def _in_row(value: list[Any], shape: Row, at: str) -> Iterator[Issue]:
    for index, item in enumerate(value):
        yield from _issues(item, shape.at(index), key_below(at, (index,)))


def _refusal(value: Any, target: Any) -> msgspec.ValidationError | None:
    try:
        _convert(value, target)
    except msgspec.ValidationError as error:
        return error
    return None


def _issue(refusal: msgspec.ValidationError, value: Any, target: Any, at: str) -> Issue:
    text = str(refusal)
    if place := _PLACE.search(text):
        text = text[: place.start()]
        # the place of a member: the one whose text tells the Structs of a union apart
        at = key_below(at, (place["member"],)) if place["member"] else at
    code = next((code for pattern, code in _CODES if pattern.match(text)), "rule_broken")
    if refusal.__cause__ is not None and code not in ("wrong_type", "wrong_format"):
        text, code = masked(text, value), "rule_broken"
    if code == "not_allowed":
        text = _allowed(target)
    return Issue(code, text, key=at)


def _allowed(target: Any) -> str:
    values = allowed_values(target)
    return f"Expected one of {', '.join(map(repr, values))}" if values else "Not one of the allowed values"

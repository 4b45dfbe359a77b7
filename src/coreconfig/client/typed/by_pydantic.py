"""Reads whatever is declared with pydantic, by pydantic's own rules, and lists all of its issues.

A configuration value is JSON, so it is validated as JSON: strict models then take a date or an enumeration
from the text that spells it. Pydantic's report shows the input; here only its texts are used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import msgspec
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from pydantic_core.core_schema import ErrorType

from coreconfig.client.typed.masks import masked
from coreconfig.client.typed.numbers import with_integers
from coreconfig.errors import Issue
from coreconfig.model.schemas import key_below
from coreconfig.model.trees import plain

_OF_OTHERS = frozenset({"value_error", "assertion_error", "union_tag_invalid"})
"""Errors whose text may quote the input."""
_OWN = frozenset(get_args(ErrorType)) - _OF_OTHERS
_CODES = (
    (re.compile(r"missing"), "missing_member"),
    (re.compile(r"extra_forbidden"), "unknown_member"),
    (re.compile(r"enum|literal_error|union_tag_\w+"), "not_allowed"),
    (re.compile(r"greater_than\w*|less_than\w*|multiple_of|finite_number"), "out_of_bounds"),
    (re.compile(r"too_short|too_long|\w+_too_short|\w+_too_long"), "wrong_length"),
    (re.compile(r"(date|time|url|uuid|decimal|bytes|json|iso)\w*|string_pattern_mismatch"), "wrong_format"),
    (re.compile(r"value_error|assertion_error"), "rule_broken"),
    (re.compile(r"\w+_type|\w+_parsing|\w+_from_float|is_instance_of|is_subclass_of"), "wrong_type"),
)


class PydanticReader:
    """One target, read by pydantic."""

    def __init__(self, target: Any) -> None:
        """Raises TypeError (or pydantic's own error) where pydantic cannot read such a target."""
        self._adapter: TypeAdapter[Any] = TypeAdapter(target)
        if not self._adapter.pydantic_complete:
            self._adapter.rebuild(raise_errors=True)

    def attempt(self, value: Any, key: str) -> tuple[Any, list[Issue]]:
        """The instance and no issue, or every issue."""
        value = plain(value)
        try:
            return self._adapter.validate_json(_json(value)), []
        except ValidationError:
            # a strict model takes 1 for an int, and not 1.0, which is the same value
            value = with_integers(value)
        try:
            return self._adapter.validate_json(_json(value)), []
        except ValidationError as refusal:
            errors = refusal.errors(include_url=False, include_context=False, include_input=False)
        return None, [_issue(error, value, key) for error in errors]

    def json_schema(self) -> dict[str, Any]:
        """What the target demands, as JSON Schema."""
        return self._adapter.json_schema()


def _json(value: Any) -> bytes:
    return msgspec.json.encode(value, enc_hook=_bare_text)


def _bare_text(value: Any) -> str:
    if isinstance(value, str):
        return str.__str__(value)
    raise NotImplementedError(f"{type(value).__name__} is no JSON value")


def _issue(error: ErrorDetails, value: Any, key: str) -> Issue:
    kind, text = error["type"], error["msg"]
    code = next((code for pattern, code in _CODES if pattern.fullmatch(kind)), "rule_broken")
    steps = _steps(error["loc"], value, missing=kind == "missing")
    return Issue(code, text if kind in _OWN else masked(text, value), key=key_below(key, steps))


def _steps(location: Sequence[str | int], value: Any, *, missing: bool) -> list[str | int]:
    """The part of a location that leads through the value; pydantic names branches of unions in between."""
    steps: list[str | int] = []
    for number, step in enumerate(location, start=1):
        if _leads(step, value):
            value = value[step]
            steps.append(step)
        elif missing and number == len(location):
            steps.append(step)
    return steps


def _leads(step: str | int, value: Any) -> bool:
    if isinstance(value, Mapping):
        return step in value
    return isinstance(value, list) and isinstance(step, int) and step < len(value)

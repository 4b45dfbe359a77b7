"""JSON values: what may be one, how large it may be, and how it is read without losing anything.

Python's own parser lets duplicate members, NaN and lone surrogates through; `decode_json` refuses them, and
`check_value` refuses them in values that came another way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from math import isfinite
from typing import Any

from coreconfig.errors import Invalid, Issue, TooLarge
from coreconfig.model.canonical import MAX_EXACT_INTEGER, canonical
from coreconfig.model.keys import MAX_KEY_BYTES, Path, format_key, quote, segment_fault

_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]')

Value = Any
"""None, bool, int, float, str, list of values, or dict of values by name."""

MAX_DEPTH = 32
MAX_STRING_BYTES = 64 * 1024
MAX_VALUE_BYTES = 1024 * 1024
MAX_LAYER_LEAVES = 100_000
MAX_LAYER_BYTES = 16 * 1024 * 1024
MAX_VIEW_BYTES = 32 * 1024 * 1024
MAX_EDITS = 1_000
MAX_ISSUES = 100
"""How many issues one answer lists at most."""

UNSET = {"$unset": True}
"""In a layer: remove whatever the layers below have put at this path."""


def is_unset(value: Value) -> bool:
    """Whether the value is the ``$unset`` marker."""
    return type(value) is dict and len(value) == 1 and value.get("$unset") is True


def kind_of(value: Value) -> str:
    """The JSON type of a value, as JSON Schema names it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def decode_json(data: bytes | str, what: str = "body") -> Value:
    """The JSON value that a text spells (RFC 8259). Raises `Invalid` with every issue at once.

    Codes: ``not_utf8``, ``not_json``, ``duplicate_member``, ``number_not_finite``, ``too_deep``, and those of
    `check_value` that hold for any JSON; sizes are checked where a value becomes configuration.
    """
    text = _text_of(data, what)
    duplicates: list[str] = []
    try:
        value = json.loads(text, object_pairs_hook=_collect(duplicates), parse_int=_int)
    except RecursionError:
        raise _far_too_deep(what) from None
    except json.JSONDecodeError as error:
        # where recursion ends depends on the interpreter; what is wrong with the text does not
        if _depth(text, error.pos) > 2 * MAX_DEPTH:
            raise _far_too_deep(what) from None
        raise Invalid(
            f"the {what} is not JSON: {error.msg} at line {error.lineno}, column {error.colno}",
            code="not_json",
        ) from None
    issues = [
        Issue("duplicate_member", f"the member {name!r} appears twice in one object") for name in duplicates
    ]
    # a request wraps values, so that the whole text may be deeper than one value
    issues += _faults(value, (), -MAX_DEPTH)
    refuse(issues, f"the {what} is not acceptable JSON")
    return value


def check_value(value: Value, at: Path = ()) -> list[Issue]:
    """Every reason why this cannot be the configuration at a path; empty when it can.

    Codes: ``not_json``, ``number_not_finite``, ``integer_out_of_range``, ``lone_surrogate``,
    ``string_too_long``, ``too_deep``, ``value_too_large``, ``bad_unset``, and those of keys.
    """
    issues = check_shape(value, at)
    if not issues and _oversized(value):
        issues.append(_too_large(at))
    return issues


def check_layer(tree: Value) -> list[Issue]:
    """The same for an object that holds a whole layer.

    Its values are its leaves: an object that was put together by many changes may be larger than one value.
    """
    return check_shape(tree, ()) or [_too_large(at) for at in _oversized_arrays(tree, ())]


def refuse(issues: list[Issue], message: str) -> None:
    """Raise `Invalid` (or `TooLarge`, when size is all that is wrong) if there are issues."""
    if not issues:
        return
    codes = {issue.code for issue in issues}
    kind = TooLarge if codes <= _SIZE_CODES else Invalid
    code = codes.pop() if len(codes) == 1 else "invalid"
    raise kind(message, code=code, issues=issues[:MAX_ISSUES])


_SIZE_CODES = {
    "value_too_large",
    "string_too_long",
    "layer_too_large",
    "layer_too_many_leaves",
    "view_too_large",
}


def _text_of(data: bytes | str, what: str) -> str:
    if isinstance(data, str):
        return data
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Invalid(f"the {what} is not UTF-8: byte {error.start} is wrong", code="not_utf8") from None


def _far_too_deep(what: str) -> Invalid:
    return Invalid(f"the {what} is nested far deeper than {MAX_DEPTH} levels", code="too_deep")


def _depth(text: str, end: int) -> int:
    """How deep the text nests at a position; brackets inside strings do not count."""
    depth = 0
    for found in _BRACKETS.finditer(text, 0, end):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(found.group(), 0)
    return depth


def _collect(duplicates: list[str]) -> Any:
    def build(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) != len(pairs):
            seen: set[str] = set()
            duplicates.extend(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]  # add() is the bookkeeping
        return members

    return build


def _int(text: str) -> int:
    # int() of a very long text is quadratic and capped by the interpreter; twenty digits are too many already
    return int(text[:21])


def check_shape(value: Value, at: Path) -> list[Issue]:
    """The faults of a value at a path but for its size.

    A marker stands for nothing, so it adds no depth and names no key.
    """
    if is_unset(value):
        return []
    return [*_faults(value, at, len(at)), *_member_faults(value, at, len(format_key(at).encode()))]


def _faults(value: Value, at: Path, depth: int) -> Iterator[Issue]:
    """What no JSON value of ours may have, wherever it stands."""
    kind = type(value)
    if kind is str:
        yield from _string_faults(value, at)
    elif value is None or kind is bool:
        return
    elif kind is int:
        if not -MAX_EXACT_INTEGER <= value <= MAX_EXACT_INTEGER:
            text = "an integer beyond plus or minus 2^53 is not exact everywhere; write it as a string"
            yield _issue("integer_out_of_range", text, at)
    elif kind is float:
        yield from _float_faults(value, at)
    elif isinstance(value, dict | list):
        yield from _container_faults(value, at, depth)
    else:
        yield _issue("not_json", f"{kind.__name__} is not a JSON type", at)


def _container_faults(value: dict[str, Any] | list[Any], at: Path, depth: int) -> Iterator[Issue]:
    if depth >= MAX_DEPTH:
        yield _issue("too_deep", f"nested deeper than {MAX_DEPTH} levels", at)
        return
    members = value.items() if isinstance(value, dict) else enumerate(value)
    for name, child in members:
        if isinstance(value, dict) and not isinstance(name, str):
            yield _issue("not_json", f"the member name {name!r} is not a string", at)
            continue
        here = (*at, str(name))
        if isinstance(name, str):
            yield from _string_faults(name, at)
            if is_unset(child):
                continue
        yield from _faults(child, here, depth + 1)


def _float_faults(value: float, at: Path) -> Iterator[Issue]:
    if not isfinite(value):
        text = "NaN, infinities and numbers too large for a double are not JSON numbers"
        yield _issue("number_not_finite", text, at)


def _string_faults(text: str, at: Path) -> Iterator[Issue]:
    if text.isascii():
        size = len(text)
    else:
        try:
            size = len(text.encode("utf-8"))
        except UnicodeEncodeError:
            yield _issue("lone_surrogate", "half of a surrogate pair stands alone in the string", at)
            return
    if size > MAX_STRING_BYTES:
        yield _issue(
            "string_too_long", f"a string has {size} bytes, at most {MAX_STRING_BYTES} are allowed", at
        )


def _member_faults(value: Value, at: Path, size: int) -> Iterator[Issue]:
    """What the members of an object may not be called, since they are segments of keys.

    `size` is the length of the key at `at`, in bytes.
    """
    if not isinstance(value, dict) or is_unset(value):
        return
    if "$unset" in value:
        text = 'write {"$unset": true} alone to remove what is inherited'
        yield _issue("bad_unset", text, at)
        return
    for name, child in value.items():
        if not isinstance(name, str):
            continue  # told by `_faults`
        longer = size + len(quote(name).encode("utf-8", "replace")) + bool(at)
        if fault := segment_fault(name) or _key_fault(longer):
            yield _issue(fault[0], fault[1], at)
        else:
            yield from _member_faults(child, (*at, name), longer)


def _key_fault(size: int) -> tuple[str, str] | None:
    if size <= MAX_KEY_BYTES:
        return None
    return (
        "key_too_long",
        f"a key below this would have {size} bytes, at most {MAX_KEY_BYTES} are allowed",
    )


def _oversized(value: Value) -> bool:
    return isinstance(value, dict | list) and len(canonical(value).encode()) > MAX_VALUE_BYTES


def _oversized_arrays(node: Value, at: Path) -> Iterator[Path]:
    for name, child in node.items():
        if isinstance(child, dict):
            yield from _oversized_arrays(child, (*at, name))
        elif isinstance(child, list) and _oversized(child):
            yield (*at, name)


def _too_large(at: Path) -> Issue:
    text = f"the value has more than {MAX_VALUE_BYTES} bytes as JSON; split it into several keys"
    return _issue("value_too_large", text, at)


def _issue(code: str, message: str, at: Path) -> Issue:
    # the key is shown, never used: half of a surrogate pair in it must not break the answer
    key = format_key(at).encode("utf-8", "replace").decode() if at else None
    return Issue(code, message, key=key)

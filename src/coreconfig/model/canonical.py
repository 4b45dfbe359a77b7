"""Canonical JSON (RFC 8785): one text for each value, so that digests are equal in every language."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from json.encoder import encode_basestring
from math import isfinite
from typing import Any

# Escapes exactly what RFC 8785 section 3.2.2.2 asks for, and nothing else.
quote_string: Callable[[str], str] = encode_basestring

MAX_EXACT_INTEGER = 2**53


def canonical(value: Any) -> str:
    """The canonical JSON text of a value made of None, bool, int, float, str, list, tuple and mappings."""
    kind = type(value)
    if kind is str:
        return quote_string(value)
    if value is True:
        return "true"
    if value is False:
        return "false"
    if value is None:
        return "null"
    if kind is int:
        return str(value)
    if kind is float:
        return _number(value)
    if kind is list or kind is tuple:
        return "[" + ",".join([canonical(item) for item in value]) + "]"
    if isinstance(value, Mapping):
        return (
            "{"
            + ",".join([quote_string(name) + ":" + canonical(value[name]) for name in ordered(value)])
            + "}"
        )
    raise TypeError(f"{kind.__name__} is not a JSON value")


def ordered(members: Mapping[str, Any]) -> list[str]:
    """Member names in canonical order, which compares UTF-16 code units (RFC 8785 section 3.2.3)."""
    names = list(members)
    if all(map(str.isascii, names)):
        names.sort()
    else:
        names.sort(key=lambda name: name.encode("utf-16-be", "surrogatepass"))
    return names


def same(a: Any, b: Any) -> bool:
    """Whether two values are one in JSON: ``1`` and ``1.0`` are, ``1`` and ``true`` are not."""
    if a is b:
        return True
    if type(a) is type(b) and type(a) in (str, int, bool):
        return bool(a == b)
    return canonical(a) == canonical(b)


def _number(number: float) -> str:
    """A double as ECMAScript prints it (ECMA-262, Number::toString), as RFC 8785 asks (section 3.2.2.3)."""
    if not isfinite(number):
        raise ValueError("NaN and infinities are not JSON numbers")
    if number == 0:
        return "0"
    # repr gives the shortest digits that read back as the same double
    mantissa, _, exponent = repr(abs(number)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = whole + fraction
    significant = digits.lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(digits) - len(significant))
    return ("-" if number < 0 else "") + _place_point(significant.rstrip("0"), point)


def _place_point(digits: str, point: int) -> str:
    """The digits with the decimal point after `point` of them, in ECMAScript's choice of notation."""
    if len(digits) <= point <= 21:
        return digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return "0." + "0" * -point + digits
    rest = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{rest}e{'+' if point > 0 else '-'}{abs(point - 1)}"

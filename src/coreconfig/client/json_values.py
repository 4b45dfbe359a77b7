"""What a program hands in, as the JSON value that it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coreconfig.errors import Invalid


def as_json(value: Any) -> Any:
    """Any mapping and sequence as plain dicts and lists, copied so that the caller keeps its own.

    Raises `Invalid` (``too_deep``) for what has no end, such as a list that contains itself.
    """
    try:
        return _plain(value)
    except RecursionError:
        raise Invalid("the value is nested without end, or far too deeply", code="too_deep") from None


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(child) for name, child in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value

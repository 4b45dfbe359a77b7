"""``1.0`` and ``1`` are the same value of the configuration, but not for the libraries that read it."""

from __future__ import annotations

from typing import Any

from coreconfig.model.canonical import MAX_EXACT_INTEGER


def with_integers(value: Any) -> Any:
    """The plain value with every whole number as an int; wherever a float is wanted, an int will do."""
    if isinstance(value, dict):
        return {name: with_integers(child) for name, child in value.items()}
    if isinstance(value, list):
        return [with_integers(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) <= MAX_EXACT_INTEGER:
        return int(value)
    return value

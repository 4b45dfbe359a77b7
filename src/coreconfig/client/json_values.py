"""What a program hands in, as the JSON value that it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def as_json(value: Any) -> Any:
    """Any mapping and sequence as plain dicts and lists, copied so that the caller keeps its own."""
    if isinstance(value, Mapping):
        return {name: as_json(child) for name, child in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    return value

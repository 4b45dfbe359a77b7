"""Reads against a JSON Schema: the value itself, once it has been found to fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coreconfig.errors import Issue
from coreconfig.model.schemas import check, check_schema
from coreconfig.model.trees import plain


class SchemaReader:
    """One JSON Schema as a target."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        """Raises `Invalid` (``bad_schema``) when the schema is not one."""
        check_schema(schema)
        self._schema = schema

    def attempt(self, value: Any, key: str) -> tuple[Any, list[Issue]]:
        """A copy of the value and no issue, or every issue."""
        issues = check(value, self._schema, at=key)
        return (None, issues) if issues else (plain(value), [])

    def json_schema(self) -> dict[str, Any]:
        """The schema itself."""
        return plain(dict(self._schema))  # type: ignore[no-any-return]  # a dict stays one

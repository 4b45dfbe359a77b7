"""Environment documents as JSON Schemas: for the description of the interface, and to generate requests.

They take in what needs no quoting; `coreconfig.model.documents` is what checks.
"""

from __future__ import annotations

from typing import Any, Final

from coreconfig.model.environments import CLOUDS, SECURITY_LEVELS, TYPES
from coreconfig.server.web.models import COMPONENTS, SHAPE
from coreconfig.server.web.parameters import ID_SCHEMA

_NULL: Final = {"type": "null"}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """null says the same as leaving a member out."""
    return {"anyOf": [schema, _NULL]}


_OBJECT: Final = _or_null({SHAPE: "ConfigObject"})
_PATTERN: Final = {
    "type": "string",
    "pattern": r"^(\*\*?|[A-Za-z0-9_-]{1,15})(\.(\*\*?|[A-Za-z0-9_-]{1,15})){0,7}$",
}
_PATTERNS: Final = _or_null({"type": "array", "items": _PATTERN})
_PROPERTIES: Final = {
    "type": "object",
    "propertyNames": COMPONENTS["ConfigObject"]["propertyNames"],
    "properties": {
        "cloud": {"enum": list(CLOUDS)},
        "securityLevel": {"enum": list(SECURITY_LEVELS)},
        "complianceRequirements": {"type": "array", "items": {"type": "string"}},
    },
    "additionalProperties": {SHAPE: "ConfigValue"},
}
_ATTRIBUTES: Final[dict[str, Any]] = {
    "name": {"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9 ]{0,62}$"},
    "type": {"enum": list(TYPES)},
    "inherits": _or_null({"type": "array", "items": ID_SCHEMA, "uniqueItems": True}),
    "properties": _or_null(_PROPERTIES),
    "infrastructure": _OBJECT,
    "sealed": _PATTERNS,
    "local": _PATTERNS,
    "expires_at": {"anyOf": [{"const": "never"}, {"type": "string", "format": "date"}]},
}
_FACTS: Final[dict[str, Any]] = {
    "instances": {"type": ["integer", "null"], "minimum": 0, "maximum": 2**53},
    "resources": _OBJECT,
}


def _services(facts: dict[str, Any]) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "object", "properties": facts, "additionalProperties": False}
    entries = {"type": "object", "propertyNames": ID_SCHEMA, "additionalProperties": _or_null(entry)}
    return _or_null(entries)


DOCUMENT: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["id", "type"],
    "properties": {
        "id": ID_SCHEMA,
        **_ATTRIBUTES,
        "overrides": _or_null(
            {"type": "object", "properties": {"configuration": _OBJECT}, "additionalProperties": False}
        ),
        "services": _services({**_FACTS, "configuration": _OBJECT}),
    },
    "additionalProperties": False,
}
"""What `POST /v1/environments` takes, and the shape of an environment file."""

UPDATE: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {**_ATTRIBUTES, "services": _services(_FACTS)},
    "additionalProperties": False,
}
"""What `PATCH /v1/environments/{env}` takes: attributes and facts; null takes a service's entry away."""

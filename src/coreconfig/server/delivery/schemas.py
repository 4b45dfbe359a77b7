"""The JSON Schema of what ``POST /v1/sync`` takes, from the frames and the rules of ids and labels."""

from __future__ import annotations

from typing import Any

import msgspec

from coreconfig.server.delivery.decode import MAX_LABELS, MAX_TEXT_LENGTH
from coreconfig.server.web.parameters import ID_SCHEMA
from coreconfig.wire.frames import SyncRequest

_SHORT: dict[str, Any] = {"type": "string", "maxLength": MAX_TEXT_LENGTH}


def sync_schema() -> dict[str, Any]:
    """One schema without references, in which a frame need not repeat its type."""
    described = msgspec.json.schema(SyncRequest)
    schema: dict[str, Any] = _inlined(described, described["$defs"])
    said = schema["properties"]["hello"]["properties"]
    said |= {"service": ID_SCHEMA, "environment": ID_SCHEMA, "instance": ID_SCHEMA}
    said |= {"app_version": _SHORT, "sdk": _SHORT, "cohort": {"anyOf": [_SHORT, {"type": "null"}]}}
    said["labels"] = {
        "type": "object",
        "maxProperties": MAX_LABELS,
        "propertyNames": {"maxLength": MAX_TEXT_LENGTH},
        "additionalProperties": _SHORT,
    }
    return schema


def _inlined(node: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_inlined(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _inlined(definitions[node["$ref"].rpartition("/")[2]], definitions)
    kept = {name: _inlined(child, definitions) for name, child in node.items() if name != "$defs"}
    if isinstance(kept.get("required"), list):
        kept["required"] = [name for name in kept["required"] if name != "type"]
    return kept

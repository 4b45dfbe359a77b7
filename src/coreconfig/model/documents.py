"""Environment documents: the shape of an environment file, and what is checked when one is read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from difflib import get_close_matches
from typing import Any

from coreconfig.errors import Invalid, Issue
from coreconfig.model.environments import (
    CLOUDS,
    SECURITY_LEVELS,
    TYPES,
    Environment,
    ServiceEntry,
)
from coreconfig.model.keys import check_id, parse_pattern
from coreconfig.model.trees import plain, shared
from coreconfig.model.values import (
    MAX_LAYER_BYTES,
    MAX_LAYER_LEAVES,
    check_layer,
    check_value,
    kind_of,
    refuse,
)
from coreconfig.model.weights import Weight, weigh_layer

MEMBERS = (
    "id",
    "name",
    "type",
    "inherits",
    "properties",
    "overrides",
    "services",
    "infrastructure",
    "sealed",
    "local",
    "expires_at",
)
"""The members of a document, in the order in which they are written."""

_SERVICE_MEMBERS = ("instances", "resources", "configuration")
_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ].+)?\Z")


def to_document(environment: Environment) -> dict[str, Any]:
    """The document of an environment, every member in its place."""
    return {
        "id": environment.id,
        "name": environment.name,
        "type": environment.type,
        "inherits": list(environment.inherits),
        "properties": plain(environment.properties),
        "overrides": {"configuration": plain(environment.base)},
        "services": {name: service_document(entry) for name, entry in environment.services.items()},
        "infrastructure": plain(environment.infrastructure),
        "sealed": list(environment.sealed),
        "local": list(environment.local),
        "expires_at": environment.expires_at,
    }


def service_document(entry: ServiceEntry) -> dict[str, Any]:
    """What a document says of one service."""
    said: dict[str, Any] = {}
    if entry.instances is not None:
        said["instances"] = entry.instances
    if entry.resources is not None:
        said["resources"] = plain(entry.resources)
    said["configuration"] = plain(entry.layer)
    return said


def from_document(document: Any) -> Environment:
    """The environment that a document describes. Raises `Invalid` with every issue at once."""
    issues = list(check_document(document))
    name = document.get("id") if isinstance(document, dict) else None
    refuse(
        issues,
        f"the environment {name!r} cannot be accepted" if name else "the environment cannot be accepted",
    )
    return environment_of(document)


def environment_of(document: Mapping[str, Any]) -> Environment:
    """The environment of a document that was checked when it was written.

    What is in the log is not held against the rules again: they may have become stricter since.
    """
    base = shared((document.get("overrides") or {}).get("configuration") or {})
    return Environment(
        id=document["id"],
        name=document.get("name", document["id"]),
        type=document["type"],
        inherits=tuple(document.get("inherits") or ()),
        properties=shared(document.get("properties") or {}),
        base=base,
        base_weight=weigh_layer(base),
        services={name: service_entry(said or {}) for name, said in (document.get("services") or {}).items()},
        infrastructure=shared(document.get("infrastructure") or {}),
        sealed=tuple(document.get("sealed") or ()),
        local=tuple(document.get("local") or ()),
        expires_at=document.get("expires_at", "never"),
    )


def service_entry(said: Mapping[str, Any]) -> ServiceEntry:
    """The entry that a document's part for one service describes."""
    resources = said.get("resources")
    layer = shared(said.get("configuration") or {})
    return ServiceEntry(
        layer=layer,
        weight=weigh_layer(layer),
        instances=whole(said.get("instances")),
        resources=None if resources is None else shared(resources),
    )


def check_document(document: Any) -> Iterator[Issue]:
    """Every fault of a document."""
    if not isinstance(document, dict):
        yield Issue("bad_document", f"an environment is an object, not {_a(document)}")
        return
    yield from _unknown_members(document, MEMBERS, "")
    for required in ("id", "type"):
        if required not in document:
            yield Issue("missing_member", f"{required!r} is missing", key=required)
    if "id" in document:
        yield from check_name_of("environment", document["id"], "id")
    yield from check_attributes(document)
    yield from _check_overrides(document.get("overrides"))
    yield from _check_services(document.get("services"))


def check_attributes(document: Mapping[str, Any]) -> Iterator[Issue]:
    """Faults of the members that are attributes of an environment; absent ones are not looked at."""
    if "name" in document and (not isinstance(document["name"], str) or not document["name"].strip()):
        yield Issue("blank_not_allowed", "a name is a text that is not blank", key="name")
    if "type" in document and document["type"] not in TYPES:
        yield Issue("bad_type", f"{document['type']!r} is none of {', '.join(TYPES)}", key="type")
    if "expires_at" in document:
        yield from _check_expiry(document["expires_at"])
    if "inherits" in document:
        yield from _check_parents(document["inherits"])
    for name in ("sealed", "local"):
        yield from _check_patterns(name, document.get(name))
    for name in ("properties", "infrastructure"):
        yield from _check_object(name, document.get(name))
    yield from _check_properties(document.get("properties"))


def check_service(name: Any, said: Any) -> Iterator[Issue]:
    """Faults of what a document says of one service."""
    at = f"services.{name}"
    yield from check_name_of("service", name, at)
    if said is None:
        return
    if not isinstance(said, dict):
        yield Issue("bad_document", f"a service is described by an object, not {_a(said)}", key=at)
        return
    yield from _unknown_members(said, _SERVICE_MEMBERS, f"{at}.")
    instances = said.get("instances")
    if instances is not None and (whole(instances) is None or instances < 0):
        yield Issue("bad_document", "instances is a whole number, 0 or more", key=f"{at}.instances")
    yield from _check_object(f"{at}.resources", said.get("resources"))
    yield from _check_layer(f"{at}.configuration", said.get("configuration"))


def check_weight(weight: Weight, where: str) -> Iterator[Issue]:
    """Whether a layer is over its limits (``layer_too_many_leaves``, ``layer_too_large``)."""
    if weight.leaves > MAX_LAYER_LEAVES:
        text = f"the layer would have {weight.leaves} leaves, at most {MAX_LAYER_LEAVES} are allowed"
        yield Issue("layer_too_many_leaves", text, key=where)
    elif weight.bytes > MAX_LAYER_BYTES:
        text = f"the layer would have {weight.bytes} bytes, at most {MAX_LAYER_BYTES} are allowed"
        yield Issue("layer_too_large", text, key=where)


def _check_overrides(overrides: Any) -> Iterator[Issue]:
    if overrides is None:
        return
    if not isinstance(overrides, dict):
        yield Issue("bad_document", f"overrides is an object, not {_a(overrides)}", key="overrides")
        return
    yield from _unknown_members(overrides, ("configuration",), "overrides.")
    yield from _check_layer("overrides.configuration", overrides.get("configuration"))


def _check_services(services: Any) -> Iterator[Issue]:
    if services is None:
        return
    if not isinstance(services, dict):
        yield Issue("bad_document", f"services is an object, not {_a(services)}", key="services")
        return
    for name, said in services.items():
        yield from check_service(name, said)


def _check_layer(where: str, layer: Any) -> Iterator[Issue]:
    if layer is None:
        return
    if not isinstance(layer, dict):
        yield Issue("bad_document", f"configuration is an object, not {_a(layer)}", key=where)
        return
    if "$unset" in layer:
        yield Issue("bad_unset", "a layer cannot unset itself as a whole; unset its members", key=where)
        return
    issues = check_layer(layer)
    for issue in issues:
        key = f"{where}.{issue.key}" if issue.key else where
        yield Issue(issue.code, issue.message, issue.severity, key)
    if not issues:
        yield from check_weight(weigh_layer(layer), where)


def _check_object(name: str, value: Any) -> Iterator[Issue]:
    if value is None:
        return
    if not isinstance(value, dict):
        yield Issue("bad_document", f"{name} is an object, not {_a(value)}", key=name)
        return
    if "$unset" in value:
        yield Issue("bad_unset", f"{name} cannot be unset as a whole; unset its members", key=name)
        return
    for issue in check_value(value):
        yield Issue(issue.code, issue.message, issue.severity, f"{name}.{issue.key}" if issue.key else name)


def _check_properties(properties: Any) -> Iterator[Issue]:
    if not isinstance(properties, dict):
        return
    for name, allowed in (("cloud", CLOUDS), ("securityLevel", SECURITY_LEVELS)):
        if name in properties and properties[name] not in allowed:
            text = f"{properties[name]!r} is none of {', '.join(allowed)}"
            yield Issue("bad_property", text, key=f"properties.{name}")
    requirements = properties.get("complianceRequirements", [])
    if not isinstance(requirements, list) or not all(isinstance(item, str) for item in requirements):
        text = "complianceRequirements is a list of strings"
        yield Issue("bad_property", text, key="properties.complianceRequirements")


def whole(value: Any) -> int | None:
    """The number as an int if it is whole (3.0 is the same value as 3), else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if value == value // 1 else None


def _check_expiry(value: Any) -> Iterator[Issue]:
    if value == "never":
        return
    if not isinstance(value, str) or not value.strip():
        text = "say 'never' or a date (YYYY-MM-DD); blank has no meaning"
        yield Issue("blank_not_allowed", text, key="expires_at")
        return
    if not _is_date(value):
        yield Issue("bad_date", f"{value!r} is neither 'never' nor a date (YYYY-MM-DD)", key="expires_at")


def _is_date(text: str) -> bool:
    if not _DATE.match(text):
        return False
    try:
        (datetime if len(text) > 10 else date).fromisoformat(text)
    except ValueError:
        return False
    return True


def _check_parents(inherits: Any) -> Iterator[Issue]:
    if inherits is None:
        return
    if not isinstance(inherits, list):
        yield Issue(
            "bad_document", f"inherits is a list of environment ids, not {_a(inherits)}", key="inherits"
        )
        return
    for parent in inherits:
        yield from check_name_of("environment", parent, "inherits")
    if len(set(map(str, inherits))) != len(inherits):
        yield Issue("inherits_twice", "a parent is named twice", key="inherits")


def _check_patterns(name: str, patterns: Any) -> Iterator[Issue]:
    if patterns is None:
        return
    if not isinstance(patterns, list):
        yield Issue("bad_document", f"{name} is a list of patterns, not {_a(patterns)}", key=name)
        return
    for pattern in patterns:
        if not isinstance(pattern, str):
            yield Issue("bad_pattern", f"a pattern is a text, not {_a(pattern)}", key=name)
            continue
        try:
            parse_pattern(pattern)
        except Invalid as error:
            yield Issue(error.code, error.message, key=name)


def check_name_of(what: str, value: Any, key: str) -> Iterator[Issue]:
    """The fault of an id, if it has one (``bad_id``)."""
    try:
        check_id(what, value)
    except Invalid as error:
        yield Issue(error.code, error.message, key=key)


def _unknown_members(said: Mapping[str, Any], known: tuple[str, ...], prefix: str) -> Iterator[Issue]:
    for name in said:
        if name not in known:
            near = get_close_matches(str(name), known, n=1)
            meant = f"; did you mean {near[0]!r}?" if near else ""
            yield Issue(
                "unknown_member", f"{name!r} is none of {', '.join(known)}{meant}", key=f"{prefix}{name}"
            )


def _a(value: Any) -> str:
    kind = kind_of(value)
    return f"an {kind}" if kind[0] in "ao" else kind if kind == "null" else f"a {kind}"

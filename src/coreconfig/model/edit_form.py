"""Edits as a request spells them: everything that is wrong with their form, at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from coreconfig.errors import Invalid, Issue
from coreconfig.model.documents import check_attributes, check_name_of, check_service, from_document
from coreconfig.model.edits import UPDATABLE, Edit, edit_from_json
from coreconfig.model.keys import Path, format_key, parse_key
from coreconfig.model.resolution import merges
from coreconfig.model.values import MAX_EDITS, check_value, refuse


def edits_from_json(said: Any) -> list[Edit]:
    """The edits that a request names. Raises `Invalid` with every issue at once."""
    if not isinstance(said, list) or not said:
        raise Invalid("a change needs a list of at least one edit", code="no_edits")
    if len(said) > MAX_EDITS:
        raise Invalid(
            f"a change has at most {MAX_EDITS} edits, this one has {len(said)}", code="too_many_edits"
        )
    issues: list[Issue] = []
    edits: list[Edit] = []
    for number, one in enumerate(said, 1):
        faults = list(_check_edit(one))
        issues += [_numbered(issue, number, len(said)) for issue in faults]
        if not faults:
            edits.append(edit_from_json(one))
    refuse(issues, "the change cannot be accepted as it is written")
    return edits


def _check_edit(said: Any) -> Iterator[Issue]:
    if not isinstance(said, dict):
        yield Issue("bad_edit", "an edit is an object")
    elif said.get("kind") == "value":
        yield from _check_value_edit(said)
    elif said.get("kind") == "environment":
        yield from _check_environment_edit(said)
    else:
        yield Issue("bad_edit", f"an edit's kind is 'value' or 'environment', not {said.get('kind')!r}")


def _check_value_edit(said: Mapping[str, Any]) -> Iterator[Issue]:
    yield from _unknown(said, ("kind", "environment", "service", "key", "operation", "value"))
    yield from check_name_of("environment", said.get("environment"), "environment")
    if said.get("service") is not None:
        yield from check_name_of("service", said["service"], "service")
    try:
        path = parse_key(_text(said.get("key"), "key"))
    except Invalid as error:
        yield Issue(error.code, error.message, key=str(said.get("key"))[:200])
        path = ()
    operation = said.get("operation")
    if operation not in ("set", "merge", "delete", "unset"):
        yield Issue("bad_edit", f"an operation is set, merge, delete or unset, not {operation!r}")
    elif operation in ("set", "merge"):
        yield from _check_edit_value(said, path)
    elif "value" in said:
        yield Issue("bad_edit", f"{operation} takes no value", key=format_key(path))


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise Invalid(f"a {name} is a text, not {type(value).__name__}", code=f"bad_{name}")
    return value


def _check_edit_value(said: Mapping[str, Any], path: Path) -> Iterator[Issue]:
    if "value" not in said:
        yield Issue("bad_edit", f"{said['operation']} needs a value", key=format_key(path))
    elif said["operation"] == "merge" and not merges(said["value"]):
        yield Issue("bad_edit", "merge takes an object", key=format_key(path))
    else:
        yield from check_value(said["value"], path)


def _check_environment_edit(said: Mapping[str, Any]) -> Iterator[Issue]:
    yield from _unknown(said, ("kind", "environment", "operation", "document"))
    yield from check_name_of("environment", said.get("environment"), "environment")
    operation, document = said.get("operation"), said.get("document")
    if operation not in ("create", "update", "delete"):
        yield Issue("bad_edit", f"an operation is create, update or delete, not {operation!r}")
    elif operation == "delete":
        if document is not None:
            yield Issue("bad_edit", "delete takes no document")
    elif not isinstance(document, dict):
        yield Issue("bad_edit", f"{operation} needs a document")
    elif operation == "create":
        yield from _check_new(said.get("environment"), document)
    else:
        yield from _check_update(document)


def _check_new(name: Any, document: dict[str, Any]) -> Iterator[Issue]:
    if document.get("id", name) != name:
        yield Issue(
            "bad_edit", f"the document's id {document['id']!r} is not the environment {name!r}", key="id"
        )
        return
    try:
        from_document({**document, "id": name})
    except Invalid as error:
        yield from error.issues


def _check_update(document: dict[str, Any]) -> Iterator[Issue]:
    yield from _unknown(document, UPDATABLE)
    yield from check_attributes(document)
    services = document.get("services")
    if services is not None and not isinstance(services, dict):
        yield Issue("bad_document", "services is an object", key="services")
    for name, facts in (services or {}).items() if isinstance(services, dict) else ():
        yield from check_service(name, facts)
        if isinstance(facts, dict) and "configuration" in facts:
            text = "an update says facts alone; set the values of a layer by value edits"
            yield Issue("bad_edit", text, key=f"services.{name}.configuration")


def _unknown(said: Mapping[str, Any], known: tuple[str, ...]) -> Iterator[Issue]:
    for name in said:
        if name not in known:
            yield Issue("unknown_member", f"{str(name)[:100]!r} is none of {', '.join(known)}")


def _numbered(issue: Issue, number: int, of: int) -> Issue:
    return (
        issue if of == 1 else Issue(issue.code, f"edit {number}: {issue.message}", issue.severity, issue.key)
    )

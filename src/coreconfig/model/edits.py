"""Edits: the parts of a change, and what the environments are after them.

An edit is made against the layers as they are written, never against what they resolve to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from coreconfig.errors import Conflict, CoreConfigError, Invalid, Issue, NotFound
from coreconfig.model.documents import (
    check_weight,
    environment_of,
    service_entry,
    to_document,
)
from coreconfig.model.environments import Environment, Environments, ServiceEntry, children, linearise
from coreconfig.model.facts import check_facts
from coreconfig.model.keys import Path, format_key, parse_key
from coreconfig.model.resolution import merges
from coreconfig.model.trees import MISSING, Tree, delete_at, get_at, plain, set_at
from coreconfig.model.values import MAX_ISSUES, UNSET, is_unset
from coreconfig.model.weights import Weight, reweigh

ValueOperation = Literal["set", "merge", "delete", "unset"]
EnvironmentOperation = Literal["create", "update", "delete"]

UPDATABLE = (
    "name",
    "type",
    "inherits",
    "properties",
    "infrastructure",
    "sealed",
    "local",
    "expires_at",
    "services",
)
"""What an ``update`` may say; what it says replaces what was there, `services` entry by entry."""


@dataclass(frozen=True, slots=True)
class ValueEdit:
    """One path in one layer: the base layer of an environment, or a service's layer in it.

    ``set`` puts a value there, ``merge`` folds an object into what lies there, ``delete`` takes the path out
    of the layer (inherit again), ``unset`` writes that nothing inherited is left there.
    """

    environment: str
    service: str | None
    path: Path
    operation: ValueOperation
    value: Any = None


@dataclass(frozen=True, slots=True)
class EnvironmentEdit:
    """An environment as a whole: created from a document, its attributes and facts updated, or deleted."""

    environment: str
    operation: EnvironmentOperation
    document: Mapping[str, Any]


Edit = ValueEdit | EnvironmentEdit


def edit_to_json(edit: Edit) -> dict[str, Any]:
    """The edit as it is sent, stored and shown."""
    if isinstance(edit, EnvironmentEdit):
        said: dict[str, Any] = {
            "kind": "environment",
            "environment": edit.environment,
            "operation": edit.operation,
        }
        return said if edit.operation == "delete" else {**said, "document": plain(dict(edit.document))}
    said = {
        "kind": "value",
        "environment": edit.environment,
        "service": edit.service,
        "key": format_key(edit.path),
        "operation": edit.operation,
    }
    return {**said, "value": plain(edit.value)} if edit.operation in ("set", "merge") else said


def edit_from_json(said: Mapping[str, Any]) -> Edit:
    """One edit that is known to be well formed."""
    if said["kind"] == "environment":
        return EnvironmentEdit(said["environment"], said["operation"], said.get("document") or {})
    return ValueEdit(
        said["environment"], said.get("service"), parse_key(said["key"]), said["operation"], said.get("value")
    )


@dataclass(frozen=True, slots=True)
class Touch:
    """Where an edit moved a layer: at `path` and below it alone; the empty path means anywhere."""

    environment: str
    service: str | None
    path: Path


@dataclass(frozen=True, slots=True)
class Applied:
    """The environments after some edits, and what these touched."""

    environments: dict[str, Environment]
    touches: tuple[Touch, ...]


def apply_edits(environments: Environments, edits: Iterable[Edit]) -> Applied:
    """The environments after the edits, in order. Raises one error with every issue at once.

    That is `NotFound` (``unknown_environment``), `Conflict` (``environment_exists``,
    ``environment_has_children``), else `Invalid`.

    What the whole then means (parents, seals, references) is checked by `check_structure` and by views.
    """
    after = dict(environments)
    touches: list[Touch] = []
    errors: list[CoreConfigError] = []
    for edit in edits:
        try:
            touches += (
                _apply_value(after, edit) if isinstance(edit, ValueEdit) else _apply_environment(after, edit)
            )
        except CoreConfigError as error:
            key = format_key(edit.path) if isinstance(edit, ValueEdit) else edit.environment
            error.issues = error.issues or (Issue(error.code, error.message, key=key),)
            errors.append(error)
    if errors:
        raise _together(errors)
    return Applied(after, tuple(dict.fromkeys(touches)))


def _together(errors: Sequence[CoreConfigError]) -> CoreConfigError:
    """One error for all: of their class where they share it."""
    if len(errors) == 1:
        return errors[0]
    kinds, codes = {type(error) for error in errors}, {error.code for error in errors}
    kind = kinds.pop() if len(kinds) == 1 else Invalid
    code = codes.pop() if len(codes) == 1 else "invalid"
    issues = [issue for error in errors for issue in error.issues]
    return kind("the change cannot be applied", code=code, issues=issues[:MAX_ISSUES])


def check_structure(environments: Environments, edits: Sequence[Edit]) -> list[Issue]:
    """What edits have broken in the structure: parents, facts, sizes of layers."""
    issues: list[Issue] = []
    moved = {edit.environment for edit in edits if isinstance(edit, EnvironmentEdit)} & set(environments)
    for name in sorted(environments) if moved else ():
        try:
            if moved & set(linearise(environments, name)):
                issues += check_facts(environments, name)
        except CoreConfigError as error:
            issues.append(Issue(error.code, error.message, key=name))
    layers = {(edit.environment, edit.service) for edit in edits if isinstance(edit, ValueEdit)}
    for environment, service in sorted(layers, key=str):
        if environment in environments:
            where = f"{environment}/{service}" if service else environment
            issues += check_weight(environments[environment].weight(service), where)
    return issues


def _touched_path(before: Tree, after: Tree, path: Path) -> Path:
    """The highest node that an edit at `path` made or unmade in a layer: nothing beside or above it moved."""
    for length in range(1, len(path)):
        above = path[:length]
        # an empty object is a leaf, so a first member changes what its parent is
        if not all(merges(node) and node for node in (get_at(before, above), get_at(after, above))):
            return above
    return path


def _apply_value(environments: dict[str, Environment], edit: ValueEdit) -> list[Touch]:
    environment = _existing(environments, edit.environment)
    before = environment.layer(edit.service)
    after = _edited(before, edit)
    path = _touched_path(before, after, edit.path)
    weight = reweigh(environment.weight(edit.service), before, after, path)
    environments[edit.environment] = _with_layer(environment, edit.service, after, weight)
    return [Touch(edit.environment, edit.service, path)]


def _with_layer(environment: Environment, service: str | None, layer: Tree, weight: Weight) -> Environment:
    """The environment with one of its layers replaced; a service that was not declared is declared by it."""
    if service is None:
        return replace(environment, base=layer, base_weight=weight)
    if service not in environment.services and not layer:
        return environment
    entry = replace(environment.services.get(service, ServiceEntry()), layer=layer, weight=weight)
    return replace(environment, services={**environment.services, service: entry})


def _edited(layer: Tree, edit: ValueEdit) -> Tree:
    path = edit.path
    if edit.operation == "delete":
        return delete_at(layer, path, prune=True)
    _refuse_below_unset(layer, path)
    if edit.operation == "unset":
        return set_at(layer, path, UNSET)
    if edit.operation == "set":
        return set_at(layer, path, edit.value)
    there = get_at(layer, path)
    merged = _merged(there, edit.value) if merges(there) else edit.value
    return set_at(layer, path, merged)


def _merged(there: Tree, value: Any) -> Tree:
    """An object folded into a layer's own; markers in it stay markers, since layers below may need them."""
    merged: Tree = there
    for name, child in value.items():
        under = merged.get(name, MISSING)
        goes_in = merges(under) and merges(child)
        merged = set_at(merged, (name,), _merged(under, child) if goes_in else child)
    return merged


def _refuse_below_unset(layer: Tree, path: Path) -> None:
    for length in range(1, len(path)):
        if is_unset(get_at(layer, path[:length])):
            above = format_key(path[:length])
            raise Invalid(
                f"{above} is unset in this layer, so nothing can stand below it; delete {above} there first",
                code="unset_above",
            )


def _existing(environments: Mapping[str, Environment], name: str) -> Environment:
    found = environments.get(name)
    if found is None:
        raise NotFound(f"there is no environment {name!r}", code="unknown_environment")
    return found


def _apply_environment(environments: dict[str, Environment], edit: EnvironmentEdit) -> list[Touch]:
    name = edit.environment
    if edit.operation == "create":
        if name in environments:
            raise Conflict(f"the environment {name!r} exists already", code="environment_exists")
        environments[name] = environment_of({**edit.document, "id": name})
        return [Touch(name, None, ())]
    current = _existing(environments, name)
    if edit.operation == "update":
        environments[name] = renewed = _updated(current, edit.document)
        moved = renewed.inherits != current.inherits or set(renewed.services) != set(current.services)
        return [Touch(name, None, ())] if moved else []
    if dependent := children(environments, name):
        names = ", ".join(sorted(dependent))
        raise Conflict(f"{name!r} still has children: {names}", code="environment_has_children")
    del environments[name]
    return [Touch(name, None, ())]


def _updated(environment: Environment, said: Mapping[str, Any]) -> Environment:
    attributes = {name: said[name] for name in UPDATABLE if name in said and name != "services"}
    renewed = environment_of({**to_document(replace(environment, services={}, base={})), **attributes})
    services = dict(environment.services)
    for name, facts in (said.get("services") or {}).items():
        if facts is None:
            services.pop(name, None)
        else:
            there = environment.services.get(name, ServiceEntry())
            told = service_entry(facts)
            services[name] = replace(there, instances=told.instances, resources=told.resources)
    return replace(
        renewed,
        base=environment.base,
        base_weight=environment.base_weight,
        services=services,
        status=environment.status,
    )

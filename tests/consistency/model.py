"""What a configuration is, told once more and as simply as can be: the checker trusts no code of the product.

A log of rows is folded into layers; a view is a left fold over the layers of its lineage. Keys are bare and
environments have at most one parent: more is not needed to judge histories.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final

from tests.consistency.history import Row

Path = tuple[str, ...]


class _Absent:
    def __repr__(self) -> str:
        return "absent"


ABSENT: Final = _Absent()
"""Nothing is there; null is a value."""


@dataclass(frozen=True, slots=True)
class Touched:
    """A place that an edit moved; the empty path is all of it."""

    environment: str
    service: str | None
    path: Path


@dataclass
class _Environment:
    parent: str | None
    layers: dict[str | None, dict[str, Any]] = field(default_factory=lambda: {None: {}})


class Configuration:
    """All environments after some rows."""

    def __init__(self) -> None:
        self._environments: dict[str, _Environment] = {}
        self._made: dict[tuple[str, str | None], dict[str, Any] | None] = {}

    def apply(self, row: Row) -> list[Touched]:
        """Go on by one row; which places it touched."""
        touched = [self._apply(edit) for edit in row.edits]
        for environment, service in list(self._made):
            lineage = set(self._lineage(environment))
            if any(t.environment in lineage and t.service in (None, service) for t in touched):
                del self._made[environment, service]
        return touched

    def view(self, environment: str, service: str | None) -> dict[str, Any] | None:
        """What is resolved; None where there is no such view. Nobody may change it."""
        name = (environment, service)
        if name not in self._made:
            self._made[name] = self._resolved(environment, service)
        return self._made[name]

    def _apply(self, edit: Mapping[str, Any]) -> Touched:
        if edit["kind"] == "environment":
            return self._environment(edit)
        environment, service, path = edit["environment"], edit.get("service"), path_of(edit["key"])
        layers = self._environments[environment].layers
        layers[service] = after(layers.get(service, {}), path, edit["operation"], edit.get("value"))
        return Touched(environment, service, path)

    def _environment(self, edit: Mapping[str, Any]) -> Touched:
        name, document = edit["environment"], edit.get("document") or {}
        if edit["operation"] != "create":
            raise NotImplementedError(f"the reference model knows no {edit['operation']} of environments")
        parents = document.get("inherits") or [None]
        made = self._environments[name] = _Environment(parents[-1])
        made.layers[None] = deepcopy((document.get("overrides") or {}).get("configuration") or {})
        for service, entry in (document.get("services") or {}).items():
            made.layers[service] = deepcopy((entry or {}).get("configuration") or {})
        return Touched(name, None, ())

    def _lineage(self, environment: str) -> list[str]:
        lineage: list[str] = []
        name: str | None = environment
        while name is not None and name in self._environments:
            lineage.insert(0, name)
            name = self._environments[name].parent
        return lineage

    def _resolved(self, environment: str, service: str | None) -> dict[str, Any] | None:
        lineage = self._lineage(environment)
        layers = [self._environments[name].layers[None] for name in lineage]
        if service is not None:
            own = [self._environments[name].layers.get(service) for name in lineage]
            if all(layer is None for layer in own):
                return None
            layers += [layer for layer in own if layer is not None]
        result: dict[str, Any] = {}
        for layer in layers:
            result = laid_over(result, layer)
        return result if lineage else None


def laid_over(under: Any, over: Mapping[str, Any]) -> dict[str, Any]:
    """One step of the fold: an object goes into an object member by member, anything else replaces."""
    result: dict[str, Any] = dict(under) if isinstance(under, dict) else {}
    for name, value in over.items():
        if value == {"$unset": True}:
            result.pop(name, None)
        elif isinstance(value, dict):
            result[name] = laid_over(result.get(name), value)
        else:
            result[name] = value
    return result


def after(layer: dict[str, Any], path: Path, operation: str, value: Any) -> dict[str, Any]:
    """A layer after an edit; the given one is left as it is."""
    name, rest = path[0], path[1:]
    below = layer.get(name)
    if operation == "delete" and value_at(layer, path) is ABSENT:
        return layer
    if rest:
        inner = after(below if isinstance(below, dict) else {}, rest, operation, value)
        pruned = operation == "delete" and not inner
        return _without(layer, name) if pruned else {**layer, name: inner}
    if operation == "delete":
        return _without(layer, name)
    if operation == "unset":
        return {**layer, name: {"$unset": True}}
    if operation == "merge" and isinstance(below, dict):
        return {**layer, name: laid_over(below, value)}
    return {**layer, name: value}


def path_of(key: str) -> Path:
    """The segments of a key; the keys of histories are bare."""
    return tuple(key.split("."))


def value_at(tree: Any, path: Path) -> Any:
    """What lies at a path, or `ABSENT`."""
    for name in path:
        if not isinstance(tree, dict) or name not in tree:
            return ABSENT
        tree = tree[name]
    return tree


def same(a: Any, b: Any) -> bool:
    """Whether two JSON values are one: 1 and 1.0 are, 1 and true are not."""
    if a is b:
        return True
    if a is ABSENT or b is ABSENT:
        return False
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(value, b[name]) for name, value in a.items())
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return isinstance(a, bool) == isinstance(b, bool) and bool(a == b)


def moved(old: Any, new: Any, at: Path = ()) -> Iterator[tuple[Path, Any, Any]]:
    """Every node that differs between two trees, leaves and what lies above them alike; not the root."""
    olds = old if isinstance(old, dict) else {}
    news = new if isinstance(new, dict) else {}
    for name in sorted(olds.keys() | news.keys()):
        before, now = olds.get(name, ABSENT), news.get(name, ABSENT)
        if not same(before, now):
            yield (*at, name), before, now
            yield from moved(before, now, (*at, name))


def matches(pattern: str, path: Path) -> bool:
    """Whether a pattern matches: ``*`` is one segment, ``**`` any number."""
    return _matches(path_of(pattern), path)


def _matches(pattern: Path, path: Path) -> bool:
    if not pattern:
        return not path
    if pattern[0] == "**":
        return any(_matches(pattern[1:], path[n:]) for n in range(len(path) + 1))
    return bool(path) and pattern[0] in ("*", path[0]) and _matches(pattern[1:], path[1:])


def related(a: Path, b: Path) -> bool:
    """Whether one path is the other, above it or below it."""
    shorter = min(len(a), len(b))
    return a[:shorter] == b[:shorter]


def short(value: Any) -> str:
    """A value as a message shows it."""
    text = repr(value) if value is ABSENT else json.dumps(value, sort_keys=True)
    return text if len(text) <= 120 else text[:117] + "..."


def _without(layer: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in layer.items() if key != name}

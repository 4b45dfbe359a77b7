"""Differences as lines for people: what a plan would do to an environment, how two configurations differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from coreconfig.cli.output import compact
from coreconfig.model.canonical import same
from coreconfig.model.documents import to_document
from coreconfig.model.environments import Environment
from coreconfig.model.keys import Path, format_key
from coreconfig.model.values import is_unset

_FACTS = ("name", "type", "inherits", "properties", "infrastructure", "sealed", "local", "expires_at")
_NOTHING: dict[Path, Any] = {}


def environment_lines(current: Environment | None, wanted: Environment) -> list[str]:
    """How an environment would change, part by part: nothing where it would not."""
    before = {} if current is None else to_document(current)
    after = to_document(wanted)
    mark = click.style("+", fg="green") if current is None else click.style("~", fg="yellow")
    lines: list[str] = []
    services = sorted({*before.get("services", {}), *after.get("services", {})})
    for (title, old), (_, new) in zip(_parts(before, services), _parts(after, services), strict=True):
        if changed := list(difference_lines(old, new, indent="    ")):
            lines += [f"{mark} {click.style(f'{wanted.id}{title}', bold=True)}", *changed]
    return lines


def difference_lines(old: Mapping[Path, Any], new: Mapping[Path, Any], *, indent: str = "") -> Iterator[str]:
    """One line for each leaf that is added, removed or different, in order of keys."""
    for path in sorted({*old, *new}):
        key = format_key(path)
        if path not in new:
            yield f"{indent}{click.style('-', fg='red')} {key} (was {shown(old[path])})"
        elif path not in old:
            yield f"{indent}{click.style('+', fg='green')} {key} = {shown(new[path])}"
        elif not same(old[path], new[path]):
            yield f"{indent}{click.style('~', fg='yellow')} {key}: {shown(old[path])} -> {shown(new[path])}"


def leaves_of(tree: Any, at: Path = ()) -> dict[Path, Any]:
    """The leaves of a nested object; an `$unset` marker is one."""
    if not isinstance(tree, Mapping) or is_unset(tree) or (at and not tree):
        return {at: tree}
    return {
        path: leaf for name, child in tree.items() for path, leaf in leaves_of(child, (*at, name)).items()
    }


def shown(leaf: Any) -> str:
    """A leaf on one line."""
    return "(unset: nothing is inherited)" if is_unset(leaf) else compact(leaf)


def _parts(document: Mapping[str, Any], services: list[str]) -> Iterator[tuple[str, Mapping[Path, Any]]]:
    """A document's parts by title, among them one for each of these services, which it may not have."""
    yield " (environment)", _facts(document)
    yield "", _base(document)
    for name in services:
        said = document.get("services", {}).get(name)
        yield f"/{name} (service)", _service_facts(said)
        yield f"/{name}", leaves_of(said["configuration"]) if said and said["configuration"] else _NOTHING


def _facts(document: Mapping[str, Any]) -> Mapping[Path, Any]:
    # what an environment has without saying so is not worth a line
    said = {name: document[name] for name in _FACTS if document.get(name) not in (None, [], {}, "never")}
    return leaves_of(said) if said else _NOTHING


def _base(document: Mapping[str, Any]) -> Mapping[Path, Any]:
    layer = document.get("overrides", {}).get("configuration")
    return leaves_of(layer) if layer else _NOTHING


def _service_facts(said: Mapping[str, Any] | None) -> Mapping[Path, Any]:
    """That a service is declared, with its instances and resources."""
    if said is None:
        return _NOTHING
    return leaves_of(
        {"declared": True} | {name: said[name] for name in ("instances", "resources") if name in said}
    )

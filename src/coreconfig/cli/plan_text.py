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
    """How an environment would change: nothing where it would not."""
    before = {} if current is None else to_document(current)
    after = to_document(wanted)
    parts = [("", _facts(before), _facts(after)), ("", _base(before), _base(after))]
    services = sorted({*_services(before), *_services(after)})
    parts += [(f" / {name}", _service(before, name), _service(after, name)) for name in services]
    lines: list[str] = []
    headed = None
    for suffix, old, new in parts:
        changed = list(difference_lines(old, new, indent="    "))
        if changed and headed != suffix:
            mark = click.style("+", fg="green") if current is None else click.style("~", fg="yellow")
            lines.append(f"{mark} {click.style(f'{wanted.id}{suffix}', bold=True)}")
            headed = suffix
        lines += changed
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


def _facts(document: Mapping[str, Any]) -> Mapping[Path, Any]:
    said = {name: document[name] for name in _FACTS if name in document and document[name] not in ([], {})}
    return leaves_of(said) if said else _NOTHING


def _base(document: Mapping[str, Any]) -> Mapping[Path, Any]:
    layer = document.get("overrides", {}).get("configuration")
    return leaves_of(layer) if layer else _NOTHING


def _services(document: Mapping[str, Any]) -> Mapping[str, Any]:
    services: Mapping[str, Any] = document.get("services", {})
    return services


def _service(document: Mapping[str, Any], name: str) -> Mapping[Path, Any]:
    """The facts and the layer of one service; a service that says nothing is still declared."""
    if name not in _services(document):
        return _NOTHING
    said = dict(_services(document)[name])
    layer = said.pop("configuration", {})
    facts = (
        {("(instances and resources)", *path): leaf for path, leaf in leaves_of(said).items()} if said else {}
    )
    leaves = {**facts, **(leaves_of(layer) if layer else {})}
    return leaves or {("(declared)",): True}

"""References inside strings: ``${config:key}``, ``${vault:name}``, ``${env:NAME}``; ``$${`` is a literal.

A string that is one reference takes the value and the type of its target; a reference inside a longer string
is spliced in as text. The server resolves ``${config:...}`` in each view after the fold (`resolve_config`);
everything else stays a reference until the SDK resolves it (`resolve_environment`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

from coreconfig.errors import CoreConfigError, Issue
from coreconfig.model.canonical import canonical
from coreconfig.model.keys import Path, format_key, parse_key
from coreconfig.model.trees import MISSING, Tree, get_at, is_object, leaves, plain, set_at
from coreconfig.model.values import MAX_STRING_BYTES, check_shape

MAX_REFERENCE_DEPTH = 8
MAX_STEPS = 500_000
"""How many values one view's references may visit: a few bytes of references could ask for any number."""

Scheme = Literal["config", "vault", "env"]
_TOKEN = re.compile(r"\$\$\{|\$\{(config|vault|env):([^}]*)\}")


@dataclass(frozen=True, slots=True)
class Reference:
    """One reference: where it leads."""

    scheme: Scheme
    name: str

    def __str__(self) -> str:
        return f"${{{self.scheme}:{self.name}}}"


Part = str | Reference
"""Text as it stands (with ``$${`` still escaped), or a reference."""


class UnresolvedReferences(CoreConfigError):
    """References that lead nowhere, round in circles or too deep."""

    default_code = "unresolved_reference"


def parse(text: str) -> list[Part]:
    """The parts of a string; joined again they are the string."""
    parts: list[Part] = []
    end = 0
    for found in _TOKEN.finditer(text):
        if found.group(1) is None:
            continue
        if found.start() > end:
            parts.append(text[end : found.start()])
        parts.append(Reference(found.group(1), found.group(2)))  # type: ignore[arg-type]  # the expression admits only schemes
        end = found.end()
    if end < len(text) or not parts:
        parts.append(text[end:])
    return parts


def references_in(value: Any) -> Iterator[Reference]:
    """Every reference in the strings of a leaf or a whole subtree."""
    if type(value) is str:
        if "${" in value:
            yield from (part for part in parse(value) if isinstance(part, Reference))
    elif is_object(value):
        for child in value.values():
            yield from references_in(child)
    elif type(value) is list:
        for item in value:
            yield from references_in(item)


def config_references(value: Any) -> list[Path]:
    """The keys that a value refers to by ``${config:...}``. Raises `Invalid` for a key that is none."""
    return [parse_key(reference.name) for reference in references_in(value) if reference.scheme == "config"]


def referring_leaves(tree: Tree) -> dict[Path, Any]:
    """The leaves that hold a ``${config:...}``."""
    return {path: leaf for path, leaf in leaves(tree) if refers_to_config(leaf)}


def refers_to_config(leaf: Any) -> bool:
    """Whether a leaf holds a ``${config:...}``."""
    kind = type(leaf)
    if kind is str:
        return "${config:" in leaf
    return kind is list and any(reference.scheme == "config" for reference in references_in(leaf))


def resolve_config(tree: Tree, referring: Mapping[Path, Any]) -> tuple[Tree, list[Issue]]:
    """The folded tree with its `referring` leaves resolved, and every reference that cannot be.

    A leaf that cannot be resolved keeps its text. Issue codes: ``reference_dangling``, ``reference_cycle``,
    ``reference_too_deep``, ``reference_spliced``, ``reference_budget``, ``string_too_long``, ``too_deep``,
    those of keys.
    """
    resolution = _ConfigResolution(tree)
    resolved = tree
    for path, leaf in referring.items():
        try:
            value = resolution.value_of(leaf, (path,))
        except CoreConfigError as error:
            resolution.issues.append(Issue(error.code, error.message, key=format_key(path)))
        else:
            resolution.issues += (faults := _nested_faults(value, path))
            resolved = resolved if faults else set_at(resolved, path, value)
    return resolved, resolution.issues


def _nested_faults(value: Any, path: Path) -> list[Issue]:
    """What is wrong with a target where it comes to stand: too deep, or keys that are too long."""
    if not isinstance(value, dict | list):
        return []
    key = format_key(path)
    return [Issue(one.code, f"{one.message} (at {one.key})", key=key) for one in check_shape(value, path)][:1]


class _ConfigResolution:
    """Follows references through one folded tree."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._steps = 0
        self.issues: list[Issue] = []

    def value_of(self, value: Any, trail: tuple[Path, ...]) -> Any:
        """The value with its references followed; `trail` is the chain of keys that led here."""
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise UnresolvedReferences(
                "the references of this view ask for too many values", code="reference_budget"
            )
        if type(value) is str:
            return self._text_value(value, trail) if "${config:" in value else value
        if is_object(value):
            return {name: self.value_of(child, trail) for name, child in value.items()}
        if type(value) is list:
            return [self.value_of(item, trail) for item in value]
        return value

    def _text_value(self, text: str, trail: tuple[Path, ...]) -> Any:
        parts = parse(text)
        if len(parts) == 1:
            return self._follow(parts[0], trail, spliced=False)
        spliced = _joined([(part, _as_text(self._follow(part, trail, spliced=True))) for part in parts])
        if len(spliced.encode()) > MAX_STRING_BYTES:
            raise UnresolvedReferences(
                f"with its references spliced in the string has more than {MAX_STRING_BYTES} bytes",
                code="string_too_long",
            )
        return spliced

    def _follow(self, part: Part, trail: tuple[Path, ...], *, spliced: bool) -> Any:
        if not isinstance(part, Reference) or part.scheme != "config":
            return str(part)
        path = parse_key(part.name)
        _check_trail(path, trail)
        target = get_at(self._tree, path)
        if target is MISSING:
            onward = Reference("config", format_key(self._onward(part, path, trail)))
            return self._follow(onward, (*trail, path), spliced=spliced)
        value = self.value_of(target, (*trail, path))
        if spliced and any(reference.scheme != "config" for reference in references_in(value)):
            raise UnresolvedReferences(
                f"{part} stands inside a longer string and its target holds a ${{vault:}} or ${{env:}}"
                " reference; refer to it as the whole value",
                code="reference_spliced",
            )
        return value

    def _onward(self, part: Part, path: Path, trail: tuple[Path, ...]) -> Path:
        """Where a key leads that lies below a reference; readers find it there as well."""
        for length in range(1, len(path)):
            above = get_at(self._tree, path[:length])
            parts = parse(above) if type(above) is str else []
            if len(parts) == 1 and isinstance(parts[0], Reference) and parts[0].scheme == "config":
                _check_trail(path[:length], trail)
                return parse_key(parts[0].name) + path[length:]
        raise UnresolvedReferences(f"{part} leads nowhere: there is no such key", code="reference_dangling")


def _check_trail(path: Path, trail: tuple[Path, ...]) -> None:
    chain = " -> ".join(format_key(step) for step in (*trail, path))
    # a key that lies in what it refers to comes round to itself as well
    if any(step[: len(path)] == path for step in trail):
        raise UnresolvedReferences(f"references go round in a circle: {chain}", code="reference_cycle")
    if len(trail) > MAX_REFERENCE_DEPTH:
        raise UnresolvedReferences(
            f"references are chained deeper than {MAX_REFERENCE_DEPTH}: {chain}", code="reference_too_deep"
        )


def _joined(pieces: list[tuple[Part, str]]) -> str:
    """The pieces as one text in which nothing has become a reference, or an escape, by standing together."""
    joined = ""
    for part, text in pieces:
        if joined.endswith("$") and text.startswith(("{", "${")):
            if isinstance(part, Reference) and part.scheme != "config":
                raise UnresolvedReferences(
                    f"the text before {part} ends with $, which would make a literal of it",
                    code="reference_spliced",
                )
            joined += "$"
        joined += text
    return joined


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else canonical(plain(value))


def resolve_environment(
    tree: Tree, variables: Mapping[str, str], allowed: Sequence[str]
) -> tuple[Tree, list[Issue]]:
    """The view as a process reads it: allowed ``${env:NAME}`` filled in and ``$${`` unescaped.

    ``${vault:...}`` stays as it is. A name that is not allowed or not set is an issue (``env_not_allowed``,
    ``env_not_set``) and keeps its text. Returns the same tree where nothing had to be done.
    """
    issues: list[Issue] = []

    def lookup(reference: Reference, key: str) -> str:
        if reference.scheme != "env":
            return str(reference)
        if not any(fnmatchcase(reference.name, pattern) for pattern in allowed):
            text = f"{reference} is not resolved: the process does not allow it; add the name to env_allow"
            issues.append(Issue("env_not_allowed", text, key=key))
            return str(reference)
        if reference.name not in variables:
            issues.append(Issue("env_not_set", f"{reference} is not set in this process", key=key))
            return str(reference)
        return variables[reference.name]

    for path, leaf in list(leaves(tree)):
        finished = _finish(leaf, format_key(path), lookup) if _unfinished(leaf) else leaf
        if finished is not leaf:
            tree = set_at(tree, path, finished)
    return tree, issues


def _unfinished(leaf: Any) -> bool:
    return ("${" in leaf) if type(leaf) is str else type(leaf) is list and bool(leaf)


def _finish(value: Any, key: str, lookup: Callable[[Reference, str], str]) -> Any:
    if type(value) is str:
        if "${" not in value:
            return value
        parts = parse(value)
        return "".join(lookup(p, key) if isinstance(p, Reference) else p.replace("$${", "${") for p in parts)
    if is_object(value):
        return {name: _finish(child, key, lookup) for name, child in value.items()}
    if type(value) is list:
        finished = [_finish(item, key, lookup) for item in value]
        return finished if any(a is not b for a, b in zip(finished, value, strict=True)) else value
    return value

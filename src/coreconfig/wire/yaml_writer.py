"""Writes an environment document as YAML: block style, one fixed order, the same bytes every time.

Its own emitter, so that no release of a library ever changes the bytes that somebody keeps under version
control. Members whose order means something to people stand in that order, all others in canonical order.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from coreconfig.model.canonical import MAX_EXACT_INTEGER, ordered
from coreconfig.wire.yaml_reader import plain_scalar

_DOCUMENT = (
    "id", "name", "type", "inherits", "properties", "overrides", "services", "infrastructure",
    "sealed", "local", "expires_at", "status",
)  # fmt: skip
_FIRST: dict[tuple[str, ...], tuple[str, ...]] = {
    (): _DOCUMENT,
    ("properties",): ("region", "cloud", "scalingPolicy", "securityLevel", "complianceRequirements"),
    ("properties", "scalingPolicy"): ("minInstances", "maxInstances"),
    ("services", "*"): ("instances", "resources", "configuration"),
    ("services", "*", "resources"): ("cpu", "memory"),
}
_ANYWHERE = ("?",)
"""Stands for a place where no member has an order of its own."""
_FLOW_WIDTH = 90
"""An array of scalars that fits into this many columns stands on the line of its member."""

# Texts of these characters need no quotes, unless they mean something else to some reader of YAML.
_BARE = re.compile(r"[A-Za-z0-9_/.$][A-Za-z0-9_./$+~@%^()=;<>-]*(?:[ :][A-Za-z0-9_./$+~@%^()=;<>-]+)*\Z")
_BARE_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$.-]*\Z")
# YAML 1.1 and its readers (section "Language-Independent Types"): what 1.2 takes as text and they do not.
_OTHERWISE = re.compile(
    r"(?:y|n|yes|no|on|off|true|false|null|~|<<|=|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"
    r"|[-+]?[0-9.][0-9_,.]*(?:e[-+]?[0-9]*)?|[-+]?0[xbo][0-9a-f_]+|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}.*"
    r"|[-+]?\.(?:inf|nan)|[-+.].*)\Z",
    re.IGNORECASE,
)
# What a YAML stream may not hold as it is (1.2.2, section 5.1), and line breaks that some readers see.
_ESCAPED = re.compile('["\\\\\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]')
_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def dump(document: Mapping[str, Any]) -> str:
    """The YAML text of an environment document; `coreconfig.wire.yaml.load` gives the document back.

    Equal documents give equal bytes, in whatever order their members came.
    """
    if not document:
        return "{}\n"
    return "\n".join(_members(document, (), 0)) + "\n"


def dump_tree(tree: Mapping[str, Any]) -> str:
    """The YAML text of any object, its members in canonical order."""
    return "\n".join(_members(tree, _ANYWHERE, 0)) + "\n" if tree else "{}\n"


def _members(node: Mapping[str, Any], path: tuple[str, ...], indent: int) -> Iterator[str]:
    pad = " " * indent
    for name in _order(node, path):
        value, here = node[name], _below(path, name)
        head = f"{pad}{_name(name)}:"
        if isinstance(value, Mapping) and value:
            yield head
            yield from _members(value, here, indent + 2)
        else:
            yield from _value(head, value, indent)


def _value(head: str, value: Any, indent: int) -> Iterator[str]:
    """A scalar, an array or an empty object after `head`; what follows on own lines is indented further."""
    if isinstance(value, list | tuple) and value:
        flow = _flow(value)
        if flow is not None and len(head) + 1 + len(flow) <= _FLOW_WIDTH:
            yield f"{head} {flow}"
        else:
            yield head
            for item in value:
                yield from _item(item, indent + 2)
    elif isinstance(value, str) and "\n" in value and _is_literal(value):
        yield f"{head} |{'' if value.endswith(chr(10)) else '-'}"
        for line in value.removesuffix("\n").split("\n"):
            yield " " * (indent + 2) + line if line else ""
    else:
        yield f"{head} {_inline(value)}"


def _item(value: Any, indent: int) -> Iterator[str]:
    pad = " " * indent
    if isinstance(value, Mapping) and value:
        lines = _members(value, _ANYWHERE, indent + 2)
        yield f"{pad}- {next(lines).lstrip(' ')}"
        yield from lines
    else:
        yield from _value(f"{pad}-", value, indent)


def _order(node: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    first = [name for name in _FIRST.get(path, ()) if name in node]
    return first + [name for name in ordered(node) if name not in first]


def _below(path: tuple[str, ...], name: str) -> tuple[str, ...]:
    return (*path, "*") if path == ("services",) else (*path, name)


def _inline(value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return "{}"
    if isinstance(value, list | tuple):
        return _flow(value) or "[]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        # 1 and 1.0 are the same value; beyond 2^53 the point tells the reader that it is a double
        return str(int(value)) if value.is_integer() and abs(value) < MAX_EXACT_INTEGER else repr(value)
    return str(value)


def _flow(values: list[Any] | tuple[Any, ...]) -> str | None:
    """The array on one line, or None if an item is more than a scalar."""
    if any(isinstance(item, Mapping | list | tuple) for item in values):
        return None
    return "[" + ", ".join(map(_inline, values)) + "]"


def _text(text: str) -> str:
    return text if _is_bare(text) else quoted(text)


def _name(name: str) -> str:
    return name if _BARE_NAME.match(name) and not _OTHERWISE.match(name) else quoted(name)


def _is_bare(text: str) -> bool:
    if not _BARE.match(text) or _OTHERWISE.match(text) or len(text) > 200:
        return False
    return ": " not in text and " #" not in text and isinstance(plain_scalar(text), str)


def quoted(text: str) -> str:
    """The text in double quotes, with escapes where YAML 1.2 needs them."""
    return '"' + _ESCAPED.sub(_escape, text) + '"'


def _escape(found: re.Match[str]) -> str:
    character = found.group()
    return _SHORT.get(character) or f"\\u{ord(character):04x}"


def _is_literal(text: str) -> bool:
    """Whether a block scalar shows the text unchanged: printable, no white space that nobody sees."""
    lines = text.removesuffix("\n").split("\n")
    if not lines[0] or not lines[-1] or lines[0][0].isspace():
        return False
    if any(line != line.rstrip() for line in lines):
        return False
    return set(_ESCAPED.findall("".join(lines))) <= {'"', "\\"}

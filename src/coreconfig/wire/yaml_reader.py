"""Builds one JSON value out of the events of a YAML parser, and collects all that is wrong with it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, NamedTuple

from coreconfig.errors import Issue
from coreconfig.model.keys import format_key

MAX_DEPTH = 64
"""Deeper than any document may be: its own levels and those of a value in it."""
MAX_ALIAS_EXPANSION = 1024 * 1024
"""What all aliases of a document may stand for together, in characters and nodes."""
MAX_ISSUES = 100
MAX_INTEGER = 2**53

# YAML 1.2.2, section 10.3.2: the tags of the core schema.
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEAN = {
    "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_DECIMAL = re.compile(r"[-+]?[0-9]+\Z")
_OCTAL = re.compile(r"0o[0-7]+\Z")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)\Z|\.(nan|NaN|NAN)\Z")


def plain_scalar(text: str) -> Any:
    """What an unquoted scalar means in the core schema; a number that is none in JSON raises `ValueError`."""
    if text in _NULL:
        return None
    if text in _BOOLEAN:
        return _BOOLEAN[text]
    if not text[0].isascii() or not (text[0].isdigit() or text[0] in "+-."):
        return text
    if _NOT_FINITE.match(text):
        raise ValueError("number_not_finite", f"{text} is not a number in JSON")
    if _FLOAT.match(text) or _OCTAL.match(text) or _HEXADECIMAL.match(text):
        return _number(text)
    return text


def _number(text: str) -> int | float:
    if _DECIMAL.match(text):
        number: int | float = int(text) if len(text) < 40 else MAX_INTEGER + 1
    elif text.startswith(("0o", "0x")):
        number = int(text, 0) if len(text) < 40 else MAX_INTEGER + 1
    else:
        number = float(text)
    if isinstance(number, int) and abs(number) > MAX_INTEGER:
        raise ValueError("integer_out_of_range", "an integer beyond 2^53 is not exact everywhere; quote it")
    if math.isinf(number):
        raise ValueError("number_not_finite", f"{text[:40]} is beyond the range of a double")
    return number


class Mark(NamedTuple):
    """A place in the text, counted from zero (a mark of the parser has the same two names)."""

    line: int
    column: int


@dataclass(slots=True)
class _Open:
    """A mapping or sequence whose end has not been seen yet."""

    container: dict[str, Any] | list[Any]
    anchor: str | None
    size: int = 1
    height: int = 1
    member: str | None = None  # mapping: its value comes next, under this name
    refused: bool = False  # mapping: its value comes next, and is dropped
    as_name: bool = False  # this node stands where a member's name belongs


@dataclass(frozen=True, slots=True)
class _Anchored:
    value: Any
    size: int
    height: int


class Builder:
    """Takes events one by one; afterwards `value` or `issues` says what came of them.

    `finished` tells that reading on would find nothing more of use.
    """

    def __init__(self) -> None:
        self.value: Any = None
        self.issues: list[Issue] = []
        self.finished = False
        self._documents = 0
        self._open: list[_Open] = []
        self._anchors: dict[str, _Anchored] = {}
        self._expanded = 0

    def refuse(self, code: str, message: str, mark: Any, *, fatal: bool = False) -> None:
        """Note an issue at a mark of the parser (None: position unknown); `fatal` ends the reading."""
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
        self.issues.append(Issue(code=code, message=where + message, key=self._key()))
        if fatal or len(self.issues) >= MAX_ISSUES:
            self.finished = True

    def take(self, event: Any) -> None:
        """Work one event of ruamel.yaml's parser into the value."""
        match type(event).__name__:
            case "ScalarEvent":
                self._scalar(event)
            case "MappingStartEvent":
                self._begin({}, event)
            case "SequenceStartEvent":
                self._begin([], event)
            case "MappingEndEvent" | "SequenceEndEvent":
                self._end()
            case "AliasEvent":
                self._alias(event)
            case "DocumentStartEvent":
                self._document(event)
            case "StreamEndEvent" if self._documents == 0:
                self.refuse("yaml_empty", "there is no document in it", None)

    def _document(self, event: Any) -> None:
        self._documents += 1
        if self._documents > 1:
            problem = "a second document begins; put each into a file of its own"
            self.refuse("yaml_several_documents", problem, event.start_mark, fatal=True)
        if event.version is not None and tuple(event.version) != (1, 2):
            version = ".".join(map(str, event.version))
            problem = f"the file asks for YAML {version}; only 1.2 is read, remove the directive"
            self.refuse("yaml_version", problem, event.start_mark)

    def _scalar(self, event: Any) -> None:
        self._check_tag(event)
        is_plain = event.implicit[0] and event.style is None
        if self._wants_name():
            self._name(event, is_plain=is_plain)
            return
        value: Any = event.value
        if is_plain:
            try:
                value = plain_scalar(event.value)
            except ValueError as error:
                self.refuse(error.args[0], error.args[1], event.start_mark)
        node = _Anchored(value, 1 + len(event.value), 0)
        self._remember(event.anchor, node)
        self._put(node)

    def _name(self, event: Any, *, is_plain: bool) -> None:
        """The name of a member; one that cannot stand is noted, and its value read and dropped."""
        parent, name = self._open[-1], event.value
        self._remember(event.anchor, _Anchored(name, 1 + len(name), 0))
        if is_plain and name == "<<":
            problem = "merge keys are not part of YAML 1.2; write the members out, or inherit an environment"
            self.refuse("yaml_merge_key", problem, event.start_mark)
        elif is_plain and not _is_text(name):
            problem = f"the name {name or '(nothing)'} is not a text here; put it into quotes"
            self.refuse("yaml_key_not_string", problem, event.start_mark)
        elif name in parent.container:
            self.refuse("duplicate_member", f"the name {name!r} stands here twice", event.start_mark)
        else:
            parent.member = name
            parent.size += len(name)
            return
        parent.refused = True

    def _begin(self, container: dict[str, Any] | list[Any], event: Any) -> None:
        self._check_tag(event)
        as_name = self._wants_name()
        if as_name:
            problem = "an object or array cannot be the name of a member; names are texts"
            self.refuse("yaml_key_not_string", problem, event.start_mark)
        self._open.append(_Open(container, event.anchor, as_name=as_name))
        if len(self._open) > MAX_DEPTH:
            self.refuse("too_deep", f"nested more than {MAX_DEPTH} deep", event.start_mark, fatal=True)

    def _end(self) -> None:
        closed = self._open.pop()
        node = _Anchored(closed.container, closed.size, closed.height)
        self._remember(closed.anchor, node)
        if closed.as_name:
            self._open[-1].refused = True
        else:
            self._put(node)

    def _alias(self, event: Any) -> None:
        node = self._anchors.get(event.anchor)
        if self._wants_name():
            self.refuse("yaml_key_not_string", "an alias cannot be a member's name", event.start_mark)
            self._open[-1].refused = True
        elif any(frame.anchor == event.anchor for frame in self._open):
            problem = f"*{event.anchor} stands for something that contains it"
            self.refuse("yaml_recursive_alias", problem, event.start_mark, fatal=True)
        elif node is None:
            self.refuse("yaml_unknown_alias", f"there is no &{event.anchor} before it", event.start_mark)
            self._put(_Anchored(None, 1, 0))
        elif self._is_affordable(node, event):
            self._put(_Anchored(_copy(node.value), node.size, node.height))

    def _is_affordable(self, node: _Anchored, event: Any) -> bool:
        self._expanded += node.size
        if self._expanded > MAX_ALIAS_EXPANSION:
            problem = f"the aliases of this document stand for more than {MAX_ALIAS_EXPANSION} characters"
            self.refuse("yaml_alias_bomb", problem, event.start_mark, fatal=True)
        elif len(self._open) + node.height > MAX_DEPTH:
            self.refuse("too_deep", f"nested more than {MAX_DEPTH} deep", event.start_mark, fatal=True)
        return not self.finished

    def _check_tag(self, event: Any) -> None:
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            problem = f"tags are refused; remove {tag} (and quote what shall be a text)"
            self.refuse("yaml_tag", problem, event.start_mark)

    def _wants_name(self) -> bool:
        if not self._open:
            return False
        frame = self._open[-1]
        return isinstance(frame.container, dict) and frame.member is None and not frame.refused

    def _remember(self, anchor: str | None, node: _Anchored) -> None:
        if anchor is not None:
            self._anchors[anchor] = node

    def _put(self, node: _Anchored) -> None:
        """A finished node goes where the innermost open one waits for it."""
        if not self._open:
            self.value = node.value
            return
        frame = self._open[-1]
        if isinstance(frame.container, list):
            frame.container.append(node.value)
        elif frame.member is None:  # its name was refused
            frame.refused = False
            return
        else:
            frame.container[frame.member] = node.value
            frame.member = None
        frame.size += node.size
        frame.height = max(frame.height, node.height + 1)

    def _key(self) -> str | None:
        """Where in the document the reading stands, as a key; an array is named, not its item."""
        path = [frame.member for frame in self._open if isinstance(frame.container, dict) and frame.member]
        return format_key(tuple(path)) if path else None


def _is_text(text: str) -> bool:
    try:
        return isinstance(plain_scalar(text), str)
    except ValueError:
        return False


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copy(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_copy(item) for item in value]
    return value

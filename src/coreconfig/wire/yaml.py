"""YAML in and out: the core schema of YAML 1.2, and nothing of YAML that is not JSON.

`load` reads what people write and refuses, with line and column, whatever has no meaning in JSON or would
be read differently by another program: tags, merge keys, members whose name is not a text, duplicate
members, NaN and infinities, a second document, aliases that expand without bounds. Dates stay texts. It
needs ruamel.yaml, which is loaded on first use; `dump` needs nothing and writes the same bytes for the
same document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from coreconfig.errors import Invalid, TooLarge
from coreconfig.wire.yaml_reader import Builder, Mark
from coreconfig.wire.yaml_writer import dump, dump_tree

if TYPE_CHECKING:
    from coreconfig.model.values import Value

__all__ = ["MAX_BYTES", "dump", "dump_tree", "load"]

MAX_BYTES = 32 * 1024 * 1024
"""The longest text that is read; a view may not be larger either."""

# YAML 1.2.2, section 5.1: the characters that a stream may hold are the complement of these.
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def load(text: str | bytes, *, name: str = "the YAML text") -> Value:
    """The value that the one document of `text` spells; `name` says in messages where it came from.

    Raises `Invalid` (``bad_yaml``) with every issue that could be found, each with line and column;
    `Invalid` (``yaml_not_installed``) without ruamel.yaml; `TooLarge` beyond `MAX_BYTES`.
    """
    builder = Builder()
    for event in _events(_decode(text, name).removeprefix("\ufeff"), builder):
        builder.take(event)
        if builder.finished:
            break
    if builder.issues:
        count = len(builder.issues)
        problems = "1 problem" if count == 1 else f"{count} problems"
        raise Invalid(f"{name} cannot be read: {problems}", code="bad_yaml", issues=builder.issues)
    return builder.value


def _decode(text: str | bytes, name: str) -> str:
    if len(text) > MAX_BYTES:
        raise TooLarge(f"{name} has {len(text)} bytes, at most {MAX_BYTES} are read", code="body_too_large")
    if isinstance(text, str):
        return text
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        message = f"{name} is not UTF-8: line {line} has a misplaced byte 0x{text[error.start]:02x}"
        raise Invalid(message, code="not_utf8") from None


def _events(text: str, builder: Builder) -> Iterator[Any]:
    """The parser's events; a fault of syntax becomes the last issue, since nothing can follow it."""
    try:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import MarkedYAMLError
    except ModuleNotFoundError:
        message = 'reading YAML needs ruamel.yaml; install it with: pip install "coreconfig[yaml]"'
        raise Invalid(message, code="yaml_not_installed") from None
    if unprintable := _UNPRINTABLE.search(text):
        problem = f"the character {unprintable.group()!a} is not allowed"
        builder.refuse("yaml_syntax", problem, _mark(unprintable))
        return
    parser = YAML(typ="safe", pure=True)
    try:
        yield from parser.parse(text)
    except MarkedYAMLError as error:
        builder.refuse("yaml_syntax", _problem(error), error.problem_mark or error.context_mark)


def _problem(error: Any) -> str:
    """What the parser says, or a plain word for what people meet most."""
    if "'\\t'" in (error.problem or ""):
        return "a tab stands where only spaces may indent"
    return " ".join(part for part in (error.context, error.problem) if part)


def _mark(found: re.Match[str]) -> Mark:
    before = found.string[: found.start()]
    return Mark(before.count("\n"), len(before) - before.rfind("\n") - 1)

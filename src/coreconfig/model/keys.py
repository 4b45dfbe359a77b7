"""Keys, patterns and ids: their grammar, their canonical spelling, and what a pattern matches.

A key is a path of segments joined by dots. A segment of ``A-Z a-z 0-9 _ -`` stands bare; any other is
quoted like a TOML key (``logging.levels."com.acme.risk"``). `format_key` gives the one canonical spelling.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from coreconfig.errors import Invalid

Path = tuple[str, ...]

MAX_KEY_BYTES = 512
MAX_SEGMENTS = 32
MAX_SEGMENT_LENGTH = 128
RESERVED = frozenset({"__proto__", "constructor", "prototype"})

_BARE = re.compile(r"[A-Za-z0-9_-]{1,128}\Z")
_SEGMENT = re.compile(r"""[A-Za-z0-9_-]+ | "(?:[^"\\]|\\.)*" | '[^']*'""", re.VERBOSE)
_WILDCARD = re.compile(r"\*\*?(?=\.|\Z)")
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)")
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}\Z")


def segment_fault(segment: str) -> tuple[str, str] | None:
    """Why this text cannot be a segment, as (code, sentence); None when it can."""
    if segment in RESERVED:
        return "key_reserved", f"the segment {segment!r} is reserved, choose another name"
    if _BARE.match(segment):
        return None
    if not segment:
        return "bad_key", "a segment is empty"
    if len(segment) > MAX_SEGMENT_LENGTH:
        return (
            "key_too_long",
            f"a segment has {len(segment)} characters, at most {MAX_SEGMENT_LENGTH} are allowed",
        )
    if segment == "$unset":
        return "key_reserved", "the segment '$unset' is reserved for removing what is inherited"
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in segment):
        return "bad_key", "a segment holds a control character or half of a surrogate pair"
    if not unicodedata.is_normalized("NFC", segment):
        return "bad_key", f"the segment {segment!r} is not in Unicode normal form C"
    return None


@lru_cache(maxsize=16_384)
def parse_key(key: object) -> Path:
    """The path that a key names, in any of its spellings.

    Raises `Invalid` with code ``bad_key``, ``key_too_long``, ``key_too_deep`` or ``key_reserved``.
    """
    path = tuple(segment for segment, _ in _scan(key, "key", wildcards=False))
    check_path(path)
    return path


def check_path(path: Path) -> None:
    """Raise `Invalid` unless every segment, their number and their length together are allowed."""
    if not path:
        raise Invalid("a key needs at least one segment", code="bad_key")
    for segment in path:
        if fault := segment_fault(segment):
            raise Invalid(f"key {'.'.join(path)[:600]!r}: {fault[1]}", code=fault[0])
    if len(path) > MAX_SEGMENTS:
        raise Invalid(
            f"key {'.'.join(path)[:80]!r}... has {len(path)} segments, at most {MAX_SEGMENTS} are allowed",
            code="key_too_deep",
        )
    if (size := len(format_key(path).encode())) > MAX_KEY_BYTES:
        raise Invalid(
            f"key {'.'.join(path)[:80]!r}... has {size} bytes, at most {MAX_KEY_BYTES} are allowed",
            code="key_too_long",
        )


def quote(segment: str) -> str:
    """One segment in its canonical spelling: bare where it may be, else in double quotes."""
    if _BARE.match(segment):
        return segment
    escaped = segment.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def format_key(path: Path) -> str:
    """The canonical spelling of a path; `parse_key` gives the path back."""
    return ".".join([segment if _BARE.match(segment) else quote(segment) for segment in path])


def is_related(a: Path, b: Path) -> bool:
    """Whether one path is equal to, above or below the other."""
    shorter = min(len(a), len(b))
    return a[:shorter] == b[:shorter]


class Pattern:
    """A key in which ``*`` stands for one segment and ``**`` for any number of them, also none."""

    __slots__ = ("_parts", "text")

    def __init__(self, text: str, parts: tuple[str | int, ...]) -> None:
        self.text = text
        self._parts = parts

    def __repr__(self) -> str:
        return f"Pattern({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pattern) and other._parts == self._parts

    def __hash__(self) -> int:
        return hash(self._parts)

    def matches(self, path: Path) -> bool:
        """Whether the whole path fits, segment by segment; time is at most pattern length x path length."""
        reachable = {0}
        for segment in path:
            reachable = set(self._step(self._skip_any(reachable), segment))
            if not reachable:
                return False
        return len(self._parts) in self._skip_any(reachable)

    def _skip_any(self, positions: set[int]) -> set[int]:
        """The positions, and those reached by letting a ``**`` stand for nothing."""
        closed = set(positions)
        for start in positions:
            for position in range(start, len(self._parts)):
                if self._parts[position] != _ANY:
                    break
                closed.add(position + 1)
        return closed

    def _step(self, positions: set[int], segment: str) -> Iterator[int]:
        for position in positions:
            if position == len(self._parts):
                continue
            part = self._parts[position]
            if part == _ANY:
                yield position
            elif part in (_ONE, segment):
                yield position + 1


_ONE, _ANY = 1, 2


@lru_cache(maxsize=4_096)
def parse_pattern(text: str) -> Pattern:
    """The pattern that a text spells. Raises `Invalid` (``bad_pattern``)."""
    parts: list[str | int] = []
    for segment, wildcard in _scan(text, "pattern", wildcards=True):
        if wildcard:
            parts.append(_ONE if segment == "*" else _ANY)
        elif fault := segment_fault(segment):
            raise Invalid(f"pattern {text[:600]!r}: {fault[1]}", code="bad_pattern")
        else:
            parts.append(segment)
    if len(parts) > MAX_SEGMENTS or len(text.encode("utf-8", "replace")) > MAX_KEY_BYTES:
        raise Invalid(f"pattern {text[:80]!r}... is longer than a key may be", code="bad_pattern")
    return Pattern(text, tuple(parts))


def check_id(what: str, value: object) -> str:
    """The id itself if it may name an environment, a service or an instance; else `Invalid` (``bad_id``)."""
    if not isinstance(value, str) or not _ID.match(value):
        raise Invalid(
            f"{value!r} cannot be the id of {_article(what)}: use 1 to 63 of a-z, 0-9 and '-',"
            " beginning with a letter or digit",
            code="bad_id",
        )
    return value


def _article(what: str) -> str:
    return f"an {what}" if what[0] in "aeiou" else f"a {what}"


def _scan(text: object, what: str, *, wildcards: bool) -> Iterator[tuple[str, bool]]:
    """Each segment of a dotted text and whether it is a wildcard."""
    if not isinstance(text, str):  # whatever a request holds may arrive here
        raise Invalid(f"a {what} is a text, not {type(text).__name__}", code=f"bad_{what}")
    position = 0
    while True:
        wildcard = _WILDCARD.match(text, position) if wildcards else None
        found = wildcard or _SEGMENT.match(text, position)
        if found is None or (found.end() < len(text) and text[found.end()] != "."):
            raise Invalid(_misspelt(text, position, what), code=f"bad_{what}")
        yield (found.group(), True) if wildcard else (_unquote(found.group(), text, what), False)
        if found.end() == len(text):
            return
        position = found.end() + 1


def _misspelt(text: str, position: int, what: str) -> str:
    if not text:
        return f"a {what} is not empty"
    if position >= len(text) or text[position] == ".":
        hint = "there is an empty segment between two dots or at an end"
    else:
        hint = "put segments with other characters than A-Z a-z 0-9 _ - into double quotes"
    return f"{what} {text[:600]!r} cannot be read at character {position + 1}: {hint}"


def _unquote(token: str, text: str, what: str) -> str:
    if token[0] == "'":
        return token[1:-1]
    if token[0] != '"':
        return token
    try:
        return _ESCAPE.sub(lambda found: _unescape(found.group(1)), token[1:-1])
    except (KeyError, ValueError, OverflowError):
        raise Invalid(f"{what} {text[:600]!r}: unknown escape in {token}", code=f"bad_{what}") from None


_ESCAPED = {'"': '"', "\\": "\\", "b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r"}


def _unescape(escape: str) -> str:
    if escape[0] in "uU" and len(escape) > 1:
        return chr(int(escape[1:], 16))
    return _ESCAPED[escape]

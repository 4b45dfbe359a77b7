"""Keeps configuration values out of texts that somebody else wrote, such as a program's own validators.

A value may be a secret even where nothing marks it as one, so every text of the checked value that could be
one is replaced; the rest of the sentence stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

MASK = "***"

_SHORTEST_NUMBER = 4
"""A number with fewer characters is no secret, and masking it would hide the bounds that a message names."""


def masked(text: str, value: Any) -> str:
    """The text without any string, and without any longer number, that occurs in the value."""
    spellings = sorted(set(_spellings(value)), key=len, reverse=True)
    if not spellings:
        return text
    return re.sub("|".join(f"{_edge(s[0])}{re.escape(s)}{_edge(s[-1])}" for s in spellings), MASK, text)


def _edge(character: str) -> str:
    """Where a spelling begins or ends with a letter or digit, the word must begin or end there too."""
    return r"\b" if re.match(r"\w", character) else ""


def _spellings(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for child in value.values():
            yield from _spellings(child)
    elif isinstance(value, list):
        for item in value:
            yield from _spellings(item)
    elif isinstance(value, str):
        yield from _spellings_of_text(str.__str__(value))
    elif type(value) in (int, float) and len(repr(value)) >= _SHORTEST_NUMBER:
        yield repr(value)


def _spellings_of_text(text: str) -> Iterator[str]:
    if text:
        yield text
        yield repr(text)[1:-1]

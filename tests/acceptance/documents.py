"""The documentation as something that can be run: its code blocks, and what they say that is printed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

_FENCE = re.compile(
    r"^```(?P<language>\w+)?(?P<options>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_NUMBERS = (
    (re.compile(r"\b\d+ ms"), "N ms"),
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:N"),
    (re.compile(r"process \d+"), "process N"),
)


@dataclass(frozen=True)
class Block:
    """A fenced code block; `options` are the words ``name=value`` behind its language."""

    language: str
    text: str
    line: int
    options: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Command:
    """A line after ``$``, and the lines that are said to follow."""

    line: str
    expected: list[str]


def blocks(page: Path) -> list[Block]:
    """The code blocks of a page, in order."""
    text = page.read_text("utf-8")
    return [
        Block(
            found["language"] or "",
            found["text"],
            text.count("\n", 0, found.start()) + 1,
            dict(word.split("=", 1) for word in found["options"].split()),
        )
        for found in _FENCE.finditer(text)
    ]


def commands(block: Block) -> list[Command]:
    """The commands of a console block. A comment behind a command is not part of it."""
    found: list[Command] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            found.append(Command(line[2:].split(" #")[0].strip(), []))
        elif found:
            found[-1].expected.append(line)
    return found


def deviation(expected: list[str], printed: str) -> str | None:
    """What of the expected lines was not printed, in this order; None if all of it was.

    Spaces are counted as one, times and ports as any. ``…`` in a line stands for anything, a line of its own
    for any lines; without one the lines have to follow each other.
    """
    actual = [line for line in map(plainly, printed.splitlines()) if line]
    position, leap = 0, True
    for line in filter(None, map(plainly, expected)):
        if line == "…":
            leap = True
            continue
        pattern = re.compile(".*".join(map(re.escape, re.split(r"\s*…\s*", line))))
        places = range(position, len(actual)) if leap else range(position, min(position + 1, len(actual)))
        place = next((place for place in places if pattern.fullmatch(actual[place])), None)
        if place is None:
            return f"not printed (here): {line}\nprinted:\n{printed}"
        position, leap = place + 1, False
    return None


def plainly(line: str) -> str:
    """A line without what differs from run to run and from terminal to terminal."""
    line = re.sub(r"^(\s*)(✓|ok) ", r"\1", line)
    for numbers, word in _NUMBERS:
        line = numbers.sub(word, line)
    return " ".join(line.split())

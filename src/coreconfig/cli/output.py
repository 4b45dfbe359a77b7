"""Printing: data to standard output, words to standard error."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

_GAP = 2
_LEAST = 8
"""Characters that a column keeps however narrow the terminal is."""


def compact(value: Any) -> str:
    """A value on one line, as JSON."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


class Output:
    """Where a command's results go; `json` says that programs will read them."""

    def __init__(self, as_json: bool = False) -> None:  # noqa: FBT001, FBT002  # a value class with one field
        self.json = as_json

    def document(self, value: Any) -> None:
        """The whole answer as JSON."""
        click.echo(json.dumps(value, ensure_ascii=False, indent=2))

    def value(self, value: Any) -> None:
        """One configuration value: a text as it is, anything else as JSON."""
        click.echo(
            value
            if isinstance(value, str)
            else json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True)
        )

    def line(self, text: str) -> None:
        """One line of data."""
        click.echo(text)

    def note(self, text: str = "") -> None:
        """Words for a person."""
        click.echo(wrapped(text), err=True)

    def table(
        self, titles: Sequence[str], rows: Iterable[Sequence[Any]], *, spare: Sequence[str] = ()
    ) -> None:
        """Columns wide enough for what stands in them; the titles go to standard error.

        On a terminal that is too narrow the columns in `spare` are left out, in this order, and the widest of
        the others but the first cut short; programs that read get all of it.
        """
        cells = [[_cell(value) for value in row] for row in rows]
        widths = [max(map(len, column)) for column in zip(titles, *cells, strict=True)]
        if sys.stdout.isatty():
            order = [list(titles).index(name) for name in spare]
            widths = fitting(widths, shutil.get_terminal_size().columns, order)
        click.secho(_row(titles, widths), bold=True, err=True)
        for row in cells:
            click.echo(_row(row, widths))


def wrapped(text: str, indent: int = 4) -> str:
    """On a terminal in lines that break between words; as it is where a program reads."""
    width = shutil.get_terminal_size().columns
    if not sys.stderr.isatty() or len(click.unstyle(text)) <= width:
        return text
    margin = len(text) - len(text.lstrip()) + indent
    return textwrap.fill(
        text, width, subsequent_indent=" " * margin, break_on_hyphens=False, break_long_words=False
    )


def fitting(widths: Sequence[int], columns: int, spare: Sequence[int] = ()) -> list[int]:
    """The widths of a table's columns made to fit: spare ones become 0, then the widest give way.

    The first column is what a person copies into the next command, so it stays whole.
    """
    fitted = list(widths)
    for place in spare:
        if _total(fitted) > columns:
            fitted[place] = 0
    while _total(fitted) > columns and max(fitted[1:], default=0) > _LEAST:
        fitted[fitted.index(max(fitted[1:]), 1)] -= 1
    return fitted


def _total(widths: Sequence[int]) -> int:
    shown = [width for width in widths if width]
    return sum(shown) + _GAP * (len(shown) - 1)


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    shown = (_cut(cell, width).ljust(width) for cell, width in zip(cells, widths, strict=True) if width)
    return (" " * _GAP).join(shown).rstrip()


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}~"


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value) or "-"
    return compact(value) if isinstance(value, Mapping | list | bool) else str(value)


def moment(timestamp: Any) -> Any:
    """A time as people read it: to the second, still UTC."""
    return (
        f"{timestamp[:10]} {timestamp[11:19]}"
        if isinstance(timestamp, str) and len(timestamp) > 19
        else timestamp
    )

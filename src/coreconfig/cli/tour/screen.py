"""What the person at the terminal sees: numbered steps, ticks and milliseconds; plain text elsewhere."""

from __future__ import annotations

import shutil
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

_MARGIN = 4
_TIME = 11
_WIDTH = 100
_PLAIN = _MARGIN + 2 + 72 + _TIME


class StepFailed(Exception):
    """A step of the tour did not show what it should."""


class Screen:
    """Prints to standard output; colours and signs only where a person looks on."""

    def __init__(self) -> None:
        fancy = sys.stdout.isatty() and "utf" in (sys.stdout.encoding or "").lower()
        self._tick, self._cross = ("\u2713", "\u2717") if fancy else ("ok", "FAILED")
        self._width = min(shutil.get_terminal_size().columns, _WIDTH) if sys.stdout.isatty() else _PLAIN
        self._wraps = sys.stdout.isatty()
        self._number = 0
        self.step_name = ""

    def title(self, text: str) -> None:
        """A headline."""
        click.secho(text, bold=True)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """A numbered step; whatever goes wrong in it is told with its name."""
        self._number += 1
        self.step_name = name
        click.echo(f"\n{click.style(f'{self._number:2}', fg='cyan')}  {click.style(name, bold=True)}")
        try:
            yield
        except Exception as error:
            click.echo(f"    {click.style(self._cross, fg='red')} {error}")
            if isinstance(error, StepFailed):
                raise
            raise StepFailed(str(error)) from error

    def seen(self, text: str, seconds: float | None = None) -> None:
        """Something that was observed, and how long it took."""
        took = "" if seconds is None else f"{max(seconds, 0) * 1000:8.0f} ms"
        tick = click.style(self._tick, fg="green")
        room = self._width - _MARGIN - len(self._tick) - 1 - len(took)
        first, *rest = self._lines(text, room)
        click.echo(f"{' ' * _MARGIN}{tick} {first.ljust(room) if took else first}{took}".rstrip())
        for line in rest:
            self.say(f"  {line}")

    def say(self, text: str = "") -> None:
        """Words in between; a long line goes on below, further in."""
        inset = _MARGIN + len(text) - len(text.lstrip())
        first, *rest = self._lines(text.strip(), self._width - inset - 2)
        click.echo(f"{' ' * inset}{first}".rstrip())
        for line in rest:
            click.echo(f"{' ' * (inset + 2)}{line}")

    def _lines(self, text: str, room: int) -> list[str]:
        return (textwrap.wrap(text, room, break_on_hyphens=False) or [""]) if self._wraps else [text]


def now() -> float:
    """Seconds on the clock that all times of the tour are taken from."""
    return time.monotonic()

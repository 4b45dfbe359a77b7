"""Child processes that are watched line by line and never left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from coreconfig.cli.tour.screen import StepFailed, now

_GRACE = 5.0
"""Seconds that a process has to stop by itself before it is killed."""
_TOLD = 12
"""Lines of its output that a failure shows."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of output and when it arrived."""

    at: float
    text: str


class Child:
    """A process of ours: its output arrives in a thread, with the time of each line.

    It runs in a session of its own, so that Ctrl-C reaches only the parent, which then stops it in order;
    and it is told to end when its standard input closes, so it does not outlive a parent that was killed.
    """

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], folder: Path
    ) -> None:
        self.name = name
        self.lines: list[Line] = []
        self._news = threading.Condition()
        self._closed = False
        self._process = subprocess.Popen(  # noqa: S603  # our own programs
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            cwd=folder,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, name=f"output of {name}", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def ended(self) -> int | None:
        """The exit status, None while it runs."""
        return self._process.poll()

    def tell(self, text: str) -> None:
        """Write a line to its standard input."""
        if self._process.stdin is None:  # never: it is a pipe
            return
        try:
            self._process.stdin.write(f"{text}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise StepFailed(self._story("has ended")) from None

    def wait_for(self, pattern: str, *, since: int = 0, seconds: float) -> tuple[Line, re.Match[str]]:
        """The first line from number `since` on that the pattern is found in.

        Raises `StepFailed` after `seconds`, or at once when the process has ended without it.
        """
        deadline, looked = now() + seconds, since
        with self._news:
            while True:
                for line in self.lines[looked:]:
                    if found := re.search(pattern, line.text):
                        return line, found
                looked = max(looked, len(self.lines))
                left = deadline - now()
                if self._closed:
                    raise StepFailed(self._story("has ended"))
                if left <= 0:
                    raise StepFailed(self._story(f"did not say {pattern!r} within {seconds:g} s"))
                self._news.wait(left)

    def kill(self) -> None:
        """End it the hard way (SIGKILL), as a crash would."""
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._close()

    def ask_to_stop(self) -> None:
        """Tell it to stop, without waiting."""
        self._signal(signal.SIGTERM)

    def stop(self) -> None:
        """Stop it and wait until it is gone."""
        self.ask_to_stop()
        try:
            self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait()
        self._close()

    def _signal(self, number: signal.Signals) -> None:
        if self._process.poll() is None:
            with suppress(ProcessLookupError):  # it ended in this very moment
                os.kill(self._process.pid, number)

    def _close(self) -> None:
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):  # what was not yet written has nobody to read it
                self._process.stdin.close()
        self._reader.join(_GRACE)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _read(self) -> None:
        if self._process.stdout is None:  # never: it is a pipe
            return
        for text in self._process.stdout:
            self._heard(Line(now(), text.rstrip("\n")))
        with self._news:
            self._closed = True
            self._news.notify_all()

    def _heard(self, line: Line) -> None:
        with self._news:
            self.lines.append(line)
            self._news.notify_all()

    def _story(self, what: str) -> str:
        told = "".join(f"\n      | {line.text}" for line in self.lines[-_TOLD:])
        return f"{self.name} (process {self.pid}) {what}; the last that it printed:{told or ' nothing'}"

"""What happened in a run: every invocation with its answer, as plain values.

Times are seconds of ``time.monotonic()``, which on one machine is the same clock for all processes. An event
that has a beginning and an end took effect somewhere between the two.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

Outcome = Literal["done", "refused", "unknown"]
"""``done``: it was answered with a revision; ``refused``: it was answered that nothing was stored;
``unknown``: the connection broke, the answer did not come, or it said that the server could not tell."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit of one layer; `service` None is the environment's base layer."""

    environment: str
    service: str | None
    key: str
    operation: Literal["set", "merge", "delete", "unset"]
    value: Any = None


@dataclass(frozen=True, slots=True)
class Guard:
    """The condition of a write: the key has not moved since this position.

    `kind` is how it was said: ``if_match`` is refused only for that key, so a refusal has to be justified.
    """

    kind: Literal["if_match", "expected_revision"]
    environment: str
    service: str | None
    key: str
    epoch: int
    revision: int


@dataclass(frozen=True, slots=True)
class Try:
    """One request for a change; several with the same `write` are one write that was sent again."""

    write: str
    edits: tuple[Edit, ...]
    asked: float
    answered: float
    outcome: Outcome
    revision: int | None = None
    code: str | None = None
    guard: Guard | None = None
    server: str = ""


@dataclass(frozen=True, slots=True)
class Read:
    """A whole configuration read over HTTP, perhaps with a minimum; `revision` is None if it was refused."""

    environment: str
    service: str | None
    asked: float
    answered: float
    minimum: int | None
    revision: int | None
    content: Any = None
    server: str = ""


@dataclass(frozen=True, slots=True)
class Joined:
    """A client began; its configuration is that of (environment, service)."""

    client: str
    at: float
    environment: str
    service: str


@dataclass(frozen=True, slots=True)
class Left:
    """A client was closed or killed: nothing is expected of it any more."""

    client: str
    at: float


@dataclass(frozen=True, slots=True)
class Link:
    """A client said that it is connected, or is not any more."""

    client: str
    at: float
    connected: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """What a client had at some moment: noted by itself at a swap, or read by its program."""

    client: str
    by: str
    asked: float
    answered: float
    epoch: int
    revision: int
    content: Any
    current: bool = True


@dataclass(frozen=True, slots=True)
class Watching:
    """A watch began while the client stood somewhere between two positions (epoch, revision)."""

    client: str
    watch: str
    patterns: tuple[str, ...]
    lowest: tuple[int, int]
    highest: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Told:
    """A watch called back."""

    client: str
    watch: str
    at: float
    key: str
    old: Any
    new: Any
    operation: str
    revision: int


OUTAGE = "outage of the database"
"""The fault during which nobody can know what was committed; ``end of …`` when it is over."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something was broken or mended on purpose."""

    at: float
    what: str
    where: str = ""


@dataclass(frozen=True, slots=True)
class Calm:
    """From here on nothing is written or broken, and whoever lives has to arrive at the end of the log."""

    at: float


@dataclass(frozen=True, slots=True)
class Restored:
    """The database was replaced by an older copy; the log as it was before has to be in the history."""

    at: float
    revision: int
    """The last revision that the copy holds."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the log; `reason` carries the name of the write."""

    epoch: int
    revision: int
    reason: str | None
    edits: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Log:
    """The whole log as it was in the database."""

    at: float
    rows: tuple[Row, ...]


Event = Try | Read | Joined | Left | Link | Seen | Watching | Told | Fault | Calm | Restored | Log
E = TypeVar("E")

_KINDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (Try, Read, Joined, Left, Link, Seen, Watching, Told, Fault, Calm, Restored, Log)
}


@dataclass
class History:
    """The events of one run, in the order in which they were noted. Threads may note at any time."""

    events: list[Event] = field(default_factory=list)
    _news: threading.Condition = field(default_factory=threading.Condition, repr=False)

    def note(self, event: Event) -> None:
        """Add one."""
        with self._news:
            self.events.append(event)
            self._news.notify_all()

    def of(self, kind: type[E]) -> Iterator[E]:
        """The events of one kind."""
        with self._news:
            events = list(self.events)
        return (event for event in events if isinstance(event, kind))

    def until(self, kind: type[E], wanted: Callable[[E], bool], within: float) -> E | None:
        """The first event of a kind that is wanted, perhaps one to come; None after `within` seconds."""
        deadline, looked = time.monotonic() + within, 0
        with self._news:
            while True:
                for event in self.events[looked:]:
                    if isinstance(event, kind) and wanted(event):
                        return event
                looked = len(self.events)
                left = deadline - time.monotonic()
                if left <= 0:
                    return None
                self._news.wait(left)

    def save(self, path: Path) -> None:
        """One JSON text a line, to be looked at or judged again."""
        path.write_bytes(b"".join(line_of(event) + b"\n" for event in self.events))

    @classmethod
    def load(cls, path: Path) -> History:
        """What `save` wrote."""
        return cls([event_of(line) for line in path.read_bytes().splitlines()])


def line_of(event: Event) -> bytes:
    """An event as one line of JSON."""
    return msgspec.json.encode({"event": type(event).__name__, "is": event})


def event_of(line: bytes | str) -> Event:
    """The event that a line says."""
    said = msgspec.json.decode(line)
    event: Event = msgspec.convert(said["is"], type=_KINDS[said["event"]])
    return event

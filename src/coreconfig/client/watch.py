"""Being told of changes: callbacks by pattern, and an asynchronous iterator.

A watch is a place in the sequence of states. When it is woken it compares the state that it last saw with the
present one, so that each difference reaches it exactly once, in order, and a slow one skips what lay between.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from coreconfig.client.dispatch import Queue
from coreconfig.client.state import State
from coreconfig.errors import Invalid
from coreconfig.model.keys import Path, Pattern, format_key, parse_pattern
from coreconfig.model.snapshots import moved_nodes
from coreconfig.model.trees import MISSING, plain

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Change:
    """A node whose value is another one now. The values are copies; an absent one is None.

    `operation` is ``DELETE`` where nothing is any more. `timestamp` is the server's, ISO 8601 in UTC.
    """

    key: str
    old_value: Any
    new_value: Any
    operation: Literal["SET", "DELETE"]
    revision: int
    timestamp: str


Move = tuple[Path, Any, Any]
ChangeCallback = Callable[[Change], Any]


def moves_between(before: State, after: State) -> list[Move]:
    """Every node that differs, above and below leaves alike, ordered by path: parents before members."""
    return sorted(moved_nodes(before.tree, after.tree), key=lambda move: move[0])


def change_of(move: Move, state: State) -> Change:
    """What a watch is told of a node that moved, with copies of its own."""
    path, old, new = move
    return Change(
        key=format_key(path),
        old_value=None if old is MISSING else plain(old),
        new_value=None if new is MISSING else plain(new),
        operation="DELETE" if new is MISSING else "SET",
        revision=state.revision,
        timestamp=state.timestamp,
    )


class Watch:
    """One callback and the patterns that it is called for."""

    def __init__(
        self, patterns: tuple[Pattern, ...], callback: ChangeCallback, seen: State | None, watches: Watches
    ) -> None:
        self.patterns = patterns
        self.active = True
        self._callback = callback
        self._seen = seen
        self._watches = watches

    def __repr__(self) -> str:
        return (
            f"<Watch of {[pattern.text for pattern in self.patterns]}{'' if self.active else ', cancelled'}>"
        )

    def cancel(self) -> None:
        """Never call back again; also from within the callback."""
        self._watches.remove(self)

    def begin(self, first: State) -> None:
        """There is a first snapshot: what differs from it is told, however late the comparison comes."""
        if self._seen is None:
            self._seen = first

    def advance(self, state: State) -> State | None:
        """Take `state` as seen; the state to compare it with, None if there is nothing to tell."""
        before, self._seen = self._seen, state if state.at is not None else None
        # without a snapshot before, this is the first one: it is no change
        return None if before is None or before is state else before

    def wants(self, path: Path) -> bool:
        """Whether a pattern of this watch matches."""
        return any(pattern.matches(path) for pattern in self.patterns)

    def call(self, change: Change) -> Any:
        """Call back, unless the watch was cancelled meanwhile."""
        return self._callback(change) if self.active else None


class Watches:
    """All watches of one client."""

    def __init__(self, current: Callable[[], State], queue: Queue, on_patterns: Callable[[], None]) -> None:
        """`on_patterns` is called when other patterns are watched than before."""
        self._current = current
        self._queue = queue
        self._on_patterns = on_patterns
        self._lock = threading.Lock()
        self._watches: tuple[Watch, ...] = ()
        self._streams: weakref.WeakSet[ChangeStream] = weakref.WeakSet()
        self._woken = False

    def __len__(self) -> int:
        return len(self._watches)

    @property
    def patterns(self) -> tuple[str, ...]:
        """The patterns that are watched, each once."""
        with self._lock:
            watching: list[Watch | ChangeStream] = [*self._watches, *self._streams]
        return tuple(sorted({pattern.text for one in watching for pattern in one.patterns}))

    def stream(self, patterns: str | Iterable[str]) -> ChangeStream:
        """The changes from now on, for the running loop. Raises `Invalid` (``bad_pattern``)."""
        stream = ChangeStream(parse_patterns(patterns), self._current)
        with self._lock:
            self._streams.add(stream)
        self._on_patterns()
        return stream

    def close_streams(self) -> None:
        """End all streams of changes after what is ready."""
        with self._lock:
            streams = list(self._streams)
        for stream in streams:
            stream.close()

    def add(self, patterns: str | Iterable[str], callback: ChangeCallback) -> Watch:
        """Call back for what changes from now on. Raises `Invalid` (``bad_pattern``, ``bad_callback``)."""
        self._queue.accept(callback)
        parsed = parse_patterns(patterns)
        with self._lock:
            state = self._current()
            watch = Watch(parsed, callback, state if state.at is not None else None, self)
            self._watches = (*self._watches, watch)
        self._on_patterns()
        return watch

    def remove(self, watch: Watch) -> None:
        """Cancel one watch."""
        watch.active = False
        with self._lock:
            self._watches = tuple(other for other in self._watches if other is not watch)
        self._on_patterns()

    def remove_patterns(self, patterns: str | Iterable[str]) -> int:
        """Cancel every watch for these patterns; of one that has others too, only these. How many it met."""
        gone = set(parse_patterns(patterns))
        met = 0
        with self._lock:
            for watch in self._watches:
                kept = tuple(pattern for pattern in watch.patterns if pattern not in gone)
                met += len(kept) < len(watch.patterns)
                watch.patterns = kept
                watch.active = bool(kept)
            self._watches = tuple(watch for watch in self._watches if watch.active)
        self._on_patterns()
        return met

    def wake(self) -> None:
        """There is another state: compare and call back, soon and elsewhere."""
        with self._lock:
            streams = list(self._streams)
            state = self._current()
            for watch in self._watches:
                watch.begin(state)
            is_due, self._woken = bool(self._watches) and not self._woken, self._woken or bool(self._watches)
        if is_due:
            self._queue.put(self._collect)
        for stream in streams:
            stream.begin(state)
            stream.wake()

    def after_fork(self, queue: Queue) -> None:
        """In a forked child: the lock may be held by nobody, and the old queue has no thread."""
        self._lock = threading.Lock()
        self._queue = queue
        self._woken = False

    def _collect(self) -> None:
        """Put one call on the queue for each change that a watch wants."""
        with self._lock:
            self._woken = False
            # state and place together, so that a watch added meanwhile is not told of what it began with
            state = self._current()
            steps = [
                (watch, before) for watch in self._watches if (before := watch.advance(state)) is not None
            ]
        moved: dict[int, list[Move]] = {}
        for _, before in steps:
            if id(before) not in moved:
                moved[id(before)] = moves_between(before, state)
        for watch, before in steps:
            for move in moved[id(before)]:
                if watch.wants(move[0]):
                    self._queue.put(_Delivery(watch, move, state))


class _Delivery:
    """One change for one watch; the copies are made when it is its turn."""

    __slots__ = ("_move", "_state", "_watch")

    def __init__(self, watch: Watch, move: Move, state: State) -> None:
        self._watch = watch
        self._move = move
        self._state = state

    def __call__(self) -> Any:
        if not (self._watch.active and self._watch.wants(self._move[0])):
            return None
        return self._watch.call(change_of(self._move, self._state))


class ChangeStream(AsyncIterator[Change]):
    """The changes that patterns match, for ``async for``; a slow reader skips states, never a difference."""

    def __init__(self, patterns: tuple[Pattern, ...], current: Callable[[], State]) -> None:
        self.patterns = patterns
        self._current = current
        state = current()
        self._seen = state if state.at is not None else None
        self._loop = asyncio.get_running_loop()
        self._woken = asyncio.Event()
        self._ready: Iterator[Change] = iter(())
        self._closed = False

    def begin(self, first: State) -> None:
        """There is a first snapshot: what differs from it is told, however late the reader comes."""
        if self._seen is None:
            self._seen = first

    def wake(self) -> None:
        """There is another state (from any thread)."""
        try:
            self._loop.call_soon_threadsafe(self._woken.set)
        except RuntimeError:
            _log.debug("the loop of a stream of changes is closed")

    def close(self) -> None:
        """End the iteration after what is ready (from any thread)."""
        self._closed = True
        self.wake()

    async def __anext__(self) -> Change:
        while True:
            for change in self._ready:
                return change
            if self._closed:
                raise StopAsyncIteration
            await self._woken.wait()
            self._woken.clear()
            self._ready = self._changes()

    def _changes(self) -> Iterator[Change]:
        state = self._current()
        before, self._seen = self._seen, state if state.at is not None else None
        if before is None or before is state:
            return iter(())
        moves = [move for move in moves_between(before, state) if self._wants(move[0])]
        return (change_of(move, state) for move in moves)

    def _wants(self, path: Path) -> bool:
        return any(pattern.matches(path) for pattern in self.patterns)


def parse_patterns(patterns: str | Iterable[str]) -> tuple[Pattern, ...]:
    """One pattern or several. Raises `Invalid` (``bad_pattern``)."""
    texts = [patterns] if isinstance(patterns, str) else list(patterns)
    if not texts:
        raise Invalid("name at least one pattern", code="bad_pattern")
    return tuple(parse_pattern(text) for text in texts)

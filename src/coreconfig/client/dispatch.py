"""Where callbacks run: on a thread of their own, or on the loop of the program that gave them.

A `Queue` takes calls from any thread and runs them one after another. Whatever a callback raises is logged
and counted, and the next one runs.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from coreconfig.errors import Invalid

_log = logging.getLogger(__name__)

Call = Callable[[], Any]


class Failures:
    """How many callbacks raised."""

    def __init__(self) -> None:
        self.count = 0

    def note(self, error: BaseException) -> None:
        """Log the failure of a callback with its traceback."""
        self.count += 1
        _log.error("a callback raised %s", type(error).__name__, exc_info=error)


class Queue(Protocol):
    """Runs calls in the order in which they were given."""

    failures: Failures

    def accept(self, callback: Callable[..., Any]) -> None:
        """Raise `Invalid` (``bad_callback``) for what could not be called here."""
        ...

    def put(self, call: Call) -> None:
        """Run this after what was given before; returns at once."""
        ...

    def close(self) -> None:
        """Take nothing more; what was given before still runs, unless this is the thread that runs it."""
        ...


class ThreadQueue:
    """One daemon thread, started with the first call."""

    def __init__(self, name: str) -> None:
        self.failures = Failures()
        self._name = name
        self._calls: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False

    def accept(self, callback: Callable[..., Any]) -> None:
        """A thread has no loop: a coroutine function needs the asynchronous client."""
        _check_callable(callback)
        if inspect.iscoroutinefunction(callback):
            text = "CoreConfig calls plain functions; for a coroutine function use AsyncCoreConfig"
            raise Invalid(text, code="bad_callback")

    def put(self, call: Call) -> None:
        """Run this on the thread."""
        with self._lock:
            if self._closed:
                return
            self._calls.put(call)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def close(self, timeout: float = 2.0) -> None:
        """End the thread; waits at most `timeout` seconds for the callback that runs."""
        with self._lock:
            self._closed = True
            thread = self._thread
        if thread is not None:
            self._calls.put(None)
            if thread is not threading.current_thread():
                thread.join(timeout)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                call()
            except BaseException as error:  # noqa: BLE001  # also SystemExit, which would end this thread in silence
                self.failures.note(error)


class LoopQueue:
    """One task on the program's own loop; a callback may be a coroutine function and is awaited in turn."""

    def __init__(self) -> None:
        self.failures = Failures()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: deque[Call] = deque()
        self._lock = threading.Lock()
        self._task: asyncio.Task[None] | None = None
        self._scheduled = False
        self._closed = False

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run callbacks on this loop from now on, also those that were given before there was one."""
        with self._lock:
            if self._loop is loop:
                return
            self._loop = loop
            self._scheduled = False
        self._schedule()

    def accept(self, callback: Callable[..., Any]) -> None:
        """Anything that can be called."""
        _check_callable(callback)

    def put(self, call: Call) -> None:
        """Run this on the loop."""
        with self._lock:
            if self._closed:
                return
            self._waiting.append(call)
        self._schedule()

    def close(self) -> None:
        """Take nothing more. A callback that runs is left to end by itself."""
        with self._lock:
            self._closed = True
            self._waiting.clear()

    def _schedule(self) -> None:
        with self._lock:
            if self._loop is None or self._scheduled or not self._waiting:
                return
            self._scheduled = True
            loop = self._loop
        try:
            loop.call_soon_threadsafe(self._begin)
        except RuntimeError:  # the loop is closed: nobody is left who could be told
            self.close()

    def _begin(self) -> None:
        self._task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        try:
            while (call := self._next()) is not None:
                await self._call(call)
                await asyncio.sleep(0)  # the loop belongs to the program, however many callbacks wait
        except BaseException:
            # this task is cancelled, or the program ends: what comes later begins another one
            with self._lock:
                self._scheduled = False
            raise

    def _next(self) -> Call | None:
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._scheduled = False
            return None

    async def _call(self, call: Call) -> None:
        try:
            outcome = call()
            if inspect.isawaitable(outcome):
                await outcome
        except asyncio.CancelledError as error:
            if _is_cancelled():
                raise
            self.failures.note(error)  # of something that the callback waited for
        except Exception as error:  # noqa: BLE001  # a program's callback may raise anything and disturbs nobody
            self.failures.note(error)


def _is_cancelled() -> bool:
    """Whether somebody wants the running task to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _check_callable(callback: Callable[..., Any]) -> None:
    if not callable(callback):
        raise Invalid(f"{type(callback).__name__} cannot be called back", code="bad_callback")

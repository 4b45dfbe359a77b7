"""Work that may hang, on a thread that nobody waits for."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


class Worker:
    """Runs calls one after another on one thread, started with the first call.

    A daemon thread, unlike those of an executor: the interpreter waits for an executor's threads at its end,
    so that a program could not be stopped while one of its own checks, or a dead disk, hangs.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def run(self, call: Callable[[], T]) -> Future[T]:
        """Run this after what was given before, unless the future is cancelled by then."""
        future: Future[T] = Future()
        self._calls.put(lambda: _settle(future, call))
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        return future

    def close(self) -> None:
        """End the thread after what was given; does not wait."""
        self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call()


def _settle(future: Future[T], call: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(call())
    except BaseException as error:  # noqa: BLE001  # whatever it is, it is for the one who waits
        future.set_exception(error)

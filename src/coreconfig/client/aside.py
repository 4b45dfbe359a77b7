"""Work that may hang, on threads that nobody waits for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def aside(call: Callable[[], T], name: str) -> Future[T]:
    """Run this on a thread of its own.

    A daemon thread, unlike those of an executor: the interpreter waits for an executor's threads at its end,
    so that a program could not be stopped while one of its own checks, or a dead disk, hangs.
    """
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()
    threading.Thread(target=_settle, args=(future, call), name=name, daemon=True).start()
    return future


def _settle(future: Future[T], call: Callable[[], T]) -> None:
    try:
        future.set_result(call())
    except BaseException as error:  # noqa: BLE001  # whatever it is, it is for the one who waits
        future.set_exception(error)

"""Seeded bugs: each module makes one mistake that a program like ours could make, by replacing a function.

A module has `PROMISE`, the promise that the bug breaks first, and `seed()`, which is called in the process
that is to have the bug. `launch` does so; nothing in the product does.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

NAMES = (
    "answer_before_commit",
    "guard_without_where",
    "resume_off_by_one",
    "batch_split",
    "duplicate_callback",
    "lower_revision_accepted",
    "epoch_unchecked",
    "later_content",
    "notice_without_polling",
    "idempotency_forgotten",
    "digest_unchecked",
    "shared_tree",
)


def seed(name: str) -> None:
    """Have this bug in this process. Raises `ModuleNotFoundError` for a name that is none."""
    import_module(f"{__name__}.{name}").seed()


def promise_of(name: str) -> int:
    """Which promise the bug breaks."""
    promise: int = import_module(f"{__name__}.{name}").PROMISE
    return promise


def replace(owner: Any, name: str, faulty: Callable[..., Any]) -> Callable[..., Any]:
    """Put a faulty function in the place of one that has to be there; the one that was."""
    right: Callable[..., Any] = getattr(owner, name)
    setattr(owner, name, faulty)
    return right

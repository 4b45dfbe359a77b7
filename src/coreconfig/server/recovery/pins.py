"""What keeps revisions from being dropped. Whatever needs the past says so here, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection

from coreconfig.server.revisions.log import read_head


@dataclass(frozen=True, slots=True)
class Pin:
    """A need: `oldest` finds the oldest revision whose row has to stay, None while nothing is needed."""

    what: str
    oldest: Callable[[Connection], int | None]


PINS: tuple[Pin, ...] = (Pin("the newest revision", lambda tx: read_head(tx).revision),)
"""All that is needed, by those who need it. The world before the oldest kept row is kept as a checkpoint, so
that everything from there on can be read."""


@dataclass(frozen=True, slots=True)
class Bound:
    """How far rows may go: up to and with `last`; `held_by` is what keeps the next one, if a need does."""

    last: int
    held_by: str | None = None


def bounded(tx: Connection, wanted: int) -> Bound:
    """The newest revision up to which rows may be dropped, when somebody wants to drop up to `wanted`."""
    bound = Bound(wanted)
    for pin in PINS:
        oldest = pin.oldest(tx)
        if oldest is not None and oldest - 1 < bound.last:
            bound = Bound(oldest - 1, pin.what)
    return bound

"""Reading the log again while it is served: what somebody changes in rows that are applied is found out."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from coreconfig.errors import CoreConfigError, StoreIntegrity
from coreconfig.server.revisions import tables
from coreconfig.server.revisions.floor import floor_of
from coreconfig.server.revisions.keeping import Transactions
from coreconfig.server.revisions.log import hash_at
from coreconfig.server.revisions.rows import chained, damaged
from coreconfig.server.revisions.world import World

ROWS = 100
"""How many rows are read again at once."""
BYTES = 256 * 1024
"""And up to how much text of edits; one row is always read."""

_SLICE = (
    select(tables.log)
    .where(tables.log.c.revision > bindparam("after"), tables.log.c.revision <= bindparam("last"))
    .order_by(tables.log.c.revision)
    .limit(ROWS)
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Slice:
    """What was read again: rows up to `upto` are sound; `floor` is the revision that the log begins after."""

    upto: int
    floor: int
    problem: StoreIntegrity | None


class Scrub:
    """Goes through the rows behind a world, slice by slice and round by round.

    At a damaged row it stays: `problem` names it until a later look finds that it was repaired.
    """

    def __init__(self, database: Transactions) -> None:
        self._database = database
        self._upto = 0
        self.floor = 0
        self.problem: StoreIntegrity | None = None

    async def step(self, world: World) -> None:
        """Read the next slice. A database that cannot be read is for those to report who follow the log."""
        try:
            found = await self._database.reading(lambda tx: read_again(tx, self._upto, world))
        except CoreConfigError as error:
            log.debug("the log was not read again: %s", error)
            return
        self._upto, self.floor = found.upto, found.floor
        self._report(found.problem)

    def begin_again(self) -> None:
        """The world belongs to another log than the one of which rows were read."""
        self._upto = 0
        self.problem = None

    def _report(self, problem: StoreIntegrity | None) -> None:
        if problem is not None and str(problem) != str(self.problem):
            log.error("the log was changed behind this server: %s", problem)
        elif problem is None and self.problem is not None:
            log.warning("the log is as it was written again")
        self.problem = problem


def read_again(tx: Connection, after: int, world: World) -> Slice:
    """Verify some of the rows after a revision, up to those that a world came from; then from the floor."""
    floor = floor_of(tx)
    start = after if floor <= after < world.revision else floor
    if start >= world.revision:
        return Slice(start, floor, None)
    previous = hash_at(tx, start)
    if previous is None:
        return Slice(start, floor, damaged(start, "is where the log begins, and nothing is kept of it"))
    return _verified(tx, start, previous, floor, world)


def _verified(tx: Connection, start: int, previous: str, floor: int, world: World) -> Slice:
    upto, hashed = start, previous
    with tx.execute(_SLICE, {"after": start, "last": world.revision}) as stored:
        try:
            for row in chained(_some(stored), revision=start, previous=previous):
                upto, hashed = row.revision, row.hash
        except StoreIntegrity as problem:
            return Slice(upto, floor, problem)
    if upto == start:
        return Slice(start, floor, damaged(upto + 1, "is missing"))
    if upto == world.revision and hashed != world.hash:
        return Slice(start, floor, damaged(upto, "is not the one that this server serves"))
    return Slice(upto, floor, None)


def _some(stored: Iterable[Row[Any]]) -> Iterator[Row[Any]]:
    """Rows until there is enough text to look at."""
    size = 0
    for row in stored:
        yield row
        size += len(row.edits)
        if size >= BYTES:
            return

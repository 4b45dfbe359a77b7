"""This process's world: it advances by log rows alone, in their order."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from time import monotonic

from sqlalchemy import Connection

from coreconfig.errors import CoreConfigError, NotFound, Unavailable
from coreconfig.server.revisions.checkpoints import load_start, rows_between
from coreconfig.server.revisions.floor import floor_of
from coreconfig.server.revisions.keeping import Keeping, Transactions
from coreconfig.server.revisions.log import read_head, row_at
from coreconfig.server.revisions.past import Past
from coreconfig.server.revisions.rows import LogRow
from coreconfig.server.revisions.scrubbing import Scrub
from coreconfig.server.revisions.standstill import Standstill
from coreconfig.server.revisions.steps import newest_world, steps_after
from coreconfig.server.revisions.world import World

OnAdvance = Callable[[World, World, LogRow], None]

log = logging.getLogger(__name__)


class Replica:
    """The newest world that is known here, and what is wrong if it cannot go on.

    A damaged row stops the world before it: `problem` then says which, reads go on with the world that there
    is, and whoever writes refuses with the problem. A database that cannot be reached is a problem too, until
    it can. Looking again is all that is needed for recovery from either.

    Rows that are applied already are read again beside it, so that one that is changed later is a problem
    too; the world stays as it is then, since it is right and nobody may be sent back.

    There are two ways to a world that does not follow from this one row by row. Where the database lost
    revisions that were served here, the world is loaded anew once somebody has begun a greater epoch; and
    where the next rows were dropped by compaction, because this process slept for long, at once.
    """

    def __init__(self, database: Transactions, *, poll_interval: float = 1.0) -> None:
        self._database = database
        self._poll_interval = poll_interval
        self.world = World()
        self._stuck: CoreConfigError | None = None
        self._scrub = Scrub(database)
        self._read_again_at = float("-inf")
        self._past = Past()
        self._keeping = Keeping(database)
        self._callbacks: list[OnAdvance] = []
        self._hint = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._one_round = asyncio.Lock()
        self._next_round: asyncio.Task[None] | None = None
        self._polling: asyncio.Task[None] | None = None
        self._standstill = Standstill()
        self._looked_at = 0.0

    @property
    def problem(self) -> CoreConfigError | None:
        """Why the log cannot be followed or trusted; None while all is well."""
        return self._stuck or self._scrub.problem

    def on_advance(self, callback: OnAdvance) -> None:
        """Call with (before, after, row) for each row that is applied from now on, on the loop, in order.

        The row may not be the one that follows `before`: then the world was loaded anew.
        """
        self._callbacks.append(callback)

    async def start(self) -> None:
        """Load the newest checkpoint and go on from there for as long as the log is sound.

        Raises what the database raises, and `StoreIntegrity` if not even a beginning can be trusted.
        """
        self._loop = asyncio.get_running_loop()
        self.world, problem = await self._database.reading(newest_world)
        self._report(problem)
        await self._keeping.start()
        self._standstill.start()
        self._polling = asyncio.create_task(self._poll(), name="replica")

    async def stop(self) -> None:
        """Stop following the log, when what has begun is done; the world stays readable."""
        self._loop = None
        self._standstill.stop()
        if self._polling is not None:
            self._polling.cancel()
            await asyncio.gather(self._polling, return_exceptions=True)
        if self._next_round is not None:
            await self._next_round
        async with self._one_round:
            await self._keeping.finish()

    def notice(self, revision: int | None = None) -> None:
        """There may be rows, up to this revision. From any thread, at any time, also twice or for nothing."""
        if revision is not None and revision <= self.world.revision:
            return
        loop = self._loop
        if loop is not None:
            loop.call_soon_threadsafe(self._hint.set)

    async def catch_up(self, minimum: int | None = None, timeout: float = 2.0) -> World:  # noqa: ASYNC109  # part of the answer, not a cancellation
        """The world at `minimum` or later; without one, at what is committed now.

        Raises `Unavailable` (``behind``) when that is not reached within `timeout` seconds, and the problem
        itself when it never will be. Without a minimum a problem does not matter to a reader.
        """
        deadline = monotonic() + timeout
        if minimum is None:
            await self._look(timeout)
            return self.world
        while self.world.revision < minimum:
            if not await self._look(deadline - monotonic()):
                raise self._behind(minimum)
            if self.world.revision < minimum:
                if self.problem is not None:
                    raise self.problem
                await self._pause(deadline - monotonic(), minimum)
        return self.world

    async def fresh(self) -> World:
        """The world, which no standstill of this process has made older than polling lets it become.

        Asks nobody unless there was one since the log was last looked at, and waits a second at most: what
        is known is served also if the database does not answer.
        """
        ended = self._standstill.ended()
        if ended > self._looked_at and not await self._look(1.0):
            self._looked_at = ended
        return self.world

    async def follow(self, row: LogRow) -> None:
        """Go on to a row that this process has just committed, without reading it again.

        Where rows of others lie between, catch up with them first. Raises what `catch_up` raises.
        """
        async with self._one_round:
            if row.revision == self.world.revision + 1 and row.previous == self.world.hash:
                self._step(row, self.world.advanced(row))
                self._keeping.consider(self.world)
                return
        self.notice()
        if row.epoch > self.world.epoch:
            await self._look(2.0)
        await self.catch_up(row.revision)

    async def at(self, revision: int) -> World:
        """The world at any revision that is kept.

        Raises `NotFound` (``unknown_revision``, ``revision_compacted``) and `StoreIntegrity`.
        """
        if revision > self.world.revision:
            await self._look(2.0)
            if revision > self.world.revision and self.problem is not None:
                raise self.problem  # it may well be there, behind what cannot be read
        if not 0 <= revision <= self.world.revision:
            raise NotFound(
                f"there is no revision {revision}; the newest is {self.world.revision}",
                code="unknown_revision",
                revision=self.world.revision,
            )
        if revision == self.world.revision:
            return self.world
        if (known := self._past.get(revision)) is not None:
            return known
        nearest = self._past.nearest(revision)
        worlds = await self._database.reading(lambda tx: _rebuilt(tx, nearest, revision))
        for world in worlds:
            self._past.keep(world)
        return worlds[-1]

    async def _poll(self) -> None:
        while True:
            await self._look(None)
            await self._read_again()
            try:
                async with asyncio.timeout(self._poll_interval):
                    await self._hint.wait()
            except TimeoutError:
                continue

    async def _look(self, within: float | None) -> bool:
        """Whether a round that began after this call has ended in time. Callers who wait share one round."""
        if self._next_round is None:
            self._next_round = asyncio.create_task(self._round(), name="replica-round")
        try:
            async with asyncio.timeout(within):
                await asyncio.shield(self._next_round)
        except TimeoutError:
            return False
        return True

    async def _round(self) -> None:
        async with self._one_round:
            self._next_round = None  # who asks from here on needs to see what is committed later
            self._hint.clear()
            began = monotonic()
            try:
                while await self._advance():
                    pass
            except CoreConfigError as error:
                self._report(error)
            except Exception as error:  # whatever it was, the next round may succeed
                log.exception("the log could not be read")
                self._report(Unavailable(f"the log could not be read ({error})", code="log_unreadable"))
            self._looked_at = max(self._looked_at, began)

    async def _advance(self) -> bool:
        """Apply what is there; True if there is more."""
        before = self.world
        steps = await self._database.reading(lambda tx: steps_after(tx, before))
        for row, world in steps.taken:
            self._step(row, world)
        if steps.problem is not None and not steps.taken and await self._begin_again():
            return True
        self._report(steps.problem)
        if steps.problem is None:
            self._keeping.consider(self.world)
        return steps.more

    async def _read_again(self) -> None:
        """Some of the rows behind the world, once in an interval, unless the log cannot be read anyway."""
        is_due = monotonic() - self._read_again_at >= self._poll_interval
        if is_due and not isinstance(self._stuck, Unavailable):
            self._read_again_at = monotonic()
            await self._scrub.step(self.world)
            self._past.forget_before(self._scrub.floor)

    async def _begin_again(self) -> bool:
        """Whether the log goes on without this world, which then gives way to the newest there is."""
        before = self.world
        found = await self._database.reading(lambda tx: _further_on(tx, before))
        if found is None:
            return False
        after, row = found
        log.warning(
            "the log went on without this server: revision %d of epoch %d is served now, not %d of %d",
            *(row.revision, row.epoch, before.revision, before.epoch),
        )
        self.world, self._past = after, Past()
        self._scrub.begin_again()
        self._tell(before, after, row)
        await self._keeping.start()
        return True

    def _step(self, row: LogRow, world: World) -> None:
        before, self.world = self.world, world
        self._past.keep(before)
        self._tell(before, world, row)

    def _tell(self, before: World, after: World, row: LogRow) -> None:
        for callback in self._callbacks:
            try:
                callback(before, after, row)
            except Exception:  # one who follows must not keep the others, or the world, from going on
                log.exception("a follower of the log failed at revision %d", row.revision)

    def _report(self, problem: CoreConfigError | None) -> None:
        if problem is not None and (self._stuck is None or str(problem) != str(self._stuck)):
            log.error("revision %d is served and nothing newer: %s", self.world.revision, problem)
        elif problem is None and self._stuck is not None:
            log.warning("the log can be followed again, at revision %d", self.world.revision)
        self._stuck = problem

    async def _pause(self, left: float, minimum: int) -> None:
        """Wait for a hint, or a little: another process may be the one that commits."""
        if left <= 0:
            raise self._behind(minimum)
        try:
            async with asyncio.timeout(min(left, self._poll_interval, 0.1)):
                await self._hint.wait()
        except TimeoutError:
            return

    def _behind(self, minimum: int) -> Unavailable:
        return Unavailable(
            f"revision {minimum} has not arrived here yet, the newest is {self.world.revision}; try again",
            code="behind",
            revision=self.world.revision,
            retry_after=1,
        )


def _further_on(tx: Connection, world: World) -> tuple[World, LogRow] | None:
    """The newest world and its row, if an epoch or compaction is why the log does not go on from here."""
    if read_head(tx).epoch <= world.epoch and floor_of(tx) <= world.revision:
        return None
    newest, _ = newest_world(tx)
    row = row_at(tx, newest.revision)
    is_newer = (newest.epoch, newest.revision) > (world.epoch, world.revision)
    return (newest, row) if is_newer and row is not None else None


def _rebuilt(tx: Connection, nearest: World | None, revision: int) -> list[World]:
    """The world at a revision, after the few before it that were met on the way: histories go backwards."""
    if nearest is not None:
        world, rows = nearest, rows_between(tx, nearest, revision)
    else:
        world, rows = load_start(tx, revision)
    worlds = deque([world], maxlen=8)
    for row in rows:
        worlds.append(worlds[-1].advanced(row))
    return list(worlds)

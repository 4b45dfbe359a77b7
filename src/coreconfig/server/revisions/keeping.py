"""Keeping checkpoints while the world goes on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from time import monotonic
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from coreconfig.errors import CoreConfigError
from coreconfig.server.revisions.checkpoints import (
    Checkpoint,
    is_due,
    newest_checkpoint,
    save_checkpoint,
)
from coreconfig.server.revisions.world import World

T = TypeVar("T")
_AFTER_FAILURE = 60.0  # seconds; a checkpoint is dear to make, and a full disk is not emptied by trying

log = logging.getLogger(__name__)


class Transactions(Protocol):
    """What following and keeping the log needs of the database."""

    async def reading(self, fn: Callable[[Connection], T]) -> T:
        """Run in a transaction that sees one state."""

    async def writing(self, fn: Callable[[Connection], T]) -> T:
        """Run in a transaction that is durable when this returns."""


class Keeping:
    """Saves a checkpoint when one is due, one at a time, beside everything else."""

    def __init__(self, database: Transactions) -> None:
        self._database = database
        self._last = 0
        self._last_at = datetime.now(UTC)
        self._not_before = 0.0
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Find out which checkpoint is the newest."""
        newest = await self._database.reading(newest_checkpoint)
        if newest is not None:
            self._last, self._last_at = newest

    def consider(self, world: World) -> None:
        """Begin to save this world if that is due and nothing speaks against it."""
        busy = self._task is not None and not self._task.done()
        if busy or monotonic() < self._not_before:
            return
        if is_due(world.revision, self._last, datetime.now(UTC) - self._last_at):
            self._task = asyncio.create_task(self._save(world), name="checkpoint")

    async def finish(self) -> None:
        """Wait for the one that is being saved."""
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def _save(self, world: World) -> None:
        now = datetime.now(UTC)
        try:
            made = await asyncio.to_thread(Checkpoint.of, world, now)
            await self._database.writing(lambda tx: save_checkpoint(tx, made))
        except CoreConfigError as error:  # all that suffers is the time of the next start
            self._not_before = monotonic() + _AFTER_FAILURE
            log.warning("no checkpoint of revision %d could be kept: %s", world.revision, error)
        else:
            self._last, self._last_at = world.revision, now

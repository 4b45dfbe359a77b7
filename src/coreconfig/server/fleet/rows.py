"""Rows of instances: written in batches, so that ten thousand that connect at once are a few transactions."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, TypeVar

import msgspec
from sqlalchemy import ColumnElement, Connection, RowMapping, or_, select

from coreconfig.errors import CoreConfigError
from coreconfig.server.db.replacing import Columns, replace_rows
from coreconfig.server.fleet.instances import Health, Instance, InstanceKey, Instances, Nack, Running
from coreconfig.server.fleet.tables import fleet_instance

_log = logging.getLogger(__name__)
T = TypeVar("T")

BATCH_SECONDS: Final = 0.2


class Writing(Protocol):
    """What the writer needs of the database."""

    async def writing(self, fn: Callable[[Connection], T]) -> T:
        """Run in one transaction that writes."""
        ...


class InstanceRows:
    """Writes what changed about instances, at most every 200 ms."""

    def __init__(self, database: Writing, instances: Instances, replica: str) -> None:
        self._database = database
        self._instances = instances
        self._replica = replica
        self._due = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        instances.on_change = self._due.set

    async def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._write_for_ever())

    async def stop(self) -> None:
        """Write what is left, and end."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._write()

    async def _write_for_ever(self) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            await self._write()
            await asyncio.sleep(BATCH_SECONDS)

    async def _write(self) -> None:
        """One batch. What could not be written is kept for the next; the fleet is shown from memory."""
        changed, self._instances.changed = self._instances.changed, {}
        rows = [row_of(instance, self._replica) for instance in changed.values()]
        if not rows:
            return
        try:
            await self._database.writing(lambda tx: save_rows(tx, rows))
        except CoreConfigError as error:
            _log.warning("the rows of %d instances could not be written: %s", len(rows), error)
            self._instances.changed = changed | self._instances.changed


def save_rows(tx: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Put rows in place of those of the same instances."""
    replace_rows(tx, fleet_instance, rows, _gives_way)


def _gives_way(old: Columns, new: Columns) -> ColumnElement[bool]:
    """That a session has ended must not hide the next one, which may have begun at another server by now."""
    return or_(new.left_at.is_(None), new.session == old.session)


def find_rows(tx: Connection, instance: str) -> list[Instance]:
    """What is remembered of the instances with this id."""
    rows = tx.execute(select(fleet_instance).where(fleet_instance.c.instance == instance)).mappings()
    return [instance_of(row) for row in rows]


def row_of(instance: Instance, replica: str) -> dict[str, Any]:
    """The row that remembers an instance."""
    running = instance.running
    return {
        **instance.key._asdict(),
        "replica": replica,
        "session": instance.session,
        "link": instance.link,
        "cohort": _storable(instance.cohort) if instance.cohort is not None else None,
        "labels": _text(instance.labels),
        "app_version": _storable(instance.app_version),
        "sdk": _storable(instance.sdk),
        "connected_at": instance.connected_at,
        "left_at": instance.left_at,
        "epoch": running.epoch if running else None,
        "revision": running.revision if running else None,
        "digest": _storable(running.digest) if running else None,
        "overlay": _storable(running.overlay) if running and running.overlay is not None else None,
        "last_nack": _text(instance.last_nack) if instance.last_nack else None,
        "health": _text(instance.health) if instance.health else None,
    }


def instance_of(row: RowMapping) -> Instance:
    """The instance that a row remembers."""
    ran = row["digest"] is not None
    return Instance(
        key=InstanceKey(row["environment"], row["service"], row["instance"]),
        session=row["session"],
        link=row["link"],
        connected_at=row["connected_at"],
        cohort=row["cohort"],
        labels=msgspec.json.decode(row["labels"]),
        app_version=row["app_version"],
        sdk=row["sdk"],
        running=Running(row["epoch"], row["revision"], row["digest"], row["overlay"]) if ran else None,
        last_nack=msgspec.json.decode(row["last_nack"], type=Nack) if row["last_nack"] else None,
        health=msgspec.json.decode(row["health"], type=Health) if row["health"] else None,
        left_at=row["left_at"],
    )


def _storable(text: str) -> str:
    """What an instance says of itself is anything; a NUL in it must not hold up the rows of others."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()

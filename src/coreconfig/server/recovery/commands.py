"""Beginning an epoch in a running installation: after which every client takes what the servers have."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Connection

from coreconfig.server.access.actions import Action, Target
from coreconfig.server.access.caller import Caller
from coreconfig.server.audit.guard import guard
from coreconfig.server.revisions.epochs import begin_epoch, following
from coreconfig.server.revisions.log import LogRow, chain_after, lock_head
from coreconfig.server.revisions.steps import newest_world
from coreconfig.server.revisions.world import World

LEAP = 1_000
"""How far beyond this server's epoch a client's word about its own is believed."""


def sound_world(tx: Connection) -> World:
    """The world at the end of the log. Raises `StoreIntegrity` if the log is damaged on the way there."""
    world, problem = newest_world(tx)
    if problem is not None:
        raise problem
    return world


def new_epoch(
    tx: Connection, caller: Caller, reason: str, *, sound: World, seen: int, wanted: int | None
) -> LogRow:
    """Append the row of a new epoch, greater than this log's and than any that clients were `seen` in.

    It needs no world of this process: after a failover that lost revisions the process cannot follow the log,
    and this is what helps. Instead the log itself was read up to `sound`, before this transaction, since that
    may take long.

    Raises `Denied`, `Conflict` (``epoch_too_low``, ``epoch_too_high``) and `StoreIntegrity`.
    """
    guard(tx, caller, Action.BEGIN_EPOCH, Target(name="epoch"), {"reason": reason})
    head = lock_head(tx)
    _, problem = chain_after(tx, sound.revision, sound.hash, head.revision - sound.revision + 1)
    if problem is not None:
        raise problem
    believed = seen if seen <= head.epoch + LEAP else head.epoch
    epoch = following(head.epoch, believed, wanted=wanted)
    return begin_epoch(
        tx, epoch, kind="epoch_begun", author=caller.principal, reason=reason, committed_at=utc_now()
    )


def utc_now() -> str:
    """The present time in UTC, as rows carry it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

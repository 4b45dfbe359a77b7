"""Advancing a world by the rows that follow it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from coreconfig.errors import StoreIntegrity
from coreconfig.server.revisions.checkpoints import load_newest
from coreconfig.server.revisions.log import chain_after
from coreconfig.server.revisions.rows import LogRow
from coreconfig.server.revisions.world import World

BATCH = 200


@dataclass(frozen=True, slots=True)
class Steps:
    """Rows with the world after each, what stopped them if something did, and whether more are waiting."""

    taken: list[tuple[LogRow, World]]
    problem: StoreIntegrity | None
    more: bool


def steps_after(tx: Connection, world: World, limit: int = BATCH) -> Steps:
    """Apply at most `limit` of the rows after a world, up to the first that is damaged or does not fit."""
    rows, problem = chain_after(tx, world.revision, world.hash, limit)
    taken: list[tuple[LogRow, World]] = []
    try:
        for row in rows:
            world = world.advanced(row)
            taken.append((row, world))
    except StoreIntegrity as unfit:
        return Steps(taken, unfit, more=False)
    return Steps(taken, problem, more=problem is None and len(rows) == limit)


def newest_world(tx: Connection) -> tuple[World, StoreIntegrity | None]:
    """The world as far as the log is sound, from the newest checkpoint on, and what stopped it there.

    Raises `StoreIntegrity` if not even a beginning can be trusted.
    """
    world, problem, more = load_newest(tx), None, True
    while more and problem is None:
        steps: Steps = steps_after(tx, world)
        world = steps.taken[-1][1] if steps.taken else world
        problem, more = steps.problem, steps.more
    return world, problem

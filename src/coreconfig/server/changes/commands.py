"""Proposing a change: judged at the head outside any write transaction, then committed in one short one."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

from sqlalchemy import Connection

from coreconfig.errors import Conflict, CoreConfigError
from coreconfig.model.edits import edit_to_json
from coreconfig.server.access.actions import Action, Target
from coreconfig.server.access.caller import Caller
from coreconfig.server.audit.guard import record
from coreconfig.server.changes import idempotency, store
from coreconfig.server.changes.guards import demand_known, meets, unmoved_since
from coreconfig.server.changes.impact import move_json, pair_json
from coreconfig.server.changes.judge import Judgement, judge
from coreconfig.server.changes.model import Proposal, Receipt, State
from coreconfig.server.changes.movements import movements_of
from coreconfig.server.changes.rights import authorise
from coreconfig.server.changes.visibility import cut_error, sees_view
from coreconfig.server.revisions.log import append, chain_after, lock_head, read_head
from coreconfig.server.revisions.rows import Head, LogRow
from coreconfig.server.revisions.world import World
from coreconfig.server.web.services import Transactions

log = logging.getLogger(__name__)

_ATTEMPTS = 3
_ROWS_TO_LOOK_AT = 1_000


class Replica(Protocol):
    """What proposing needs of this process's world."""

    @property
    def world(self) -> World:
        """The newest world that is known here."""

    @property
    def problem(self) -> CoreConfigError | None:
        """Why this replica cannot go on, if it cannot."""

    async def catch_up(self, minimum: int | None = None) -> World:
        """The world at `minimum` or later."""

    async def follow(self, row: LogRow) -> None:
        """Go on to a row that this process has committed."""


def utc_now() -> str:
    """The present time in UTC, as rows carry it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class _Judged:
    world: World
    judgement: Judgement


@dataclass(frozen=True, slots=True)
class _Committed:
    """A receipt, and its row unless it was committed by an earlier request with the same key."""

    receipt: Receipt
    row: LogRow | None = None


class Proposals:
    """Where changes are proposed in this process; one is judged and committed at a time.

    Otherwise writers of one process would find each other's rows at every commit and judge again and again.
    Other replicas are met in the transaction.
    """

    def __init__(self, database: Transactions, replica: Replica, clock: Callable[[], str] = utc_now) -> None:
        self._database = database
        self._replica = replica
        self._clock = clock
        self._turn = asyncio.Lock()

    async def propose(self, caller: Caller, proposal: Proposal, *, dry_run: bool = False) -> Receipt:
        """Make a change, or with `dry_run` only say what it would do.

        Raises `Denied`, `Invalid` with every issue, `Conflict` (``conflict``, ``idempotency_mismatch``),
        `PreconditionFailed`, and what the store raises when it cannot write. Then nothing is stored.
        """
        authorise(caller, proposal.edits, self._replica.world.environments)
        if dry_run:
            judged = await self._judge(caller, proposal)
            await self._database.reading(partial(_demand_conditions, proposal, judged.world))
            return _receipt(None, "draft", judged.world.revision, judged.judgement)
        async with self._turn:
            committed = await self._commit(caller, proposal)
            await self._follow(committed)
        return committed.receipt

    async def _follow(self, committed: _Committed) -> None:
        """Bring this process's world up to the change, so that its author reads what he wrote."""
        try:
            if committed.row is not None:
                await self._replica.follow(committed.row)
            else:
                await self._replica.catch_up(committed.receipt.revision)
        except CoreConfigError as error:
            # it is committed all the same, and a read that names the revision will wait for it
            log.warning(
                "revision %d is committed and not followed yet: %s", committed.receipt.revision, error
            )

    async def repeated(self, caller: Caller, proposal: Proposal) -> Receipt | None:
        """The receipt of the same request, if this is a retry: it must not even be judged again."""
        if proposal.idempotency_key is None:
            return None
        return await self._database.reading(lambda tx: idempotency.answered(tx, caller.principal, proposal))

    async def _judge(self, caller: Caller, proposal: Proposal) -> _Judged:
        if self._replica.problem is not None:
            raise self._replica.problem
        world = self._replica.world
        may_see = partial(sees_view, caller)
        try:
            judgement = await asyncio.to_thread(judge, world.environments, proposal.edits, may_see)
        except CoreConfigError as error:
            raise cut_error(caller, world.environments, error) from None
        return _Judged(world, judgement)

    async def _commit(self, caller: Caller, proposal: Proposal) -> _Committed:
        if (known := await self.repeated(caller, proposal)) is not None:
            return _Committed(known)
        for _ in range(_ATTEMPTS):
            judged = await self._judge(caller, proposal)
            committed = await self._database.writing(partial(self._write, caller, proposal, judged))
            if committed is not None:
                return committed
            await self._replica.catch_up()
        raise Conflict(
            f"other changes to the same keys came in between {_ATTEMPTS} times; try again",
            revision=self._replica.world.revision,
        )

    def _write(
        self, caller: Caller, proposal: Proposal, judged: _Judged, tx: Connection
    ) -> _Committed | None:
        """Everything in one transaction; None if what came in between calls for another judgement."""
        head = lock_head(tx)
        # asked under the lock: the same request may be on its way through another server
        if (known := idempotency.answered(tx, caller.principal, proposal)) is not None:
            return _Committed(known)
        world, judgement = judged.world, judged.judgement
        if head.epoch != world.epoch:
            return None
        rows = _rows_since(tx, world, head)
        if rows is None or (rows and meets(rows, judgement.environments, judgement.touches)):
            return None
        _demand_conditions(proposal, world, tx)
        now = self._clock()
        row = append(
            tx,
            head,
            kind=proposal.kind,
            change_id=new_id(),
            author=caller.principal,
            reason=proposal.reason,
            committed_at=now,
            edits=[edit_to_json(edit) for edit in proposal.edits],
            movements=movements_of(
                judgement.impact, proposal.edits, world.environments, judgement.environments
            ),
        )
        receipt = _receipt(row.change_id, "completed", row.revision, judgement)
        store.save(tx, caller, proposal, receipt, row, now)
        record(tx, caller, Action.PROPOSE, Target(name=row.change_id), {"revision": row.revision})
        idempotency.remember(tx, caller.principal, proposal, receipt, now)
        return _Committed(receipt, row)


def _demand_conditions(proposal: Proposal, world: World, tx: Connection) -> None:
    """Raise unless what the author was looking at is still so; nothing touches it between world and head."""
    if proposal.guard is not None:
        proposal.guard(tx, world)
    if proposal.expected_revision is not None:
        demand_known(proposal.expected_revision, read_head(tx).revision)
        unmoved_since(tx, proposal.edits, proposal.expected_revision, world.environments)


def _rows_since(tx: Connection, world: World, head: Head) -> list[LogRow] | None:
    """What was committed after a world; None if it is too much to be looked at.

    Raises `StoreIntegrity` if the log does not continue that world.
    """
    if (head.revision, head.hash) == (world.revision, world.hash):
        return []
    rows, problem = chain_after(tx, world.revision, world.hash, _ROWS_TO_LOOK_AT)
    if problem is not None:
        raise problem
    return rows if rows and rows[-1].revision == head.revision else None


def new_id() -> str:
    """A fresh id for a change."""
    return f"chg-{secrets.token_hex(8)}"


def _receipt(change: str | None, state: State, revision: int, judgement: Judgement) -> Receipt:
    return Receipt(
        id=change,
        state=state,
        revision=revision,
        affected=[pair_json(pair) for pair in judgement.impact.affected],
        effective=[move_json(move) for move in judgement.impact.moves],
    )

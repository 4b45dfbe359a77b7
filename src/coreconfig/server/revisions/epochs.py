"""Beginning a new epoch: a row of the log that changes nothing but what revision numbers belong to.

The greatest epoch that this database has ever been in is the one of its head, since a head's epoch only
grows. Who puts an older database in its place therefore has to look at both (`following`).
"""

from __future__ import annotations

import secrets
from typing import Literal

from sqlalchemy import Connection

from coreconfig.errors import Conflict
from coreconfig.server.revisions.log import LogRow, append, lock_head

EpochKind = Literal["epoch_begun", "restored"]

MAX_EPOCH = 2**53 - 1
"""What every client can count."""


def following(*known: int, wanted: int | None = None) -> int:
    """The epoch after all that are known, or a greater one that somebody wants.

    Raises `Conflict`: ``epoch_too_low`` if that is not greater, ``epoch_too_high`` if it cannot be counted.
    """
    least = max(known) + 1
    epoch = least if wanted is None else wanted
    if not least <= epoch <= MAX_EPOCH:
        raise Conflict(
            f"epoch {epoch} cannot be begun: it has to be at least {least}, so that it is greater than every"
            f" epoch seen so far, and at most {MAX_EPOCH}",
            code="epoch_too_low" if epoch < least else "epoch_too_high",
        )
    return epoch


def begin_epoch(
    tx: Connection, epoch: int, *, kind: EpochKind, author: str, reason: str, committed_at: str
) -> LogRow:
    """Append the row with which an epoch begins; configuration stays as it is, revisions go on.

    Raises `StoreIntegrity` if the head does not name the last row, and `Conflict` (``epoch_too_low``).
    """
    head = lock_head(tx)
    return append(
        tx,
        head,
        kind=kind,
        change_id=f"epo-{secrets.token_hex(8)}",
        author=author,
        reason=reason,
        committed_at=committed_at,
        edits=[],
        movements=[],
        epoch=following(head.epoch, wanted=epoch),
    )

"""One row of the log, and the chain of hashes that shows whether it is still what was written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from coreconfig.errors import StoreIntegrity
from coreconfig.model.canonical import MAX_EXACT_INTEGER, canonical

GENESIS = "0" * 64
"""What the first row follows."""

FIRST_EPOCH = 1
"""The epoch of a log without rows."""

# The order of `tables.log`; `edits` is text here, as it is stored and hashed.
Stored = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Head:
    """Where the log ends; `revision` 0 is the empty beginning. `hash` is that of the last row."""

    epoch: int
    revision: int
    hash: str
    installation: str


@dataclass(frozen=True, slots=True)
class LogRow:
    """One revision: everything that whoever derives the world from the log needs to know about it.

    `edits` are in their JSON shape (`model.edits.edit_to_json`); `committed_at` is UTC, ISO 8601.
    """

    epoch: int
    revision: int
    kind: str
    change_id: str
    author: str
    reason: str | None
    committed_at: str
    edits: list[dict[str, Any]]
    hash: str
    previous: str


def hash_of(
    previous: str,
    *,
    epoch: int,
    revision: int,
    kind: str,
    change_id: str,
    author: str,
    reason: str | None,
    committed_at: str,
    edits: str,
) -> str:
    """SHA-256 over the previous hash and the canonical row, in hex; `edits` is its canonical JSON.

    The text is ``previous NUL [epoch,revision,kind,change,author,reason,committed_at,edits]``.
    """
    facts = canonical([epoch, revision, kind, change_id, author, reason, committed_at])
    return sha256(f"{previous}\0{facts[:-1]},{edits}]".encode()).hexdigest()


def decode(text: str) -> Any:
    """What a canonical JSON text says; the canonical form writes large doubles without a point."""
    return json.loads(text, parse_int=_number)


def _number(text: str) -> int | float:
    if len(text) < 16:
        return int(text)
    exact = int(text)
    return exact if -MAX_EXACT_INTEGER <= exact <= MAX_EXACT_INTEGER else float(text)


def row_from(stored: Stored) -> LogRow:
    """The row that was stored. Raises `StoreIntegrity` if its own hash no longer fits."""
    revision, epoch, kind, change_id, author, reason, committed_at, edits, previous, hashed = stored
    try:
        found = hash_of(
            previous,
            epoch=epoch,
            revision=revision,
            kind=kind,
            change_id=change_id,
            author=author,
            reason=reason,
            committed_at=committed_at,
            edits=edits,
        )
    except (TypeError, ValueError) as error:
        raise damaged(revision, "has another type of content than was written") from error
    if found != hashed:
        raise damaged(revision, "is not what was written: its hash does not fit")
    return LogRow(
        epoch=epoch,
        revision=revision,
        kind=kind,
        change_id=change_id,
        author=author,
        reason=reason,
        committed_at=committed_at,
        edits=decode(edits),
        hash=hashed,
        previous=previous,
    )


def chained(stored: Iterable[Stored], *, revision: int, previous: str) -> Iterator[LogRow]:
    """Rows in ascending order as they follow the row `revision` whose hash is `previous`.

    Raises `StoreIntegrity`, naming the revision, at the first row that is damaged, missing or out of place.
    """
    for one in stored:
        revision += 1
        if one[0] != revision:
            raise damaged(revision, "is missing")
        row = row_from(one)
        if row.previous != previous:
            raise damaged(revision, "does not follow the row before it: one of the two was replaced")
        previous = row.hash
        yield row


def damaged(revision: int, what: str) -> StoreIntegrity:
    """The error for a revision that cannot be trusted."""
    return StoreIntegrity(
        f"the log is damaged: revision {revision} {what}. What was configured before it is still served and "
        "nothing can be written; restore the database from a backup",
        revision=revision,
    )


def went_back(head: Head, known: int) -> StoreIntegrity:
    """The error for a log that ends before a revision that was known of it."""
    return StoreIntegrity(
        f"the log went back: its head is revision {head.revision} of epoch {head.epoch}, and revision"
        f" {known} was there before. What was configured is still served and nothing can be written; if the"
        " database lost it for good, `coreconfig epoch new` makes what it holds count",
        revision=head.revision + 1,
    )

"""Which keys a revision moved, and in which views: what ETags of keys and histories are made of."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, desc, insert, or_, select

from coreconfig.model.keys import Path, format_key
from coreconfig.server.revisions import tables

_movement, _log = tables.movement.c, tables.log.c
_RECORD = insert(tables.movement).inline()


@dataclass(frozen=True, slots=True)
class Movement:
    """What a revision moved at one key of one environment; the empty key is the whole configuration.

    `services` are the views whose resolved value moved, `entries` the layers that were edited there; in both
    the empty name is the environment's own base.
    """

    environment: str
    key: str
    services: list[str]
    entries: list[str]


@dataclass(frozen=True, slots=True)
class Moved:
    """A revision that moved something, and who made it."""

    revision: int
    epoch: int
    kind: str
    change_id: str
    author: str
    reason: str | None
    committed_at: str


def record(tx: Connection, epoch: int, revision: int, movements: Iterable[Movement]) -> None:
    """Store what a revision moved; each (environment, key) once."""
    rows = [
        {
            "environment": moved.environment,
            "key": moved.key,
            "revision": revision,
            "epoch": epoch,
            "services": _names(moved.services),
            "entries": _names(moved.entries),
        }
        for moved in movements
    ]
    if rows:
        tx.execute(_RECORD, rows)


def last_moved(tx: Connection, environment: str, service: str | None, path: Path) -> tuple[int, int] | None:
    """The (epoch, revision) that last moved the resolved value or the own entry at, above or below a key."""
    found = tx.execute(
        select(_movement.epoch, _movement.revision)
        .where(
            _movement.environment == environment,
            _related(path),
            or_(_holds(_movement.services, service), _holds(_movement.entries, service)),
        )
        .order_by(desc(_movement.revision))
        .limit(1)
    ).first()
    return None if found is None else (found.epoch, found.revision)


def history(
    tx: Connection, environment: str, service: str | None, path: Path, *, before: int | None, limit: int
) -> list[Moved]:
    """The revisions that moved the resolved value at, above or below a key, newest first.

    A revision that moved something above the key may have left the key itself as it was.
    """
    below = () if before is None else (_movement.revision < before,)
    revisions = (
        select(_movement.revision)
        .where(
            _movement.environment == environment, _related(path), _holds(_movement.services, service), *below
        )
        .distinct()
        .order_by(desc(_movement.revision))
        .limit(limit)
    ).subquery()
    found = tx.execute(
        select(
            _log.revision, _log.epoch, _log.kind, _log.change_id, _log.author, _log.reason, _log.committed_at
        )
        .join(revisions, revisions.c.revision == _log.revision)
        .order_by(desc(_log.revision))
    )
    return [Moved(*row) for row in found]


def last_edited(
    tx: Connection, environment: str, service: str | None, path: Path, *, until: int | None = None
) -> Moved | None:
    """The revision that last edited what a layer itself says at, above or below a key, at most `until`.

    An environment that was created from a document edited all of its layers.
    """
    entry = _holds(_movement.entries, service)
    # edits are canonical JSON, so this text stands in it for a creation and for nothing else
    created = f'"environment":"{environment}","kind":"environment","operation":"create"'
    whole = _log.edits.like(f"%{created}%")
    known = () if until is None else (_movement.revision <= until,)
    found = tx.execute(
        select(
            _log.revision, _log.epoch, _log.kind, _log.change_id, _log.author, _log.reason, _log.committed_at
        )
        .join(tables.movement, _movement.revision == _log.revision)
        .where(_movement.environment == environment, _related(path), or_(entry, whole), *known)
        .order_by(desc(_log.revision))
        .limit(1)
    ).first()
    return None if found is None else Moved(*found)


def _related(path: Path) -> ColumnElement[bool]:
    """At, above or below a path: ``/`` follows ``.``, so the range holds all that begins with ``key.``."""
    if not path:
        return _movement.key >= ""
    above = [format_key(path[:length]) for length in range(len(path) + 1)]
    key = above[-1]
    return or_(_movement.key.in_(above), and_(_movement.key >= f"{key}.", _movement.key < f"{key}/"))


def _holds(names: ColumnElement[str], service: str | None) -> ColumnElement[bool]:
    """Whether a JSON list of ids names one; an id holds no character that JSON or LIKE would change."""
    return names.like(f'%"{service or ""}"%')


def _names(names: list[str]) -> str:
    return json.dumps(sorted(names), separators=(",", ":"))

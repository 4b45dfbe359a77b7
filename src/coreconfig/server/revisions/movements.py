"""Which keys a revision moved, and in which views: what ETags of keys and histories are made of."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Select,
    and_,
    bindparam,
    desc,
    insert,
    or_,
    select,
    union_all,
)
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from coreconfig.model.keys import Path, format_key
from coreconfig.server.revisions import tables

_movement, _log = tables.movement.c, tables.log.c
_RECORD = insert(tables.movement).inline()


@dataclass(frozen=True, slots=True)
class Movement:
    """What a revision moved at one key of one environment; the empty key is the whole configuration.

    `services` are the views whose resolved value moved, `entries` the layers that were edited there; in both
    the empty name is the environment's own base. A service that nobody declared sees the base; so where that
    moved, `unmoved` are the services whose view did not.
    """

    environment: str
    key: str
    services: list[str]
    entries: list[str]
    unmoved: list[str] = field(default_factory=list)


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
            "services": _names([*moved.services, *(f"!{name}" for name in moved.unmoved)]),
            "entries": _names(moved.entries),
        }
        for moved in movements
    ]
    if rows:
        tx.execute(_RECORD, rows)


def stored(row: Any) -> Movement:
    """The movement that a row of the table holds."""
    names = json.loads(row.services)
    moved = [name for name in names if not name.startswith("!")]
    unmoved = [name[1:] for name in names if name.startswith("!")]
    return Movement(row.environment, row.key, moved, json.loads(row.entries), unmoved)


def last_moved(
    tx: Connection, environment: str, service: str | None, path: Path, *, until: int | None = None
) -> tuple[int, int] | None:
    """The (epoch, revision) that last moved the resolved value or the own entry at, above or below a key.

    With `until` as it was at that revision.
    """
    place = {**_place(environment, service, path), "before": _NO_REVISION if until is None else until + 1}
    found = tx.execute(_last_moved(len(path)), place).first()
    return None if found is None else (found.epoch, found.revision)


def history(
    tx: Connection, environment: str, service: str | None, path: Path, *, before: int | None, limit: int
) -> list[Moved]:
    """The revisions that moved the resolved value at, above or below a key, newest first.

    A revision that moved something above the key may have left the key itself as it was.
    """
    page = {"before": _NO_REVISION if before is None else before, "most": limit}
    return [
        Moved(*row) for row in tx.execute(_history(len(path)), {**_place(environment, service, path), **page})
    ]


_NO_REVISION = 2**63 - 1

# One statement for each depth of a key, so that building and compiling it is paid once.


@cache
def _last_moved(depth: int) -> Select[tuple[int, int]]:
    near = _near(depth)
    moved_or_edited = or_(_in_view(near), near.entries.like(bindparam("name")))
    return (
        select(near.epoch, near.revision)
        .where(moved_or_edited, near.revision < bindparam("before"))
        .order_by(desc(near.revision))
        .limit(1)
    )


@cache
def _history(depth: int) -> Select[Any]:
    near = _near(depth)
    revisions = (
        select(near.revision)
        .where(_in_view(near), near.revision < bindparam("before"))
        .distinct()
        .order_by(desc(near.revision))
        .limit(bindparam("most"))
    ).subquery()
    told = (_log.revision, _log.epoch, _log.kind, _log.change_id, _log.author, _log.reason, _log.committed_at)
    found = select(*told).join(revisions, revisions.c.revision == _log.revision)
    return found.order_by(desc(_log.revision))


def _in_view(near: ReadOnlyColumnCollection[str, Any]) -> ColumnElement[bool]:
    """Whether the view moved: by itself, or as one that is the base's."""
    services = near.services
    as_base = and_(services.like(_quoted("")), services.not_like(bindparam("unmoved")))
    return or_(services.like(bindparam("name")), as_base)


def _near(depth: int) -> ReadOnlyColumnCollection[str, Any]:
    """The movements at, above or below a path with this many segments; everything is below the empty one.

    Two searches by key, not one condition with OR, which no index serves. Their revision is an expression,
    so that no index on it is taken either: a key that moved long ago would then be looked for through every
    movement of its environment since.
    """
    rest = (_movement.epoch, _movement.services, _movement.entries)
    here = _movement.environment == bindparam("environment")
    if depth == 0:
        return select(_movement.revision, *rest).where(here).subquery("near").c
    at_or_above: list[BindParameter[str]] = [
        *(bindparam(f"above_{length}") for length in range(depth)),
        bindparam("key"),
    ]
    found = select((_movement.revision + 0).label("revision"), *rest).where(here)
    below = (_movement.key >= bindparam("from_key"), _movement.key < bindparam("to_key"))
    return union_all(found.where(_movement.key.in_(at_or_above)), found.where(*below)).subquery("near").c


def _place(environment: str, service: str | None, path: Path) -> dict[str, Any]:
    """What the statements ask for.

    An id holds no character that JSON or LIKE would change, so its quoted form finds it in a JSON list; ``/``
    is the character after ``.``, so the range holds all keys that begin with ``key.``.
    """
    place: dict[str, Any] = {"environment": environment, "name": _quoted(service or "")}
    place["unmoved"] = _quoted(f"!{service or ''}")
    if path:
        key = format_key(path)
        place |= {f"above_{length}": format_key(path[:length]) for length in range(len(path))}
        place |= {"key": key, "from_key": f"{key}.", "to_key": f"{key}/"}
    return place


def _quoted(name: str) -> str:
    return f'%"{name}"%'


def _names(names: list[str]) -> str:
    return json.dumps(sorted(names), separators=(",", ":"))

"""When a key last moved: what entity tags of single keys and guards of writes are made of."""

from __future__ import annotations

from sqlalchemy import Connection

from coreconfig.model.keys import Path
from coreconfig.server.revisions.movements import last_moved


def moved_at(
    tx: Connection, environment: str, service: str | None, path: Path, *, until: int | None = None
) -> tuple[int, int] | None:
    """The (epoch, revision) at which the key's resolved value or its own entry last moved.

    None where neither ever has since the log began. With `until` as it was at that revision.
    """
    return last_moved(tx, environment, service, path, until=until)


def key_etag(
    tx: Connection,
    epoch: int,
    environment: str,
    service: str | None,
    path: Path,
    *,
    until: int | None = None,
) -> str:
    """The entity tag of one key: ``epoch-revision``; revision 0 where it has never moved."""
    stamp = moved_at(tx, environment, service, path, until=until) or (epoch, 0)
    return f"{stamp[0]}-{stamp[1]}"

"""States to read from, as a store would make them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.fakes.fake_server import at_of

from coreconfig.client.clock import Clock
from coreconfig.client.config import Snapshot
from coreconfig.client.options import Options, build_options
from coreconfig.client.state import Finish, State
from coreconfig.client.store import Store
from coreconfig.client.typed import TypedReads
from coreconfig.wire.frames import ChangedPush, LeafChange, SnapshotPush

NOTHING = Finish({}, (), {})


def snapshot_push(values: dict[str, Any], revision: int, epoch: int = 1, nonce: str = "n") -> SnapshotPush:
    """A push of the whole."""
    return SnapshotPush(nonce, at_of(values, revision, epoch), values, "2026-01-01T00:00:00.000Z")


def delta_push(
    before: dict[str, Any],
    from_revision: int,
    after: dict[str, Any],
    revision: int,
    changes: list[tuple[str, str, Any]],
) -> ChangedPush:
    """A push of a difference."""
    return ChangedPush(
        nonce="d",
        from_=at_of(before, from_revision),
        at=at_of(after, revision),
        changes=[
            LeafChange(key, "SET", value) if how == "SET" else LeafChange(key, "DELETE")
            for key, how, value in changes
        ],
        timestamp="2026-01-01T00:00:01.000Z",
    )


def new_store(finish: Finish = NOTHING, clock: Clock | None = None) -> Store:
    """An empty store that publishes to nobody."""
    return Store(finish, clock or Clock(), lambda state, availability: None)


def state_of(values: dict[str, Any], revision: int = 1, finish: Finish = NOTHING) -> State:
    """The state after a first snapshot of these values."""
    store = new_store(finish)
    assert store.offer(snapshot_push(values, revision)).outcome == "applied"
    return store.state


def reads_of(values: dict[str, Any], **kwargs: Any) -> Snapshot:
    """What reads from these values."""
    return Snapshot(state_of(values, **kwargs), "dev/shop", TypedReads())


def options_of(variables: Mapping[str, str] | None = None, **given: Any) -> Options:
    """Options of a client for shop in dev, without a cache unless one is given."""
    given = {"service_id": "shop", "environment": "dev", "cache_dir": None, **given}
    return build_options(given=given, variables=variables or {})

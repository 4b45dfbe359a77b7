"""A delta of several changes is applied one half after the other, and each half can be read."""

from __future__ import annotations

import time
from typing import Any

import msgspec
from tests.consistency.bugs import replace

PROMISE = 4


def seed() -> None:
    """Swap in a state with half of the changes on the way to the whole one."""
    from coreconfig.client.store import Store
    from coreconfig.model.snapshots import apply, digest_of, digest_text
    from coreconfig.wire.frames import ChangedPush

    def offer(self: Store, push: Any, **rest: Any) -> Any:
        held = self.state
        if isinstance(push, ChangedPush) and push.from_ == held.at and len(push.changes) > 1:
            half = msgspec.structs.replace(push, changes=push.changes[: len(push.changes) // 2])
            tree = apply(held.raw, [_tree_change(change) for change in half.changes])
            at = msgspec.structs.replace(push.at, digest=digest_text(digest_of(tree)))
            right(self, msgspec.structs.replace(half, at=at), **rest)
            time.sleep(0.02)
            self.state = held
        return right(self, push, **rest)

    right = replace(Store, "offer", offer)


def _tree_change(change: Any) -> Any:
    from coreconfig.model.keys import parse_key
    from coreconfig.model.snapshots import TreeChange

    return TreeChange(parse_key(change.key), change.operation, change.value)

"""A late snapshot of a lower revision is applied because nobody compares."""

from __future__ import annotations

from typing import Any

from tests.consistency.bugs import replace

PROMISE = 2


def seed() -> None:
    """Apply every whole snapshot that is not the held one."""
    from coreconfig.client import session, store
    from coreconfig.wire.frames import SnapshotPush

    def judge(held: Any, push: Any, *, foreign: bool = False) -> Any:
        if isinstance(push, SnapshotPush):
            return "already" if push.at == held else "apply"
        return right(held, push, foreign=foreign)

    right = replace(session, "judge", judge)
    replace(store, "_is_newer", lambda held, at, installation: held.at == at)

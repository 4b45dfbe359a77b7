"""Revisions are compared without their epochs, so a restored log looks like the past."""

from __future__ import annotations

from typing import Any

from tests.consistency.bugs import replace

PROMISE = 8


def seed() -> None:
    """Ignore whatever has a lower number, and take every position to be of the held epoch."""
    from coreconfig.client import session, store
    from coreconfig.wire.frames import ChangedPush

    def judge(held: Any, push: Any, *, foreign: bool = False) -> Any:
        if held is not None and push.at == held:
            return "already"
        if held is not None and push.at.revision < held.revision:
            return "ignore"
        if isinstance(push, ChangedPush):
            return "apply" if push.from_ == held else "resync"
        return "apply"

    def is_newer(held: Any, at: Any, installation: str) -> bool:
        return held.at is not None and (held.at == at or at.revision < held.revision)

    replace(session, "judge", judge)
    replace(store, "_is_newer", is_newer)

"""The condition of a write is not part of the statement that writes: it was checked before, or never."""

from __future__ import annotations

from tests.consistency.bugs import replace

PROMISE = 1


def seed() -> None:
    """Let every ``If-Match`` and every expected revision pass."""
    from coreconfig.server.changes import commands
    from coreconfig.server.web.preconditions import Precondition

    replace(Precondition, "demand", lambda self, *facts: None)
    replace(commands, "unmoved_since", lambda tx, edits, revision: None)

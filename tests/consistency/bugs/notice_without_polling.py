"""A replica looks for new rows when it is told of some, and never by itself."""

from __future__ import annotations

from tests.consistency.bugs import replace

PROMISE = 1


def seed() -> None:
    """Wait for a notice for ever."""
    from coreconfig.server.revisions.replica import Replica

    async def poll(self: Replica) -> None:
        while True:
            await self._look(None)
            await self._hint.wait()

    replace(Replica, "_poll", poll)

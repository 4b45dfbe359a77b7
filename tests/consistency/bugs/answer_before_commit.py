"""A write is answered when its transaction has done everything but commit."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from tests.consistency.bugs import replace

PROMISE = 1
_COMMIT_AFTER = 0.5


def seed() -> None:
    """Hand out the result of a write transaction from inside of it."""
    from coreconfig.server.db.database import Database

    committing: set[asyncio.Future[Any]] = set()

    async def writing(self: Database, fn: Any) -> Any:
        loop = asyncio.get_running_loop()
        early: asyncio.Future[Any] = loop.create_future()

        def hurried(tx: Any) -> Any:
            result = fn(tx)
            loop.call_soon_threadsafe(_settle, early, result)
            time.sleep(_COMMIT_AFTER)
            return result

        task = asyncio.ensure_future(right(self, hurried))
        committing.add(task)
        task.add_done_callback(committing.discard)
        await asyncio.wait((early, task), return_when=asyncio.FIRST_COMPLETED)
        return early.result() if early.done() else task.result()

    right = replace(Database, "writing", writing)


def _settle(early: asyncio.Future[Any], result: Any) -> None:
    if not early.done():
        early.set_result(result)

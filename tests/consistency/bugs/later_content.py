"""A view's position is taken before the row is applied and its content afterwards."""

from __future__ import annotations

from typing import Any

from tests.consistency.bugs import replace

PROMISE = 4


def seed() -> None:
    """Leave the standing of all views at the revision before."""
    from coreconfig.server.delivery.views import ViewStore

    def advance(self: ViewStore, before: Any, after: Any, row: Any) -> Any:
        result = right(self, before, after, row)
        standing = self._stand(after)
        standing.revision = before.revision
        return result

    right = replace(ViewStore, "advance", advance)

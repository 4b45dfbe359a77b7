"""What is put on the queue of callbacks is put there twice."""

from __future__ import annotations

from typing import Any

from tests.consistency.bugs import replace

PROMISE = 3


def seed() -> None:
    """Deliver each change of a watch two times."""
    from coreconfig.client.watch import _Delivery

    def call(self: _Delivery) -> Any:
        right(self)
        return right(self)

    right = replace(_Delivery, "__call__", call)

"""A client that comes back one revision behind is taken for one that is current."""

from __future__ import annotations

from typing import Any

from tests.consistency.bugs import replace

PROMISE = 8


def seed() -> None:
    """Compare what a returning client holds with the head by `<=` where `<` is right."""
    from coreconfig.server.delivery.session import Session

    def step(self: Session, head: Any, known: Any) -> Any:
        held = self.held
        if (
            held is not None
            and self.asked
            and held.epoch == head.epoch
            and held.revision + 1 >= head.revision
        ):
            self.held, self.asked = head, False
        return right(self, head, known)

    right = replace(Session, "step", step)

"""The key of a write is not remembered, so that sending it again does it again."""

from __future__ import annotations

from tests.consistency.bugs import replace

PROMISE = 1


def seed() -> None:
    """Know no key."""
    from coreconfig.server.changes import idempotency

    replace(idempotency, "answered", lambda tx, principal, proposal: None)
    replace(idempotency, "remember", lambda tx, principal, proposal, receipt, now: None)

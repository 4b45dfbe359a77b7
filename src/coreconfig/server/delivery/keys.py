"""Which view is meant, and the nonce that ties an ack to one of its states."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import NamedTuple

from coreconfig.errors import NotFound

_NONCE = re.compile(r"([0-9a-f]{1,16})-([0-9a-f]{1,16})-([0-9a-f]{16})\Z")


class ViewKey(NamedTuple):
    """A view: what a service in an environment sees, or an environment alone, under at most one overlay."""

    environment: str
    service: str | None = None
    overlay: str | None = None

    def __str__(self) -> str:
        return f"{self.environment}/{self.service}" if self.service else self.environment


def nonce_of(key: ViewKey, epoch: int, revision: int) -> str:
    """The nonce of every push that leads to this view at this position.

    A function of both alone, so that one encoded frame serves all sessions, and so that any replica
    recognises an ack of what another replica pushed.
    """
    named = "\0".join((key.environment, key.service or "", key.overlay or "", str(epoch), str(revision)))
    return f"{epoch:x}-{revision:x}-{blake2b(named.encode(), digest_size=8).hexdigest()}"


def position_in(nonce: str, key: ViewKey) -> tuple[int, int] | None:
    """The (epoch, revision) that a nonce of this view stands for; None for any other text."""
    found = _NONCE.match(nonce)
    if found is None:
        return None
    epoch, revision = int(found.group(1), 16), int(found.group(2), 16)
    return (epoch, revision) if nonce_of(key, epoch, revision) == nonce else None


def unknown_view(key: ViewKey) -> NotFound:
    """The answer to whoever may not know whether this environment exists: the same as if it did not."""
    return NotFound(f"there is no environment {key.environment!r}", code="unknown_environment")

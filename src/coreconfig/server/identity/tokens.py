"""The text of a token, ``cc_<public id>_<secret>``, and what is kept of it.

The public id names the token in lists, logs and the audit. The secret has 256 random bits, so a plain SHA-256
is enough to keep it by: there is nothing to guess that a slow hash would protect.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

from coreconfig.model.keys import parse_pattern
from coreconfig.server.access.caller import Caller, CallerKind

_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
_TEXT = re.compile(r"cc_([a-z0-9]{12})_([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """A token as it is stored. Times are UTC; `roles` of a service are empty or ``editor``."""

    id: str
    secret_hash: str
    name: str
    kind: CallerKind
    service: str | None
    environments: tuple[str, ...]
    roles: tuple[str, ...]
    keys: tuple[str, ...]
    author: str
    created_at: str
    revoked_at: str | None = None

    def caller(self) -> Caller:
        """Whoever presents this token. A service counts as one principal whichever of its tokens it uses."""
        return Caller(
            principal=f"service:{self.service}" if self.service else self.name,
            kind=self.kind,
            roles=frozenset(self.roles),
            service=self.service,
            environments=self.environments,
            keys=tuple(parse_pattern(text) for text in self.keys),
            token=self.id,
        )


def mint() -> tuple[str, str]:
    """A new token: its public id, and the text that only its owner gets to see."""
    public = "".join(secrets.choice(_ALPHABET) for _ in range(12))
    return public, f"cc_{public}_{secrets.token_hex(32)}"


def split(text: str) -> tuple[str, str] | None:
    """(public id, secret) of a token's text; None if it is no token."""
    found = _TEXT.fullmatch(text)
    return (found.group(1), found.group(2)) if found else None


def hash_of(text: str) -> str:
    """What is stored of a token's text: SHA-256 of its secret, in hexadecimal digits."""
    parts = split(text)
    return hashlib.sha256((parts[1] if parts else text).encode()).hexdigest()


def is_secret_of(text: str, secret_hash: str) -> bool:
    """Whether a presented token has this secret; takes the same time whatever differs."""
    return hmac.compare_digest(hash_of(text), secret_hash)

"""Every failure that CoreConfig reports, as one tree.

```
CoreConfigError                 anything below
├── KeyNotFound                 the snapshot definitely has no such key (also a KeyError)
├── ConfigValidationError       a value is not what its reader demands (also a ValueError)
├── NotReady                    there is no snapshot yet to answer from
├── Invalid                     the request or the input breaks a rule
│   └── TooLarge                a body or a value is over a limit
├── NotAuthenticated            no token, or one that is not known
├── Denied                      known, but not allowed
├── NotFound                    no such environment, service, change, revision ...
├── Conflict                    somebody else was faster
│   └── PreconditionFailed      the same, found by ``If-Match``
├── Unavailable                 try again later
│   └── StorageFull             the disk of the server has no room
├── StoreIntegrity              the stored log is not what was written
└── ProtocolError               the peer does not speak the protocol
```

The class says what kind of failure it is and, on the wire, which HTTP status it has; ``code`` says
exactly which rule was broken and is stable across releases.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["CRITICAL", "HIGH", "MEDIUM", "LOW"]


@dataclass(frozen=True, slots=True)
class Issue:
    """One finding of a check: which rule, how bad, where, and what to do about it."""

    code: str
    message: str
    severity: Severity = "HIGH"
    key: str | None = None

    def __str__(self) -> str:
        return f"{self.key}: {self.message} [{self.code}]" if self.key else f"{self.message} [{self.code}]"


class CoreConfigError(Exception):
    """Base of all errors: ``message`` for the person, ``code`` for the program, ``issues`` one by one.

    ``revision`` is the revision of the installation at which the failure was decided, where that matters.
    ``retry_after`` is in seconds, where trying again later makes sense.
    """

    default_code = "error"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        issues: Iterable[Issue] = (),
        revision: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.issues = tuple(issues)
        self.revision = revision
        self.retry_after = retry_after

    def __str__(self) -> str:
        details = [f"  - {issue}" for issue in self.issues]
        return "\n".join([self.message, *details])


class KeyNotFound(CoreConfigError, KeyError):
    """The snapshot is there and holds nothing at this key, and the caller gave no default."""

    default_code = "key_not_found"


class ConfigValidationError(CoreConfigError, ValueError):
    """A value is not what its reader demands; ``issues`` lists every deviation."""

    default_code = "validation_failed"


class NotReady(CoreConfigError):
    """No source has delivered a snapshot yet."""

    default_code = "not_ready"


class Invalid(CoreConfigError, ValueError):
    """The input breaks a rule; ``code`` names it, ``issues`` lists all that were broken."""

    default_code = "invalid"


class TooLarge(Invalid):
    """The input is over a size limit."""

    default_code = "too_large"


class NotAuthenticated(CoreConfigError):
    """A token is needed, or the one that was sent is not known."""

    default_code = "not_authenticated"


class Denied(CoreConfigError):
    """The caller is known and may not do this."""

    default_code = "denied"


class NotFound(CoreConfigError):
    """What the request names does not exist, or the caller may not know that it does."""

    default_code = "not_found"


class Conflict(CoreConfigError):
    """What the caller saw is no longer so; read again and decide anew."""

    default_code = "conflict"


class PreconditionFailed(Conflict):
    """The ``If-Match`` of the request names a state that is no longer current."""

    default_code = "precondition_failed"


class Unavailable(CoreConfigError):
    """The server cannot answer now; ``retry_after`` says when to try again."""

    default_code = "unavailable"


class StorageFull(Unavailable):
    """The server's disk has no room for the write; nothing was stored."""

    default_code = "storage_full"


class StoreIntegrity(CoreConfigError):
    """A stored row is not what was written; the server stays at the revision before it."""

    default_code = "store_integrity"


class ProtocolError(CoreConfigError):
    """The peer sent something that the protocol does not allow."""

    default_code = "protocol_error"

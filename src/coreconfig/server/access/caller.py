"""The caller of a request: who it is, and the rights that its token gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from starlette.requests import HTTPConnection
from starlette.types import Scope

from coreconfig.errors import NotAuthenticated
from coreconfig.model.keys import Path, Pattern

CallerKind = Literal["user", "service", "local"]

VIEWER = "viewer"
EDITOR = "editor"
OPERATOR = "operator"
SECURITY_ADMIN = "security-admin"
ADMIN = "admin"
ROLES = (VIEWER, EDITOR, OPERATOR, SECURITY_ADMIN, ADMIN)
"""Roles with a meaning of their own; any other name is the role of an approver."""

ANY = "*"
"""In a list of environments: every one, also those that do not exist yet."""

LOCAL = "local"
"""The principal of open mode, and the token that its sessions count as opened with."""

_SCOPE_KEY = "coreconfig.caller"


@dataclass(frozen=True, slots=True)
class Caller:
    """A principal and what it was given.

    `environments` are ids or `ANY`; empty `keys` mean all keys. `token` names the token (`LOCAL` in open
    mode), so that its revocation finds the sessions that it opened.
    """

    principal: str
    kind: CallerKind
    roles: frozenset[str] = frozenset()
    service: str | None = None
    environments: tuple[str, ...] = (ANY,)
    keys: tuple[Pattern, ...] = ()
    token: str = LOCAL

    @property
    def is_admin(self) -> bool:
        """Whether nothing is closed to this caller."""
        return self.kind == "local" or ADMIN in self.roles

    def has(self, *roles: str) -> bool:
        """Whether it holds one of these roles; an admin holds them all."""
        return self.is_admin or not self.roles.isdisjoint(roles)

    def in_scope(self, environment: str) -> bool:
        """Whether its token was given for this environment."""
        return self.is_admin or ANY in self.environments or environment in self.environments

    def covers(self, path: Path) -> bool:
        """Whether its patterns take in the whole node: a pattern grants what it matches and all below."""
        if self.is_admin or not self.keys:
            return True
        ends = range(len(path) + 1)
        return any(pattern.matches(path[:end]) for pattern in self.keys for end in ends)


local_caller = Caller(principal=LOCAL, kind="local", roles=frozenset({ADMIN}))
"""Whoever asks in open mode."""


def caller_of(connection: HTTPConnection) -> Caller:
    """The caller of a request or WebSocket, as the gate found it. Raises `NotAuthenticated` without one."""
    caller = connection.scope.get(_SCOPE_KEY)
    if not isinstance(caller, Caller):
        raise NotAuthenticated("this needs a token: send Authorization: Bearer cc_...")
    return caller


def set_caller(scope: Scope, caller: Caller) -> None:
    """Remember who asks, for `caller_of`; only the gate does this."""
    scope[_SCOPE_KEY] = caller

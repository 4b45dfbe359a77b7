"""What a change request is, and what its author gets back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import Connection

from coreconfig.model.edits import Edit
from coreconfig.server.revisions.world import World

Source = Literal["api", "cli", "sdk", "console", "git", "promotion", "schedule", "system"]
State = Literal["draft", "completed"]

Guard = Callable[[Connection, World], None]
"""A condition on the state, stored and in memory: it holds, or it raises; checked under the head's lock."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change as its author sends it.

    `expected_revision` is the last revision that the author knows of; a later move of an edited path is a
    conflict. `idempotency_key` with `fingerprint` (the SHA-256 of the request) makes a retry harmless.
    """

    edits: tuple[Edit, ...]
    reason: str | None = None
    source: Source = "api"
    kind: str = "configuration"
    expected_revision: int | None = None
    guard: Guard | None = None
    idempotency_key: str | None = None
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a proposal: a dry run stays ``draft``, what was committed is ``completed``."""

    id: str | None
    state: State
    revision: int
    affected: list[dict[str, Any]]
    effective: list[dict[str, Any]]
    issues: list[dict[str, Any]] = field(default_factory=list)
    repeated: bool = False

    def to_json(self) -> dict[str, Any]:
        """The receipt as it is answered."""
        return {
            "id": self.id,
            "state": self.state,
            "revision": self.revision,
            "issues": self.issues,
            "affected": self.affected,
            "effective": self.effective,
        }

"""What the write routes take, and what they answer with, for the checks and for the documentation."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from coreconfig.server.changes.model import Source
from coreconfig.server.web.models import Answer, Body, IssueAnswer, Revision

MAX_REASON = 2_000

Reason = str | None


class ChangeBody(Body):
    """A change: its edits are checked by the model itself, so that every issue is listed at once."""

    edits: list[Any] = Field(min_length=1)
    reason: Reason = Field(default=None, max_length=MAX_REASON)
    source: Source = "api"
    expected_revision: Revision | None = None


class ValueBody(Body):
    """The value of one key."""

    value: Any
    reason: Reason = Field(default=None, max_length=MAX_REASON)
    expected_revision: Revision | None = None


class RevertBody(Body):
    """Why a revision is taken back."""

    reason: Reason = Field(default=None, max_length=MAX_REASON)


class PlaceAnswer(Answer):
    """A view: an environment, or a service in it."""

    environment: str
    service: str | None


class MoveAnswer(Answer):
    """A key that moves in these views; an absent side is left out."""

    key: str
    old: Any = None
    new: Any = None
    views: list[PlaceAnswer]


class ReceiptAnswer(Answer):
    """What became of a change."""

    id: str | None
    state: Literal["draft", "completed"]
    revision: int
    issues: list[IssueAnswer]
    affected: list[PlaceAnswer]
    effective: list[MoveAnswer]


class ChangeSummary(Answer):
    """A change in a list."""

    id: str
    state: str
    author: str
    reason: str | None
    source: str
    created_at: str
    updated_at: str
    revision: int | None


class ChangesAnswer(Answer):
    """Changes, newest first; `next` is the cursor of the page after this one."""

    changes: list[ChangeSummary]
    next: str | None


class ChangeAnswer(ChangeSummary):
    """A change as a whole."""

    edits: list[Any]
    affected: list[PlaceAnswer]
    effective: list[MoveAnswer]
    issues: list[IssueAnswer]
    subject: str

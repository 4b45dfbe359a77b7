"""The shapes of what the routes of this package answer; documentation only."""

from __future__ import annotations

from typing import Any, Literal

from coreconfig.server.web.models import Answer


class OriginAnswer(Answer):
    """The layer that gave a leaf: a service's layer, or an environment's base layer."""

    environment: str
    service: str | None


class ConfigurationAnswer(Answer):
    """A resolved configuration; `values` is nested, or by canonical key with ``flat=true``."""

    revision: int
    digest: str
    values: dict[str, Any]
    provenance: dict[str, OriginAnswer] | None = None


class KeyAnswer(Answer):
    """One resolved node. `etag` is what ``If-Match`` takes, without its quotation marks."""

    revision: int
    key: str
    value: Any
    etag: str


class ContributionAnswer(Answer):
    """What one layer says about a key (`at`: there, or above it), and who last edited that."""

    environment: str
    service: str | None
    operation: Literal["SET", "MERGE", "UNSET"]
    at: str
    value: Any = None
    revision: int | None
    author: str | None
    effective: bool


class ReferenceAnswer(Answer):
    """One link of a chain of ``${config:...}``: which key refers to which, and what lies there."""

    key: str
    target: str
    value: Any = None


class ExplanationAnswer(Answer):
    """Why a key has its value; `value` is left out where nothing is."""

    revision: int
    key: str
    value: Any = None
    contributions: list[ContributionAnswer]
    references: list[ReferenceAnswer]


class MoveAnswer(Answer):
    """A revision that moved a key; a side on which nothing was is left out."""

    revision: int
    epoch: int
    timestamp: str
    author: str
    reason: str | None
    change: str
    old: Any = None
    new: Any = None


class HistoryAnswer(Answer):
    """What moved a key, newest first; `next` is the `before` of the following page, null at the end."""

    key: str
    history: list[MoveAnswer]
    next: int | None


class SyncFrames(Answer):
    """``welcome``, and what the stream would have sent: a snapshot, a delta or a bookmark."""

    frames: list[dict[str, Any]]

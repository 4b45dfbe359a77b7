"""The frames of the stream: JSON texts, one ``type`` each; unknown fields and types are ignored.

A position (`At`) names a snapshot: epoch, revision, digest (32 hexadecimal digits) and overlay.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

SUBPROTOCOL = "coreconfig.v1"
SNAPSHOT_BY_HTTP_BYTES = 256 * 1024
"""A snapshot larger than this is fetched by ``POST /v1/sync`` instead of being pushed."""

Operation = Literal["SET", "DELETE"]
Outcome = Literal[
    "applied", "rejected", "restart_needed", "preflight_passed", "preflight_failed", "preflight_stale"
]


Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""A whole number that every language can count to."""


Name = Annotated[str, msgspec.Meta(max_length=128)]
"""A text that the other side keeps: a digest, an overlay, a nonce."""


class At(msgspec.Struct, frozen=True):
    """Where a snapshot stands: total order is (epoch, revision)."""

    epoch: Count
    revision: Count
    digest: Name
    overlay: Name | None = None


class LeafChange(msgspec.Struct, frozen=True):
    """One node that differs: ``SET`` puts `value` at `key`, ``DELETE`` takes the node away (no value)."""

    key: str
    operation: Operation
    value: Any = msgspec.UNSET


class ContractRef(msgspec.Struct, frozen=True):
    """A consumer contract by the hash of its schema."""

    key: str
    hash: str


# Client -> server


class Hello(msgspec.Struct, frozen=True, tag_field="type", tag="hello"):
    """Who I am, what I hold and what I refused."""

    service: str
    environment: str
    instance: str
    cohort: str | None = None
    labels: dict[str, str] = {}
    app_version: str = "1.0.0"
    sdk: str = ""
    have: At | None = None
    refused: list[Name] = []
    contracts: list[ContractRef] = []
    patterns: list[str] = []


class Ack(msgspec.Struct, frozen=True, tag_field="type", tag="ack"):
    """What became of the push with this nonce; a ``rejected`` one is a nack."""

    nonce: Name
    at: At
    outcome: Outcome
    reason: str | None = None
    issues: list[dict[str, Any]] = []


class Health(msgspec.Struct, frozen=True, tag_field="type", tag="health"):
    """How the instance says it is."""

    status: Literal["healthy", "degraded", "unhealthy"]
    checks: dict[str, Any] = {}


class Subscribe(msgspec.Struct, frozen=True, tag_field="type", tag="subscribe"):
    """Which patterns are watched: information only, it never filters what is sent."""

    patterns: list[str]


class Usage(msgspec.Struct, frozen=True, tag_field="type", tag="usage"):
    """Keys that were read, and keys that were asked for and missing."""

    read: list[str] = []
    missing: list[str] = []


class Sync(msgspec.Struct, frozen=True, tag_field="type", tag="sync"):
    """Catch up to `revision` (or to the head) and answer with a push or a bookmark."""

    revision: int | None = None


class Ping(msgspec.Struct, frozen=True, tag_field="type", tag="ping"):
    """Are you there?"""


# Server -> client


class Welcome(msgspec.Struct, frozen=True, tag_field="type", tag="welcome"):
    """The session is open."""

    session: str
    epoch: int
    revision: int
    server: str
    features: list[str] = []
    installation: str = ""
    """Which log the revisions count in; a client that holds another one's snapshot takes a whole new one."""


class SnapshotPush(msgspec.Struct, frozen=True, tag_field="type", tag="snapshot"):
    """The whole view."""

    nonce: str
    at: At
    values: dict[str, Any]
    timestamp: str
    secrets: dict[str, int] = {}


class ChangedPush(msgspec.Struct, frozen=True, tag_field="type", tag="configuration_changed"):
    """The difference between two states of the view; needs exactly `from_` as its base."""

    nonce: str
    from_: At = msgspec.field(name="from")
    at: At = msgspec.field()
    changes: list[LeafChange] = msgspec.field()
    timestamp: str = ""
    secrets: dict[str, int] = {}
    metadata: dict[str, Any] = {}


class Bookmark(msgspec.Struct, frozen=True, tag_field="type", tag="revision"):
    """What you hold is right at this position too."""

    at: At


class Fetch(msgspec.Struct, frozen=True, tag_field="type", tag="fetch"):
    """The view is too large to push: get it with ``POST /v1/sync``."""

    at: At


class ServiceHealthChanged(msgspec.Struct, frozen=True, tag_field="type", tag="service_health_changed"):
    """How many instances of a service say that they are healthy has changed."""

    service: str
    from_: str = msgspec.field(name="from")
    to: str = msgspec.field()
    healthy: int = 0
    total: int = 0
    revision: int = 0
    timestamp: str = ""


class Resync(msgspec.Struct, frozen=True, tag_field="type", tag="resync"):
    """Say hello again: what you hold cannot be continued from."""

    revision: int


class Error(msgspec.Struct, frozen=True, tag_field="type", tag="error"):
    """The request cannot be served; ``retry`` says whether trying again may help."""

    code: str
    message: str
    retry: bool = False


class Bye(msgspec.Struct, frozen=True, tag_field="type", tag="bye"):
    """The server is leaving; come back after `retry_after` seconds."""

    retry_after: float = 0.0


class Pong(msgspec.Struct, frozen=True, tag_field="type", tag="pong"):
    """I am."""


ClientFrame = Hello | Ack | Health | Subscribe | Usage | Sync | Ping
ServerFrame = (
    Welcome
    | SnapshotPush
    | ChangedPush
    | Bookmark
    | Fetch
    | ServiceHealthChanged
    | Resync
    | Error
    | Bye
    | Pong
)


class SyncRequest(msgspec.Struct, frozen=True):
    """``POST /v1/sync``: the exchange of the stream in one request."""

    hello: Hello
    acks: list[Ack] = []
    health: Health | None = None
    usage: Usage | None = None
    revision: int | None = None


class SyncAnswer(msgspec.Struct, frozen=True):
    """What the stream would have sent: ``welcome`` and one of snapshot, delta or bookmark."""

    frames: list[ServerFrame]

"""The client's side of the stream as a state machine: a frame comes in, effects come out. No I/O, no clock.

The link carries the effects out, in order, and reports what became of an offer with `settled`. The same
session serves the WebSocket and ``POST /v1/sync``: only the way there differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal, assert_never

import msgspec

from coreconfig.client.store import Push, Verdict
from coreconfig.errors import (
    CoreConfigError,
    Denied,
    Invalid,
    Issue,
    NotAuthenticated,
    NotFound,
    ProtocolError,
    Unavailable,
)
from coreconfig.wire import frames
from coreconfig.wire.frames import Ack, At, ClientFrame, Hello

MAX_REFUSED = 64
"""How many refused digests are remembered; the oldest is forgotten first."""
MAX_ISSUES = 50
MAX_TEXT = 2_000
"""Of a nack's issues and texts no more is sent: a frame that is too large would cost the connection."""
MAX_PATTERNS = 1_000
MAX_PATTERN_CHARACTERS = 64 * 1024
"""Of the watched patterns no more is told; they inform the server and decide nothing."""
MAX_RESYNCS = 3
"""How often in a row a session begins anew before it gives up the connection."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this instance is, as every hello says."""

    service: str
    environment: str
    instance: str
    cohort: str | None
    labels: dict[str, str]
    app_version: str
    sdk: str


@dataclass(frozen=True, slots=True)
class Holding:
    """What the store has when a frame arrives."""

    at: At | None
    installation: str = ""


@dataclass(frozen=True, slots=True)
class Send:
    """Send this frame."""

    frame: ClientFrame


@dataclass(frozen=True, slots=True)
class Offer:
    """Offer this to the store, and tell the session what became of it."""

    push: Push
    installation: str


@dataclass(frozen=True, slots=True)
class Confirm:
    """What the store holds is right here."""

    at: At
    installation: str


@dataclass(frozen=True, slots=True)
class FetchWhole:
    """Get the view by ``POST /v1/sync``: it is too large to be pushed."""


@dataclass(frozen=True, slots=True)
class Emit:
    """Tell the program's subscribers."""

    name: Literal["connected", "service_health_changed", "unknown_message", "error"]
    message: str
    details: dict[str, Any] = field(default_factory=dict)
    error: CoreConfigError | None = None
    is_answer: bool = False
    """The server says why it has nothing for us."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The server will not serve this client as it is."""

    error: CoreConfigError


@dataclass(frozen=True, slots=True)
class Leave:
    """End the connection and come back after `retry_after` seconds (None: whenever the client likes)."""

    reason: str
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Ponged:
    """The server has taken in everything up to our ping."""


Effect = Send | Offer | Confirm | FetchWhole | Emit | Refused | Leave | Ponged

Step = Literal["apply", "already", "ignore", "resync"]


def judge(held: At | None, push: Push, *, foreign: bool = False) -> Step:
    """What to do with a push while holding `held`; `foreign`: what is held counts in another log.

    Lower is ignored, the same is acknowledged again, equal with another digest is applied; a delta has to
    continue exactly what is held, and only a whole snapshot leads into another epoch.
    """
    at = push.at
    if held is not None and not foreign:
        if at == held:
            return "already"
        if (at.epoch, at.revision) < (held.epoch, held.revision):
            return "ignore"
    if isinstance(push, frames.ChangedPush):
        return "apply" if held is not None and push.from_ == held and at.epoch == held.epoch else "resync"
    return "apply"


class Session:
    """One exchange with a server; `opened` begins it anew."""

    def __init__(self, identity: Identity, holding: Callable[[], Holding]) -> None:
        self.identity = identity
        self._holding = holding
        self.patterns: tuple[str, ...] = ()
        self.welcome: frames.Welcome | None = None
        self.refused: dict[str, None] = {}
        self._resyncs = 0
        self._foreign = False

    def opened(self) -> list[Effect]:
        """A connection is there: introduce ourselves."""
        self.welcome = None
        self._resyncs = 0
        return [Send(self.hello())]

    def hello(self, *, whole: bool = False) -> Hello:
        """Who I am and what I hold; with `whole` nothing that could be continued from."""
        me = self.identity
        return Hello(
            service=me.service,
            environment=me.environment,
            instance=me.instance,
            cohort=me.cohort,
            labels=me.labels,
            app_version=me.app_version,
            sdk=me.sdk,
            have=None if whole or self._foreign else self._holding().at,
            refused=list(self.refused),
            patterns=few(self.patterns),
        )

    def received(self, text: str | bytes) -> list[Effect]:
        """What follows from a frame."""
        try:
            frame = _decoder.decode(text)
        except (msgspec.DecodeError, RecursionError, ValueError) as error:
            return self._undecodable(text, error)
        return self._taken(frame)

    def settled(self, push: Push, verdict: Verdict) -> list[Effect]:
        """What follows from what became of an offer."""
        held = self._holding().at
        if verdict.outcome == "unfit":
            return self._again(verdict.reason or "a push could not be used", whole=True)
        self._resyncs = 0
        if verdict.outcome == "rejected":
            self._refuse(push.at.digest)
            reason = None if verdict.reason is None else verdict.reason[:MAX_TEXT]
            issues = [_issue_json(issue) for issue in verdict.issues[:MAX_ISSUES]]
            return [Send(Ack(push.nonce, held or push.at, "rejected", reason, issues))]
        self._foreign = False
        self.refused.pop(push.at.digest, None)
        return [Send(Ack(push.nonce, held or push.at, "applied"))]

    def unanswered(self) -> list[Effect]:
        """What follows from an answer to a request that has nothing for us, and does not say why."""
        welcome, held = self.welcome, self._holding().at
        if welcome is None or self._foreign:
            return []
        if held is not None and (welcome.epoch, welcome.revision) < (held.epoch, held.revision):
            text = f"the server is at revision {welcome.revision} and what is held at {held.revision}"
            return self._told(frames.Error("behind", text, retry=True))
        return self._told(frames.Error("refused", "what should run here is what was refused here"))

    def forget_refusals(self) -> None:
        """What was refused may be offered again: the program begins anew, maybe with other checks."""
        self.refused.clear()

    def _taken(self, frame: frames.ServerFrame) -> list[Effect]:
        match frame:
            case frames.SnapshotPush() | frames.ChangedPush():
                effects = self._pushed(frame)
            case frames.Bookmark():
                effects = self._bookmarked(frame.at)
            case frames.Welcome():
                effects = self._welcomed(frame)
            case frames.Error():
                effects = self._told(frame)
            case frames.Resync():
                effects = self._again("the server asked to begin anew", whole=False)
            case frames.Bye():
                effects = [Leave("the server is leaving", frame.retry_after)]
            case frames.Fetch():
                effects = [FetchWhole()]
            case frames.Pong():
                effects = [Ponged()]
            case frames.ServiceHealthChanged():
                text = f"{frame.service} went from {frame.from_} to {frame.to}"
                effects = [Emit("service_health_changed", text, msgspec.to_builtins(frame))]
            case _:
                assert_never(frame)
        return effects

    def _welcomed(self, welcome: frames.Welcome) -> list[Effect]:
        self.welcome = welcome
        details = {"server": welcome.server, "session": welcome.session, "revision": welcome.revision}
        effects: list[Effect] = [Emit("connected", f"connected at revision {welcome.revision}", details)]
        mine = self._holding().installation
        if mine and welcome.installation and mine != welcome.installation and not self._foreign:
            self._foreign = True
            text = (
                "the server keeps another log than the one this snapshot came from; it is replaced as a whole"
            )
            effects += [Emit("error", text, error=ProtocolError(text, code="another_installation"))]
            effects += [Send(self.hello(whole=True))]
        return effects

    def _pushed(self, push: Push) -> list[Effect]:
        held = self._holding().at
        step = judge(held, push, foreign=self._foreign)
        if step == "apply":
            return [Offer(push, self._installation())]
        if step == "resync":
            return self._again(f"revision {push.at.revision} does not continue what is held", whole=False)
        ack: Effect = Send(Ack(push.nonce, held or push.at, "applied"))
        if step == "already":
            return [Confirm(push.at, self._installation()), ack]
        return [ack]

    def _bookmarked(self, at: At) -> list[Effect]:
        held = self._holding().at
        if held is None or (held.epoch, held.digest, held.overlay) != (at.epoch, at.digest, at.overlay):
            if (
                held is not None
                and not self._foreign
                and (at.epoch, at.revision) < (held.epoch, held.revision)
            ):
                return []
            return self._again(
                f"the server takes for held what is not, at revision {at.revision}", whole=True
            )
        if at.revision < held.revision and not self._foreign:
            return []
        self._resyncs = 0
        self._foreign = False
        return [Confirm(at, self._installation())]

    def _told(self, error: frames.Error) -> list[Effect]:
        if self._foreign and error.code == "behind":
            return []  # about the snapshot of another log, which a whole one is about to replace
        told = error_of(error)
        if self.welcome is None and not error.retry:
            return [Refused(told)]
        text = f"the server says: {error.message}"
        return [Emit("error", text, {"code": error.code}, told, is_answer=True)]

    def _again(self, why: str, *, whole: bool) -> list[Effect]:
        """Say hello again; give the connection up when that does not help."""
        self._resyncs += 1
        error = ProtocolError(why, code="resync")
        emit = Emit("error", why, {"code": "resync"}, error)
        if self._resyncs > MAX_RESYNCS:
            return [emit, Leave("beginning anew does not help")]
        return [emit, Send(self.hello(whole=whole))]

    def _undecodable(self, text: str | bytes, error: Exception) -> list[Effect]:
        kind, details = _unknown(text)
        if kind is not None:
            return [Emit("unknown_message", f"the server sent a frame of the unknown type {kind!r}", details)]
        return self._again(f"the server sent a malformed frame: {error}", whole=False)

    def _installation(self) -> str:
        return self.welcome.installation if self.welcome else ""

    def _refuse(self, digest: str) -> None:
        self.refused.pop(digest, None)
        self.refused[digest] = None
        while len(self.refused) > MAX_REFUSED:
            del self.refused[next(iter(self.refused))]


def few(patterns: Iterable[str]) -> list[str]:
    """As many of these patterns as are told to a server."""
    told, room = [], MAX_PATTERN_CHARACTERS
    for pattern in islice(patterns, MAX_PATTERNS):
        room -= len(pattern)
        if room < 0:
            break
        told.append(pattern)
    return told


def _issue_json(issue: Issue) -> dict[str, Any]:
    return {
        "code": issue.code[:MAX_TEXT],
        "severity": issue.severity,
        "key": issue.key and issue.key[:MAX_TEXT],
        "message": issue.message[:MAX_TEXT],
    }


def error_of(frame: frames.Error) -> CoreConfigError:
    """The error that an error frame stands for."""
    code = frame.code
    kind: type[CoreConfigError] = ProtocolError
    if frame.retry:
        kind = Unavailable
    elif code.startswith("unknown_") or code == "not_found":
        kind = NotFound
    elif code == "not_authenticated" or code.startswith("token_"):
        kind = NotAuthenticated
    elif code == "denied":
        kind = Denied
    elif code.startswith("bad_"):
        kind = Invalid
    return kind(frame.message, code=code)


class _Typed(msgspec.Struct):
    type: str


_decoder = msgspec.json.Decoder(frames.ServerFrame)
_typed = msgspec.json.Decoder(_Typed)
_KNOWN = frozenset(
    [
        "welcome",
        "snapshot",
        "configuration_changed",
        "revision",
        "fetch",
        "service_health_changed",
        "resync",
        "error",
        "bye",
        "pong",
    ]
)


def _unknown(text: str | bytes) -> tuple[str | None, dict[str, Any]]:
    """The type and the members of a frame of a type that is not known here; None for anything else."""
    try:
        kind = _typed.decode(text).type
        return (None, {}) if kind in _KNOWN else (kind, msgspec.json.decode(text))
    except (msgspec.DecodeError, RecursionError, ValueError):
        return None, {}

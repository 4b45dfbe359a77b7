"""The server's side of one session as plain state: what the client holds, what is on its way, what is next.

No I/O and no clock. The thin loop in `hub` asks `step` what to send, says with `pushed` or `bookmarked` that
it did, and hands every ack to `settle`; ``POST /v1/sync`` drives the same state through one request.

One push is in flight at a time and its ack opens the next, which then leads to the newest state; so a slow
client skips states in between and costs one buffer.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from coreconfig.wire.frames import Ack, At, Hello

MAX_REFUSED = 64
"""How many refused digests are remembered for one instance; the oldest is forgotten first."""

Step = Literal["wait", "nothing", "ahead", "refused", "bookmark", "delta", "snapshot"]
"""What a session needs now:

- ``wait``: a push is in flight, its ack decides
- ``nothing``: the client knows already that it is right
- ``ahead``: it holds something newer than this server knows, and keeps it
- ``refused``: what it should run is what it refused
- ``bookmark``: it holds the right thing and does not know yet at which revision
- ``delta`` / ``snapshot``: it holds something else, from which there is or is no way on
"""


@dataclass(frozen=True, slots=True)
class Push:
    """What was offered: `accepts` tells whether an ack's nonce belongs to it."""

    at: At
    accepts: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a push."""

    at: At
    outcome: Literal["applied", "rejected", "restart_needed"]
    reason: str | None
    issues: list[dict[str, Any]]


def order(at: At) -> tuple[int, int]:
    """(epoch, revision): the order of all states of an installation."""
    return (at.epoch, at.revision)


def is_same(a: At, b: At) -> bool:
    """Whether two positions name the same content in the same epoch."""
    return a.digest == b.digest and a.epoch == b.epoch and a.overlay == b.overlay


def choose(held: At | None, head: At, refused: Container[str], known: Container[str]) -> Step:
    """What a client that holds `held` needs to get to `head`; `known` are digests a delta can start from.

    A new epoch always comes as a whole snapshot, even if its content is the same.
    """
    if held is not None and order(held) > order(head):
        return "ahead"
    if held is not None and is_same(held, head):
        return "bookmark"
    if head.digest in refused:
        return "refused"
    if held is not None and held.epoch == head.epoch and held.digest in known:
        return "delta"
    return "snapshot"


class Session:
    """What one client holds and what it has been offered."""

    __slots__ = ("_continues", "_explained", "asked", "held", "in_flight", "refused")

    def __init__(self, hello: Hello) -> None:
        self.held: At | None = hello.have
        self.in_flight: Push | None = None
        self.refused: dict[str, None] = {}
        self.asked = True
        """Whether the client waits for an answer, so that a bookmark cannot be put off."""
        self._continues = True
        self._explained = False
        self._refuse(hello.refused)

    def hello_again(self, hello: Hello) -> None:
        """The client could not go on from what it held: only the whole snapshot helps, or a bookmark."""
        self.held = hello.have
        self.in_flight = None
        self.asked = True
        self._continues = False
        self._refuse(hello.refused)

    def step(self, head: At, known: Container[str]) -> Step:
        """What to send now so that the client gets to `head`."""
        if self.in_flight is not None:
            return "wait"
        held = self.held
        step = choose(held, head, self.refused, known if self._continues else ())
        told = held is not None and held.revision == head.revision
        return "nothing" if step == "bookmark" and told and not (self.asked or self._explained) else step

    def pushed(self, push: Push) -> None:
        """A push was given to the client; nothing else is until it is settled."""
        self.in_flight = push
        self.asked = self._explained = False

    def bookmarked(self, at: At) -> None:
        """The client was told that what it holds is right at this position too."""
        self.held = at
        self.asked = self._explained = False

    def answered(self) -> None:
        """The client was told why it gets nothing; once it is right after all, it has to hear that too."""
        self.asked = False
        self._explained = True

    def settle(self, ack: Ack) -> Settled | None:
        """What the ack says about the push in flight; None when it speaks of something else: ignored."""
        push = self.in_flight
        if push is None or not push.accepts(ack.nonce):
            return None
        if ack.outcome in ("applied", "restart_needed"):
            return self._applied(push, ack)
        if ack.outcome == "rejected":
            return self._rejected(push, ack)
        return None

    def _applied(self, push: Push, ack: Ack) -> Settled:
        self.in_flight = None
        # A client whose digest came out differently has no state that a delta could start from.
        self.held = ack.at if is_same(ack.at, push.at) or order(ack.at) > order(push.at) else None
        self._continues = self.held is not None
        return Settled(ack.at, _applied_outcome(ack), ack.reason, ack.issues)

    def _rejected(self, push: Push, ack: Ack) -> Settled:
        self.in_flight = None
        self._refuse([push.at.digest])
        return Settled(push.at, "rejected", ack.reason, ack.issues)

    def _refuse(self, digests: Iterable[str]) -> None:
        for digest in digests:
            self.refused.pop(digest, None)
            self.refused[digest] = None
        while len(self.refused) > MAX_REFUSED:
            del self.refused[next(iter(self.refused))]


def _applied_outcome(ack: Ack) -> Literal["applied", "restart_needed"]:
    return "restart_needed" if ack.outcome == "restart_needed" else "applied"

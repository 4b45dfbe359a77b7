"""The client's side of the stream, frame by frame, without a socket."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.unit.client.states import delta_push, snapshot_push

from coreconfig.client.session import (
    MAX_RESYNCS,
    Confirm,
    Emit,
    FetchWhole,
    Holding,
    Identity,
    Leave,
    Offer,
    Ponged,
    Refused,
    Send,
    Session,
    error_of,
    judge,
)
from coreconfig.client.store import Verdict
from coreconfig.errors import Denied, Issue, NotAuthenticated, NotFound, ProtocolError, Unavailable
from coreconfig.wire import frames
from coreconfig.wire.frames import Ack, At, Hello

ME = Identity("shop", "dev", "i-1", "host", {"region": "eu"}, "2.0", "sdk")
ONE, TWO = {"a": 1}, {"a": 2}
HELD = snapshot_push(ONE, 5).at


class Held:
    """What the store would hold."""

    def __init__(self, at: At | None = HELD, installation: str = "") -> None:
        self.at = at
        self.installation = installation

    def __call__(self) -> Holding:
        return Holding(self.at, self.installation)


def session_holding(at: At | None = HELD, installation: str = "") -> Session:
    """A session after its hello."""
    session = Session(ME, Held(at, installation))
    session.opened()
    return session


def receive(session: Session, frame: Any) -> list[Any]:
    """What follows from a frame."""
    return session.received(frame if isinstance(frame, str) else msgspec.json.encode(frame))


def welcome(installation: str = "") -> frames.Welcome:
    return frames.Welcome("s", 1, 5, "server", [], installation)


def hello_in(effects: list[Any]) -> Hello:
    """The hello among the effects."""
    return next(e.frame for e in effects if isinstance(e, Send) and isinstance(e.frame, Hello))


def test_a_hello_says_who_i_am_and_what_i_hold_and_refused() -> None:
    """Everything that the server needs to choose between delta, snapshot and bookmark."""
    session = Session(ME, Held())
    session.patterns = ("risk.*",)
    (effect,) = session.opened()
    hello = hello_in([effect])
    assert (hello.service, hello.environment, hello.instance, hello.cohort) == ("shop", "dev", "i-1", "host")
    assert (hello.labels, hello.app_version, hello.sdk) == ({"region": "eu"}, "2.0", "sdk")
    assert (hello.have, hello.refused, hello.patterns) == (HELD, [], ["risk.*"])


@pytest.mark.parametrize(
    ("held", "push", "step"),
    [
        (None, snapshot_push(ONE, 1), "apply"),
        (HELD, snapshot_push(TWO, 6), "apply"),
        (HELD, snapshot_push(TWO, 5), "apply"),
        (HELD, snapshot_push(ONE, 5), "already"),
        (HELD, snapshot_push(TWO, 4), "ignore"),
        (HELD, snapshot_push(TWO, 1, epoch=2), "apply"),
        (snapshot_push(ONE, 1, epoch=2).at, snapshot_push(TWO, 9), "ignore"),
        (HELD, delta_push(ONE, 5, TWO, 6, [("a", "SET", 2)]), "apply"),
        (HELD, delta_push(ONE, 4, TWO, 6, [("a", "SET", 2)]), "resync"),
        (HELD, delta_push(TWO, 5, ONE, 6, [("a", "SET", 1)]), "resync"),
        (HELD, delta_push(ONE, 3, TWO, 4, [("a", "SET", 2)]), "ignore"),
        (None, delta_push(ONE, 5, TWO, 6, [("a", "SET", 2)]), "resync"),
    ],
)
def test_a_push_is_judged_by_epoch_revision_and_digest_alone(held: Any, push: Any, step: str) -> None:
    """Never back; equal with another content forward; a delta only from exactly what is held."""
    assert judge(held, push) == step


def test_a_delta_never_leads_into_another_epoch() -> None:
    """Only a whole snapshot from the server does."""
    delta = delta_push(ONE, 5, TWO, 6, [("a", "SET", 2)])
    delta = msgspec.structs.replace(delta, at=msgspec.structs.replace(delta.at, epoch=2))
    assert judge(HELD, delta) == "resync"


def test_an_applied_push_is_acknowledged_with_its_nonce_and_what_is_held_now() -> None:
    """An ack means: reads return it now."""
    held = Held()
    session = Session(ME, held)
    push = snapshot_push(TWO, 6, nonce="n6")
    (offer,) = receive(session, push)
    assert offer == Offer(push, "")
    held.at = push.at
    assert session.settled(push, Verdict("applied")) == [Send(Ack("n6", push.at, "applied"))]


def test_a_nack_says_why_and_what_still_runs_and_the_digest_is_told_in_the_next_hello() -> None:
    """A refused digest is not offered again."""
    session = session_holding()
    push = snapshot_push(TWO, 6, nonce="n6")
    issue = Issue("bad", "too big", "HIGH", "a")
    (send,) = session.settled(push, Verdict("rejected", "no", (issue,)))
    assert isinstance(send, Send)
    ack = send.frame
    assert isinstance(ack, Ack)
    assert (ack.nonce, ack.outcome, ack.reason, ack.at) == ("n6", "rejected", "no", HELD)
    assert ack.issues == [{"code": "bad", "severity": "HIGH", "key": "a", "message": "too big"}]
    assert session.hello().refused == [push.at.digest]


def test_refused_digests_are_remembered_up_to_a_bound_and_forgotten_once_applied() -> None:
    """The list cannot grow for ever."""
    session = session_holding()
    for revision in range(100):
        session.settled(snapshot_push({"a": revision + 10}, 6), Verdict("rejected"))
    assert len(session.refused) == 64
    last = snapshot_push({"a": 109}, 6)
    session.settled(last, Verdict("applied"))
    assert last.at.digest not in session.refused


def test_a_lower_push_is_ignored_and_acknowledged_with_the_newer_state_that_is_held() -> None:
    """The server's slot opens again and it learns that we are ahead."""
    assert receive(session_holding(), snapshot_push(TWO, 4, nonce="old")) == [
        Send(Ack("old", HELD, "applied"))
    ]


def test_a_push_of_what_is_held_is_acknowledged_without_applying_it_again() -> None:
    """Watches do not fire for a repetition."""
    effects = receive(session_holding(), snapshot_push(ONE, 5, nonce="n5"))
    assert effects == [Confirm(HELD, ""), Send(Ack("n5", HELD, "applied"))]


def test_a_delta_from_elsewhere_is_answered_by_a_resync_and_never_by_silence() -> None:
    """The hello says what is really held, and an error event is told."""
    effects = receive(session_holding(), delta_push(ONE, 4, TWO, 6, [("a", "SET", 2)]))
    assert isinstance(effects[0], Emit)
    assert effects[0].name == "error"
    assert hello_in(effects).have == HELD


def test_a_digest_that_does_not_come_out_asks_for_the_whole() -> None:
    """What is held may be what is wrong."""
    effects = session_holding().settled(snapshot_push(TWO, 6), Verdict("unfit", "digest"))
    assert hello_in(effects).have is None


def test_beginning_anew_without_success_gives_the_connection_up() -> None:
    """A server that never sends what fits is left for a while instead of being asked in a loop."""
    session = session_holding()
    for _ in range(MAX_RESYNCS):
        effects = session.settled(snapshot_push(TWO, 6), Verdict("unfit", "digest"))
        assert not any(isinstance(effect, Leave) for effect in effects)
    effects = session.settled(snapshot_push(TWO, 6), Verdict("unfit", "digest"))
    assert any(isinstance(effect, Leave) for effect in effects)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "1", '"x"', '{"type": 1}', '{"type": "snapshot"}', '{"a": NaN}', "[" * 100_000, "\ud800"],
)
def test_a_malformed_frame_is_told_and_answered_by_a_resync(text: str) -> None:
    """Nothing that a peer sends ends the client."""
    effects = receive(session_holding(), text)
    assert effects[0].name == "error"
    assert hello_in(effects).have == HELD


def test_an_unknown_type_is_an_event_and_otherwise_ignored() -> None:
    """Newer servers may say more than this client knows."""
    (effect,) = receive(session_holding(), '{"type": "tea_time", "cups": 2}')
    assert (effect.name, effect.details) == ("unknown_message", {"type": "tea_time", "cups": 2})


def test_unknown_fields_are_ignored() -> None:
    """A known frame with more in it is that frame."""
    at = msgspec.json.encode(HELD).decode()
    assert receive(session_holding(), f'{{"type": "revision", "at": {at}, "tea": 1}}') == [Confirm(HELD, "")]


def test_a_bookmark_moves_the_position_of_what_is_held() -> None:
    """The same content is right at another revision too."""
    later = msgspec.structs.replace(HELD, revision=9)
    assert receive(session_holding(), frames.Bookmark(later)) == [Confirm(later, "")]


def test_a_bookmark_for_other_content_or_another_epoch_is_a_resync() -> None:
    """A new epoch comes with a whole snapshot only."""
    other = snapshot_push(TWO, 9).at
    epoch = msgspec.structs.replace(HELD, epoch=2)
    for at in (other, epoch):
        assert hello_in(receive(session_holding(), frames.Bookmark(at))).have is None


def test_a_bookmark_at_a_lower_revision_changes_nothing() -> None:
    """A lagging replica cannot take the client back."""
    for values in (ONE, TWO):
        assert receive(session_holding(), frames.Bookmark(snapshot_push(values, 4).at)) == []


def test_an_error_before_the_welcome_is_a_refusal_and_later_it_is_news() -> None:
    """A refusal ends the start of a client; afterwards the last known good is kept."""
    refusal = frames.Error("unknown_service", "no such service")
    (effect,) = receive(session_holding(), refusal)
    assert isinstance(effect, Refused)
    assert isinstance(effect.error, NotFound)
    session = session_holding()
    receive(session, welcome())
    (effect,) = receive(session, refusal)
    assert isinstance(effect, Emit)


@pytest.mark.parametrize(
    ("code", "retry", "kind"),
    [
        ("unknown_environment", False, NotFound),
        ("not_authenticated", False, NotAuthenticated),
        ("token_revoked", False, NotAuthenticated),
        ("denied", False, Denied),
        ("behind", True, Unavailable),
        ("whatever", False, ProtocolError),
    ],
)
def test_an_error_frame_becomes_the_error_of_its_code(code: str, retry: bool, kind: type) -> None:
    """Programs catch classes, not texts."""
    error = error_of(frames.Error(code, "text", retry))
    assert type(error) is kind
    assert error.code == code


def test_another_installation_replaces_the_snapshot_even_by_a_lower_revision() -> None:
    """Revisions of two logs cannot be compared; the server that answers decides."""
    session = session_holding(HELD, "old")
    effects = receive(session, welcome("new"))
    assert hello_in(effects).have is None
    (offer,) = receive(session, snapshot_push(TWO, 1))
    assert isinstance(offer, Offer)
    session.settled(snapshot_push(TWO, 1), Verdict("applied"))
    assert receive(session, snapshot_push(TWO, 0))[0] == Send(Ack("n", HELD, "applied"))


@pytest.mark.parametrize("mine", ["", "same"])
def test_the_same_or_an_unknown_installation_changes_nothing(mine: str) -> None:
    """An older server does not say which one it is."""
    effects = receive(session_holding(HELD, mine), welcome("same"))
    assert [effect.name for effect in effects] == ["connected"]


def test_short_frames_have_short_consequences() -> None:
    """Fetch, pong, bye, resync and the health of a service."""
    session = session_holding()
    assert receive(session, frames.Fetch(HELD)) == [FetchWhole()]
    assert receive(session, frames.Pong()) == [Ponged()]
    assert receive(session, frames.Bye(3.0)) == [Leave("the server is leaving", 3.0)]
    assert hello_in(receive(session, frames.Resync(7))).have == HELD
    (told,) = receive(session, frames.ServiceHealthChanged("shop", "healthy", "degraded", 1, 2))
    assert (told.name, told.details["to"]) == ("service_health_changed", "degraded")

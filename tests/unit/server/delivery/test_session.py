"""The rules of one session, and a whole client and server exchanging frames in any order that TCP allows."""

from __future__ import annotations

from functools import partial
from operator import eq

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from coreconfig.server.delivery.session import MAX_REFUSED, Push, Session, choose, order
from coreconfig.wire.frames import Ack, At, Hello


def at(revision: int, content: str, epoch: int = 1) -> At:
    return At(epoch, revision, content)


def hello(have: At | None = None, refused: tuple[str, ...] = ()) -> Hello:
    return Hello("engine", "demo", "one", have=have, refused=list(refused))


def push(session: Session, to: At, nonce: str = "n") -> None:
    session.pushed(Push(to, partial(eq, nonce)))


def test_who_holds_nothing_gets_the_snapshot() -> None:
    """Without anything to start from, the whole view is sent."""
    assert choose(None, at(3, "a"), (), {"a"}) == "snapshot"


def test_who_holds_the_same_content_gets_a_bookmark() -> None:
    """An older revision with the same digest is right at the newer one too."""
    assert choose(at(1, "a"), at(3, "a"), (), ()) == "bookmark"


def test_who_holds_a_remembered_state_gets_a_delta() -> None:
    """A state of the history is a base for a delta."""
    assert choose(at(1, "a"), at(3, "c"), (), {"a", "c"}) == "delta"


def test_who_holds_a_forgotten_state_gets_the_snapshot() -> None:
    """There is no delta from a state that the history has dropped."""
    assert choose(at(1, "a"), at(3, "c"), (), {"b", "c"}) == "snapshot"


def test_a_new_epoch_comes_as_a_whole_snapshot() -> None:
    """Even equal content of another epoch is sent whole, so that the client takes the epoch with it."""
    assert choose(at(9, "a", epoch=1), at(3, "a", epoch=2), (), {"a"}) == "snapshot"


def test_who_is_ahead_of_the_server_keeps_what_it_holds() -> None:
    """A server that lags never takes a client back."""
    assert choose(at(5, "b"), at(3, "a"), (), {"a", "b"}) == "ahead"
    assert choose(at(1, "b", epoch=2), at(9, "a", epoch=1), (), {"a", "b"}) == "ahead"


def test_who_was_told_to_be_ahead_is_told_once_that_is_over() -> None:
    """It has been without a word since; the server that has caught up confirms what it holds."""
    session = Session(hello(at(5, "b")))
    assert session.step(at(3, "a"), {"a"}) == "ahead"
    session.answered()
    assert session.step(at(5, "b"), {"a", "b"}) == "bookmark"
    session.bookmarked(at(5, "b"))
    assert session.step(at(5, "b"), {"a", "b"}) == "nothing"


def test_a_refused_digest_is_not_offered_again() -> None:
    """What the client refused, now or in a session before, is not sent until the view moves on."""
    session = Session(hello(at(1, "a"), refused=("b",)))
    assert session.step(at(2, "b"), {"a", "b"}) == "refused"
    assert session.step(at(3, "c"), {"a", "b", "c"}) == "delta"


def test_a_nack_leaves_the_client_where_it_was() -> None:
    """After a nack the next delta starts from the state before the refused one."""
    session = Session(hello(at(1, "a")))
    push(session, at(2, "b"))
    settled = session.settle(Ack("n", at(1, "a"), "rejected", "too small"))
    assert settled is not None
    assert (settled.at, settled.outcome, settled.reason) == (at(2, "b"), "rejected", "too small")
    assert session.held == at(1, "a")
    assert session.step(at(2, "b"), {"a", "b"}) == "refused"


def test_one_push_is_in_flight() -> None:
    """Nothing is offered until the push in flight is answered, however often the view moves."""
    session = Session(hello())
    assert session.step(at(1, "a"), {"a"}) == "snapshot"
    push(session, at(1, "a"))
    assert session.step(at(2, "b"), {"a", "b"}) == "wait"
    session.settle(Ack("n", at(1, "a"), "applied"))
    assert session.step(at(5, "e"), {"a", "b", "e"}) == "delta"


@pytest.mark.parametrize("nonce", ["", "other"])
def test_an_ack_with_another_nonce_is_ignored(nonce: str) -> None:
    """Only the nonce of the push in flight settles it."""
    session = Session(hello())
    push(session, at(1, "a"))
    assert session.settle(Ack(nonce, at(1, "a"), "applied")) is None
    assert session.step(at(1, "a"), {"a"}) == "wait"


def test_an_ack_counts_once() -> None:
    """The second ack of the same push says nothing."""
    session = Session(hello())
    push(session, at(1, "a"))
    assert session.settle(Ack("n", at(1, "a"), "applied")) is not None
    assert session.settle(Ack("n", at(1, "a"), "applied")) is None


def test_an_answer_to_a_preflight_settles_no_push() -> None:
    """Outcomes of preflights have a slot of their own."""
    session = Session(hello())
    push(session, at(1, "a"))
    assert session.settle(Ack("n", at(1, "a"), "preflight_passed")) is None
    assert session.step(at(1, "a"), {"a"}) == "wait"


def test_a_bookmark_nobody_waits_for_can_be_put_off_and_is_sent_once() -> None:
    """hello and sync are answered even if nothing is new; afterwards a revision is told once."""
    session = Session(hello(at(3, "a")))
    assert session.step(at(3, "a"), {"a"}) == "bookmark"
    assert session.asked
    session.bookmarked(at(3, "a"))
    assert session.step(at(3, "a"), {"a"}) == "nothing"
    assert session.step(at(4, "a"), {"a"}) == "bookmark"
    assert not session.asked


def test_a_second_hello_is_answered_with_everything() -> None:
    """Who says hello again could not go on from what the history has."""
    session = Session(hello(at(1, "a")))
    push(session, at(2, "b"))
    session.hello_again(hello(at(1, "a")))
    assert session.step(at(2, "b"), {"a", "b"}) == "snapshot"
    push(session, at(2, "b"))
    session.settle(Ack("n", at(2, "b"), "applied"))
    assert session.step(at(3, "c"), {"b", "c"}) == "delta"


def test_an_ack_of_other_content_is_followed_by_everything() -> None:
    """A client whose digest came out differently holds nothing that a delta could start from."""
    session = Session(hello(at(1, "a")))
    push(session, at(2, "b"))
    session.settle(Ack("n", at(2, "x"), "applied"))
    assert session.step(at(3, "c"), {"a", "b", "c", "x"}) == "snapshot"


def test_refused_digests_do_not_grow_without_end() -> None:
    """The oldest refusals are forgotten first."""
    session = Session(hello(refused=tuple(str(n) for n in range(MAX_REFUSED + 10))))
    assert len(session.refused) == MAX_REFUSED
    assert "9" not in session.refused
    assert str(MAX_REFUSED + 9) in session.refused


class Exchange(RuleBasedStateMachine):
    """A client model and a `Session`, with a view that moves, frames under way, and lost connections."""

    def __init__(self) -> None:
        super().__init__()
        self.epoch, self.revision, self.content = 1, 0, "0"
        self.history = ["0"]
        self.client: At | None = None
        self.reached: tuple[int, int] = (0, 0)
        self.refusing: set[str] = set()
        self.down: list[tuple[str, At | None, At]] = []
        self.up: list[Ack] = []
        self.session: Session | None = None

    @property
    def head(self) -> At:
        return At(self.epoch, self.revision, self.content)

    @rule(move=st.booleans(), content=st.sampled_from("0123456789"))
    def write(self, move: bool, content: str) -> None:
        self.revision += 1
        if move:
            self.content = content
            self.history = [*(c for c in self.history if c != content), content][-3:]
        self.serve()

    @rule()
    def begin_epoch(self) -> None:
        self.epoch += 1
        self.history = [self.content]
        self.serve()

    @precondition(lambda self: self.session is None)
    @rule()
    def connect(self) -> None:
        self.session = Session(hello(self.client, tuple(self.refusing)))
        self.serve(tick=True)

    @precondition(lambda self: self.session is not None)
    @rule()
    def lose_connection(self) -> None:
        self.session = None
        self.down.clear()
        self.up.clear()

    @precondition(lambda self: self.down)
    @rule(refuse=st.booleans())
    def receive(self, refuse: bool) -> None:
        kind, base, to = self.down.pop(0)
        if kind == "bookmark":
            assert self.client is not None
            assert self.client.digest == to.digest
            self.become(to)
            return
        assert kind == "snapshot" or base == self.client, "a delta starts from exactly what the client holds"
        assert to.digest not in self.refusing, "what was refused is not offered again"
        if refuse:
            self.refusing.add(to.digest)
            self.up.append(Ack(nonce(to), self.client or to, "rejected", "no"))
        else:
            self.become(to)
            self.up.append(Ack(nonce(to), to, "applied"))

    @precondition(lambda self: self.up)
    @rule()
    def deliver_ack(self) -> None:
        assert self.session is not None
        assert self.session.settle(self.up.pop(0)) is not None
        self.serve()

    @precondition(lambda self: self.session is not None)
    @rule()
    def tick(self) -> None:
        self.serve(tick=True)

    def become(self, to: At) -> None:
        assert order(to) >= self.reached, "a client never goes back"
        self.client, self.reached = to, order(to)

    def serve(self, *, tick: bool = False) -> None:
        session = self.session
        if session is None:
            return
        step = session.step(self.head, set(self.history))
        if step == "bookmark" and (tick or session.asked):
            session.bookmarked(self.head)
            self.down.append(("bookmark", None, self.head))
        elif step in ("delta", "snapshot"):
            self.down.append((step, session.held, self.head))
            session.pushed(Push(self.head, partial(eq, nonce(self.head))))

    @invariant()
    def at_most_one_push_is_under_way(self) -> None:
        assert len([kind for kind, _, _ in self.down if kind != "bookmark"]) + len(self.up) <= 1

    def teardown(self) -> None:
        """When faults stop, the client ends with what it should run, unless it refused that."""
        if self.session is None:
            self.connect()
        for _ in range(50):
            self.serve(tick=True)
            if self.down:
                self.receive(refuse=False)
            elif self.up:
                self.deliver_ack()
        if self.content not in self.refusing:
            assert self.client == self.head


def nonce(to: At) -> str:
    return f"{to.epoch}-{to.revision}"


TestExchange = Exchange.TestCase
TestExchange.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)

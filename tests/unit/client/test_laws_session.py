"""Laws of the exchange: whatever a peer sends, in whatever order, what is read stays right."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.fake_server import at_of
from tests.unit.client.states import new_store

from coreconfig.client.session import (
    MAX_RESYNCS,
    Confirm,
    Effect,
    Holding,
    Identity,
    Leave,
    Offer,
    Refused,
    Send,
    Session,
)
from coreconfig.client.state import State
from coreconfig.model.snapshots import diff, digest_of, digest_text
from coreconfig.model.trees import is_object, shared
from coreconfig.wire import frames
from coreconfig.wire.frames import At

ME = Identity("shop", "dev", "one", None, {}, "1.0.0", "test")

scalars = st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["", "x", "ü"])
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=6,
)
trees = st.dictionaries(st.sampled_from("abcd"), values, max_size=3)
revisions = st.integers(0, 6)
epochs = st.integers(1, 2)


@st.composite
def positions(draw: st.DrawFn, tree: Any = None) -> At:
    """Where a tree stands, or where none does."""
    if tree is None:
        tree = draw(trees)
    digest = digest_text(digest_of(tree)) if draw(st.integers(0, 9)) else draw(st.text("0f", max_size=32))
    return At(draw(epochs), draw(revisions), digest)


@st.composite
def snapshots(draw: st.DrawFn) -> frames.SnapshotPush:
    tree = draw(trees)
    return frames.SnapshotPush(draw(st.text("n", max_size=3)), draw(positions(tree)), tree, "")


@st.composite
def deltas(draw: st.DrawFn) -> frames.ChangedPush:
    """Most of them lead from one tree to another, some to nowhere."""
    before, after = draw(trees), draw(trees)
    changes = [
        frames.LeafChange(".".join(change.path) or "_", change.operation, *_value(change))
        for change in diff(shared(before), shared(after))
    ]
    changes = changes or [frames.LeafChange("a..b", "SET", 1), frames.LeafChange("a", "SET")]
    return frames.ChangedPush("d", draw(positions(before)), draw(positions(after)), changes)


def _value(change: Any) -> tuple[Any, ...]:
    return (change.value,) if change.operation == "SET" else ()


server_frames = st.one_of(
    snapshots(),
    snapshots(),
    deltas(),
    positions().map(frames.Bookmark),
    positions().map(frames.Fetch),
    st.builds(
        frames.Welcome,
        session=st.just("s"),
        epoch=epochs,
        revision=revisions,
        server=st.just("x"),
        installation=st.sampled_from(["", "one", "two"]),
    ),
    st.builds(frames.Resync, revisions),
    st.builds(frames.Error, st.sampled_from(["behind", "refused"]), st.just(""), st.just(True)),
    st.just(frames.Pong()),
)
texts = server_frames.map(msgspec.json.encode)


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """A frame of which bytes were changed or lost, or that was none."""
    text = bytearray(draw(texts))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(text) - 1))
        text[place] = draw(st.integers(0, 255))
    return bytes(text[: draw(st.integers(0, len(text)))]) if draw(st.booleans()) else bytes(text)


class Side:
    """A session and its store, carried out as the link does it."""

    def __init__(self) -> None:
        self.store = new_store()
        self.session = Session(ME, lambda: Holding(self.store.state.at, self.store.state.installation))
        self.seen: list[State] = [self.store.state]
        self.sent: list[Any] = []
        self.left = False
        self.carry_out(self.session.opened())

    def received(self, text: bytes) -> None:
        """Take one frame, unless the conversation has ended: then begin another one."""
        if self.left:
            self.left = False
            self.carry_out(self.session.opened())
        self.carry_out(self.session.received(text))

    def carry_out(self, effects: list[Effect]) -> None:
        pending = list(effects)
        for step, effect in enumerate(pending):
            assert step < 100, "a frame has endless consequences"
            match effect:
                case Send():
                    self.sent.append(effect.frame)
                case Offer():
                    verdict = self.store.offer(effect.push, installation=effect.installation)
                    pending.extend(self.session.settled(effect.push, verdict))
                case Confirm():
                    self.store.confirm(effect.at, effect.installation)
                case Leave() | Refused():
                    self.left = True
            if self.store.state is not self.seen[-1]:
                self.seen.append(self.store.state)


@given(st.lists(texts | mangled(), max_size=25))
def test_whatever_comes_what_is_read_is_what_its_digest_says_and_never_goes_back(sent: list[bytes]) -> None:
    """Only another installation counts anew."""
    side = Side()
    for text in sent:
        side.received(text)
    for state in side.seen[1:]:
        assert state.at is not None
        assert digest_text(digest_of(state.raw)) == state.at.digest
        assert is_object(state.tree)
    for before, after in zip(side.seen, side.seen[1:], strict=False):
        another = before.installation and after.installation and before.installation != after.installation
        assert another or before.order <= after.order


@given(st.lists(texts | mangled(), max_size=25))
def test_whatever_comes_every_ack_says_what_is_really_held(sent: list[bytes]) -> None:
    """The server decides by acks what to send next."""
    side = Side()
    for text in sent:
        before = len(side.sent)
        side.received(text)
        for frame in side.sent[before:]:
            if isinstance(frame, frames.Ack) and side.store.state.at is not None:
                assert frame.at in [state.at for state in side.seen]


@given(st.lists(st.sampled_from(["{", "[]", "null", '{"type": "revision"}']), min_size=20, max_size=20))
def test_a_conversation_that_makes_no_sense_is_ended_after_a_few_new_beginnings(sent: list[str]) -> None:
    """A client that cannot get on must not keep its server busy."""
    side = Side()
    for text in sent:
        side.carry_out(side.session.received(text))
        if side.left:
            break
    assert side.left
    assert sum(isinstance(frame, frames.Hello) for frame in side.sent) == 1 + MAX_RESYNCS


def test_the_positions_of_these_laws_are_real() -> None:
    """A tree and its position belong together, or nothing here would ever be applied."""
    side = Side()
    side.received(msgspec.json.encode(frames.SnapshotPush("n", at_of({"a": 1}, 1), {"a": 1}, "")))
    assert side.store.state.tree == {"a": 1}

"""What a step of a session is on the wire: prepared once for a position of a view, shared by its sessions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from operator import eq
from typing import Final, Literal

from starlette.types import Message

from coreconfig.server.delivery.encode import bookmark_bytes, delta_bytes, frame_bytes, snapshot_bytes
from coreconfig.server.delivery.keys import ViewKey, nonce_of, position_in
from coreconfig.server.delivery.session import Push, order
from coreconfig.server.delivery.socket import text_message
from coreconfig.server.delivery.states import LiveView
from coreconfig.wire.frames import SNAPSHOT_BY_HTTP_BYTES, At, Fetch

Kind = Literal["snapshot", "delta", "bookmark", "fetch"]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A frame ready to be sent, and the push that it opens (none for a bookmark)."""

    kind: Kind
    message: Message
    push: Push | None


_SNAPSHOT: Final = "snapshot"
_BOOKMARK: Final = "bookmark"
_SHORT_BYTES: Final = 4096
"""A delta up to this length is sent without a look at what the whole view would take."""


def bookmark(view: LiveView) -> Prepared:
    """What the client holds is right where the view stands."""
    at = view.position
    found: Prepared | None = view.frames.get(_BOOKMARK)
    if found is None:
        found = view.frames[_BOOKMARK] = Prepared("bookmark", text_message(bookmark_bytes(at)), None)
    return found


def snapshot(view: LiveView) -> Prepared:
    """The whole view, or where to fetch it when it is large."""
    at = view.position
    found: Prepared | None = view.frames.get(_SNAPSHOT)
    if found is None:
        found = view.frames[_SNAPSHOT] = _snapshot(view, at)
    return found


def delta(view: LiveView, held: At) -> Prepared:
    """The way from what a client holds to where the view stands, unless the whole view is shorter."""
    at = view.position
    found: Prepared | None = view.frames.get(held)
    if found is None:
        found = view.frames[held] = _delta(view, held, at)
    return found


def whole_text(view: LiveView) -> bytes:
    """The snapshot frame whatever its size."""
    return snapshot_bytes(view.key, view.position, view.state.values, view.state.timestamp)


def delta_text(view: LiveView, held: At) -> bytes:
    """The delta frame whatever its size."""
    state = view.state
    changes = state.changes_from(view.history[held.digest])
    return delta_bytes(view.key, held, view.position, changes, state.timestamp, state.metadata)


def shortest_text(view: LiveView, held: At) -> bytes:
    """The delta or the snapshot, whichever is shorter."""
    text = delta_text(view, held)
    return whole_text(view) if _is_longer(text, view) else text


def _is_longer(delta: bytes, view: LiveView) -> bool:
    """Whether a delta is longer than the whole view can be, so that nothing has to be encoded to know."""
    return len(delta) > _SHORT_BYTES and len(delta) > view.state.view.heaviest


def _snapshot(view: LiveView, at: At) -> Prepared:
    if view.state.view.heaviest > SNAPSHOT_BY_HTTP_BYTES:
        return _fetch(view.key, at)
    return Prepared("snapshot", text_message(whole_text(view)), _push(view.key, at))


def _delta(view: LiveView, held: At, at: At) -> Prepared:
    text = delta_text(view, held)
    if len(text) > SNAPSHOT_BY_HTTP_BYTES or _is_longer(text, view):
        return snapshot(view)
    return Prepared("delta", text_message(text), _push(view.key, at))


def _push(key: ViewKey, at: At) -> Push:
    return Push(at, partial(eq, nonce_of(key, at.epoch, at.revision)))


def _fetch(key: ViewKey, at: At) -> Prepared:
    """The client gets the view by ``POST /v1/sync``, maybe at a later position: nonces from here on count."""

    def accepts(nonce: str) -> bool:
        position = position_in(nonce, key)
        return position is not None and position >= order(at)

    return Prepared("fetch", text_message(frame_bytes(Fetch(at))), Push(at, accepts))

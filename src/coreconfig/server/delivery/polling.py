"""``POST /v1/sync``: the exchange of the stream in one request, for who has none or fetches a large view."""

from __future__ import annotations

from typing import Final, Protocol, cast

from starlette.requests import Request
from starlette.responses import Response

from coreconfig.server.access.caller import caller_of
from coreconfig.server.delivery import pushes
from coreconfig.server.delivery.answering import compressed
from coreconfig.server.delivery.connection import BEHIND
from coreconfig.server.delivery.decode import check_hello, decode_sync
from coreconfig.server.delivery.encode import bookmark_bytes, frame_bytes
from coreconfig.server.delivery.hub import Hub
from coreconfig.server.delivery.keys import position_in
from coreconfig.server.delivery.session import Session, Settled, Step
from coreconfig.server.delivery.states import LiveView
from coreconfig.server.fleet.instances import Instance, InstanceKey
from coreconfig.server.web.bodies import check_media_type, read_body
from coreconfig.server.web.services import Services, services_of
from coreconfig.wire.frames import Ack, At, Hello, SyncRequest

POLL: Final = "poll"
"""The session that is named to whoever has none; the same for all, so that answers can be shared."""


class PollServices(Services, Protocol):
    """What this route asks of the process."""

    @property
    def hub(self) -> Hub:
        """Where polls are noted beside connections."""


async def sync(request: Request) -> Response:
    """Take in what a client says, and answer with ``welcome`` and what it needs."""
    check_media_type(request)
    asked = decode_sync(await read_body(request))
    check_hello(asked.hello)
    hub, caller = cast("PollServices", services_of(request)).hub, caller_of(request)
    view = await hub.view_for(caller, asked.hello)
    instance = _instance(hub, asked)
    _note(hub, instance, view, asked)
    if asked.revision is not None:
        await hub.caught_up(asked.revision)
        view = await hub.view_for(caller, asked.hello)  # it may be gone by now
    name, text = _answer(hub, view, asked, instance)
    return await compressed(request, text, view.frames, name)


def _instance(hub: Hub, asked: SyncRequest) -> Instance:
    """The instance that asks: that of its stream if it has one here, else one that polls."""
    hello = asked.hello
    instance = hub.exchange.instances.get(InstanceKey(hello.environment, hello.service, hello.instance))
    if instance is None:
        instance = hub.exchange.instance_of(hello, POLL, "poll")
    elif instance.link == "poll" and hello.have is not None:
        hub.runs(instance, hello.have)
    if instance.link == "poll":
        hub.polled(instance)
    return instance


def _note(hub: Hub, instance: Instance, view: LiveView, asked: SyncRequest) -> None:
    for ack in asked.acks:
        settled = _settled(ack, view, asked.hello)
        if settled is not None and ack.nonce not in instance.settled:
            instance.settled.append(ack.nonce)
            hub.settled(instance, settled)
    if asked.health is not None:
        hub.reported(instance, asked.health)


def _settled(ack: Ack, view: LiveView, hello: Hello) -> Settled | None:
    """What an ack says about a push of this replica or another; None for anything else.

    What was pushed in an epoch that is over says nothing about the present one.
    """
    position = position_in(ack.nonce, view.key)
    if position is None or position[0] != view.position.epoch:
        return None
    if ack.outcome == "rejected":
        # the ack names what is still held; what was refused is the newest of the refused digests
        refused = At(*position, hello.refused[-1] if hello.refused else "")
        return Settled(refused, "rejected", ack.reason, ack.issues)
    if ack.outcome in ("applied", "restart_needed"):
        return Settled(ack.at, ack.outcome, ack.reason, ack.issues)
    return None


def _answer(hub: Hub, view: LiveView, asked: SyncRequest, instance: Instance) -> tuple[object, bytes]:
    """The answer as text, the same for all who hold the same, and its name in what is kept for the view."""
    session = Session(asked.hello)
    step = session.step(view.position, view.history)
    if step in ("delta", "snapshot"):
        hub.count(step)
    if step == "ahead":
        hub.exchange.ahead(instance)
    name = ("sync", step, session.held if step == "delta" else None)
    text: bytes | None = view.frames.get(name)
    if text is None:
        text = view.frames[name] = _frames(frame_bytes(hub.welcome(POLL, view)), _push(view, session, step))
    return name, text


def _push(view: LiveView, session: Session, step: Step) -> bytes:
    if step == "delta" and session.held is not None:
        return pushes.shortest_text(view, session.held)
    if step == "snapshot":
        return pushes.whole_text(view)
    if step == "ahead":
        return BEHIND
    return bookmark_bytes(view.position) if step == "bookmark" else b""


def _frames(*frames: bytes) -> bytes:
    return b'{"frames":[' + b",".join(filter(None, frames)) + b"]}"

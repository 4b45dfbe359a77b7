"""Sending without waiting: at once where the transport has room, one message by a task where it has none."""

from __future__ import annotations

import asyncio
from typing import Any

from coreconfig.server.delivery.socket import Socket, text_message


class Transport:
    """An ASGI server's sending half: takes messages while it is open, makes senders wait while it is full."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.writable = asyncio.Event()
        self.writable.set()
        self.lost = False
        self.aborted = False

    async def send(self, message: Any) -> None:
        await self.writable.wait()
        if self.lost:
            raise OSError("the peer is gone")
        self.sent.append(message)

    def abort(self) -> None:
        self.aborted = True

    @property
    def scope(self) -> dict[str, Any]:
        return {"extensions": {"coreconfig.abort": {"abort": self.abort}}}


def socket_on(transport: Transport, drained: asyncio.Event | None = None) -> Socket:
    return Socket(transport.scope, transport.send, (drained or asyncio.Event()).set)


async def test_a_message_is_sent_at_once() -> None:
    """With room in the transport nothing is left to a task."""
    transport = Transport()
    before = len(asyncio.all_tasks())
    socket_on(transport).offer(text_message(b"one"))
    assert transport.sent == [{"type": "websocket.send", "text": "one"}]
    assert len(asyncio.all_tasks()) == before


async def test_a_full_transport_makes_the_socket_busy_until_it_takes_the_message() -> None:
    """The message that had to wait goes out first, and then the owner is told that there is room."""
    transport, drained = Transport(), asyncio.Event()
    socket = socket_on(transport, drained)
    transport.writable.clear()
    socket.offer(text_message(b"one"))
    assert socket.busy
    assert socket.busy_since is not None
    await asyncio.sleep(0)
    assert not transport.sent
    transport.writable.set()
    await drained.wait()
    assert not socket.busy
    assert [message["text"] for message in transport.sent] == ["one"]


async def test_room_that_comes_before_the_task_runs_is_not_missed() -> None:
    """The wake-up may come between the first step by hand and the task that goes on."""
    transport, drained = Transport(), asyncio.Event()
    socket = socket_on(transport, drained)
    transport.writable.clear()
    socket.offer(text_message(b"one"))
    transport.writable.set()
    await drained.wait()
    assert len(transport.sent) == 1


async def test_a_peer_that_is_gone_closes_the_socket() -> None:
    """Nothing is raised into whoever serves thousands of others; nothing more is sent."""
    transport = Transport()
    socket = socket_on(transport)
    transport.lost = True
    socket.offer(text_message(b"one"))
    assert socket.closed
    transport.lost = False
    socket.offer(text_message(b"two"))
    assert transport.sent == []


async def test_a_stuck_peer_is_dropped_with_what_it_has_not_taken() -> None:
    """Closing a socket that takes nothing aborts its connection instead of waiting for it."""
    transport = Transport()
    socket = socket_on(transport)
    transport.writable.clear()
    socket.offer(text_message(b"one"))
    socket.close(1008, "no_progress")
    assert transport.aborted
    transport.writable.set()
    await asyncio.sleep(0)
    assert socket.closed
    assert transport.sent == []


async def test_a_healthy_socket_is_closed_with_code_and_reason() -> None:
    """The peer learns why."""
    transport = Transport()
    socket_on(transport).close(1012, "server_leaves")
    assert transport.sent == [{"type": "websocket.close", "code": 1012, "reason": "server_leaves"}]
    assert not transport.aborted

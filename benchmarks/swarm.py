"""Thousands of subscribers in one process, as cheap as Python makes them, so that the server is measured.

Run as a program it connects, prints one line of JSON when all are there, and one for each round: when the
last subscriber had the message (on the clock that all processes of a machine share).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import struct
import sys
import time
from collections.abc import Callable


class Arrivals:
    """Counts who has had the message of a round."""

    def __init__(self, expected: int) -> None:
        self.expected = expected
        self.ready = 0
        self.arrived = 0

    def note_ready(self) -> None:
        """One more subscriber is there."""
        self.ready += 1
        if self.ready == self.expected:
            print(json.dumps({"ready": self.ready}), flush=True)

    def note(self) -> None:
        """One more subscriber has the message."""
        self.arrived += 1
        if self.arrived == self.expected:
            self.arrived = 0
            print(json.dumps({"last": time.monotonic()}), flush=True)


class RedisSubscriber(asyncio.Protocol):
    """``SUBSCRIBE`` on a channel; every message ends a round for this subscriber."""

    def __init__(self, arrivals: Arrivals, size: int) -> None:
        self._arrivals = arrivals
        self._wanted = size
        self._got = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(b"SUBSCRIBE bench\r\n")

    def data_received(self, data: bytes) -> None:
        if self._got < 0:  # the confirmation
            self._got = 0
            self._arrivals.note_ready()
            return
        self._got += len(data)
        if self._got >= self._wanted:
            self._got = 0
            self._arrivals.note()


class EtcdWatcher(asyncio.Protocol):
    """A watch of one key over the HTTP gateway of etcd."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        body = b'{"create_request":{"key":"YmVuY2g="}}'
        head = "POST /v3/watch HTTP/1.1\r\nHost: etcd\r\nContent-Type: application/json\r\n"
        transport.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    def data_received(self, data: bytes) -> None:
        if b'"created":true' in data:
            self._arrivals.note_ready()
        elif b'"events"' in data:
            self._arrivals.note()


class StreamSubscriber(asyncio.Protocol):
    """A session of the stream that acks every push."""

    def __init__(self, arrivals: Arrivals, environment: str, service: str, number: int, host: str) -> None:
        self._arrivals = arrivals
        self._environment = environment
        self._service = service
        self._number = number
        self._host = host
        self._buffer = b""
        self._upgraded = False
        self._first = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(
            f"GET /v1/stream HTTP/1.1\r\nHost: {self._host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: coreconfig.v1\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._upgraded:
            head, found, rest = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return
            if b" 101 " not in head:
                sys.exit(head.decode())
            self._upgraded, self._buffer = True, rest
            hello = {
                "type": "hello",
                "service": self._service,
                "environment": self._environment,
                "instance": f"i-{os.getpid()}-{self._number}",
            }
            self._send(hello)
        self._read_frames()

    def _read_frames(self) -> None:
        while (frame := self._next_frame()) is not None:
            opcode, body = frame
            if opcode == 9:
                self._transport.write(masked(10, body))
            elif opcode == 8:
                sys.exit(f"the server closed: {body!r}")
            elif body.startswith((b'{"type":"snapshot"', b'{"type":"configuration_changed"')):
                self._apply(body)
            elif body.startswith(b'{"type":"fetch"'):
                self._arrivals.note_ready()

    def _next_frame(self) -> tuple[int, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        length, start = buffer[1] & 127, 2
        if length == 126:
            if len(buffer) < 4:
                return None
            length, start = struct.unpack_from(">H", buffer, 2)[0], 4
        elif length == 127:
            if len(buffer) < 10:
                return None
            length, start = struct.unpack_from(">Q", buffer, 2)[0], 10
        if len(buffer) < start + length:
            return None
        self._buffer = buffer[start + length :]
        return buffer[0] & 15, buffer[start : start + length]

    def _apply(self, body: bytes) -> None:
        if self._first:
            self._arrivals.note_ready()
            self._first = False
        else:
            self._arrivals.note()
        nonce = between(body, b'"nonce":"', b'"')
        at = between(body, b'"at":{', b"}")
        self._transport.write(
            masked(1, b'{"type":"ack","nonce":"' + nonce + b'","at":{' + at + b'},"outcome":"applied"}')
        )

    def _send(self, frame: object) -> None:
        self._transport.write(masked(1, json.dumps(frame).encode()))


def between(body: bytes, before: bytes, after: bytes) -> bytes:
    """What stands between two markers."""
    start = body.index(before) + len(before)
    return body[start : body.index(after, start)]


def masked(opcode: int, body: bytes) -> bytes:
    """A client's frame with the mask 0, which leaves the body as it is (RFC 6455, 5.3)."""
    length = len(body)
    size = bytes([0x80 | length]) if length < 126 else b"\xfe" + struct.pack(">H", length)
    return bytes([0x80 | opcode]) + size + b"\0\0\0\0" + body


async def connect_all(count: int, port: int, make: Callable[[int], asyncio.Protocol]) -> None:
    """Connect `count` subscribers, a few at a time, and stay until standard input closes."""
    loop = asyncio.get_running_loop()
    for number in range(count):
        await loop.create_connection(lambda n=number: make(n), "127.0.0.1", port)
        if number % 100 == 99:
            await asyncio.sleep(0.25)  # as a fleet would come, within what the server admits
    await asyncio.to_thread(sys.stdin.read)


def main() -> None:
    """Subscribe as the arguments say."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["redis", "etcd", "stream"])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--views", type=int, default=50)
    parser.add_argument("--environments", type=int, default=0, help="e0, e1 ... instead of one")
    parser.add_argument("--size", type=int, default=1, help="bytes that make up one message (redis)")
    asked = parser.parse_args()
    arrivals = Arrivals(asked.count)

    def make(number: int) -> asyncio.Protocol:
        if asked.kind == "redis":
            return RedisSubscriber(arrivals, asked.size)
        if asked.kind == "etcd":
            return EtcdWatcher(arrivals)
        environment = f"e{number // asked.views % asked.environments}" if asked.environments else "bench"
        service = f"s{number % asked.views}"
        return StreamSubscriber(arrivals, environment, service, number, f"127.0.0.1:{asked.port}")

    asyncio.run(connect_all(asked.count, asked.port, make))


if __name__ == "__main__":
    main()

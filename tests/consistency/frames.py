"""WebSocket frames (RFC 6455, section 5.2) as far as a proxy knows them: where one ends, what it says."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

TEXT = 0x1


@dataclass(frozen=True, slots=True)
class Frame:
    """One whole frame: `raw` is all of it, `payload` what it says, unmasked."""

    raw: bytes
    opcode: int
    payload: bytes

    @property
    def is_text(self) -> bool:
        """Whether it is a whole text message; continued ones are not taken apart."""
        return self.opcode == TEXT and bool(self.raw[0] & 0x80)

    @property
    def said(self) -> Any:
        """The payload as JSON."""
        return json.loads(self.payload)


async def read_frame(reader: asyncio.StreamReader) -> Frame:
    """The next frame of a stream. Raises `asyncio.IncompleteReadError` at its end."""
    raw = await reader.readexactly(2)
    opcode, length, masked = raw[0] & 0x0F, raw[1] & 0x7F, raw[1] & 0x80
    if length >= 126:
        more = await reader.readexactly(2 if length == 126 else 8)
        raw, length = raw + more, int.from_bytes(more, "big")
    key = await reader.readexactly(4) if masked else b""
    body = await reader.readexactly(length)
    return Frame(raw + key + body, opcode, _unmasked(body, key))


def text_frame(payload: bytes) -> Frame:
    """A text frame as a server sends it."""
    size = len(payload)
    if size < 126:
        head = bytes([0x80 | TEXT, size])
    elif size < 1 << 16:
        head = bytes([0x80 | TEXT, 126]) + size.to_bytes(2, "big")
    else:
        head = bytes([0x80 | TEXT, 127]) + size.to_bytes(8, "big")
    return Frame(head + payload, TEXT, payload)


def _unmasked(body: bytes, key: bytes) -> bytes:
    if not key:
        return body
    mask = (key * (len(body) // 4 + 1))[: len(body)]
    return (int.from_bytes(body, "big") ^ int.from_bytes(mask, "big")).to_bytes(len(body), "big")

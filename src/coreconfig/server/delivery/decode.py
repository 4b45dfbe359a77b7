"""Frames of a client, read strictly: what is unknown is passed over, what is malformed is refused."""

from __future__ import annotations

from typing import Any

import msgspec

from coreconfig.errors import Invalid, ProtocolError
from coreconfig.model.canonical import MAX_EXACT_INTEGER
from coreconfig.model.keys import check_id
from coreconfig.wire.frames import (
    Ack,
    ClientFrame,
    Health,
    Hello,
    Ping,
    Subscribe,
    Sync,
    SyncRequest,
    Usage,
)

_KNOWN = frozenset({"hello", "ack", "health", "subscribe", "usage", "sync", "ping"})
MAX_LABELS = 64
MAX_TEXT_LENGTH = 256

_frame = msgspec.json.Decoder(Hello | Ack | Health | Subscribe | Usage | Sync | Ping)
_request = msgspec.json.Decoder(SyncRequest)


class _Typed(msgspec.Struct):
    type: str


_typed = msgspec.json.Decoder(_Typed)


def decode_frame(text: str | bytes) -> ClientFrame | None:
    """The frame that a text spells; None for a type that this server does not know.

    Raises `ProtocolError`: ``not_json``, or ``bad_frame`` where a member is missing or of the wrong type.
    """
    try:
        frame: ClientFrame = _frame.decode(text)
    except msgspec.ValidationError as error:
        kind = _type_of(text)
        if kind is not None and kind not in _KNOWN:
            return None
        again: ClientFrame | None = _with_integers(text, ClientFrame)
        if again is not None:
            return again
        raise ProtocolError(f"the frame is not what its type demands: {error}", code="bad_frame") from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ProtocolError(f"the frame is not JSON: {error}", code="not_json") from error
    return frame


def decode_sync(body: bytes) -> SyncRequest:
    """The body of ``POST /v1/sync``. Raises `Invalid`: ``not_json`` or ``bad_frame``."""
    try:
        return _request.decode(body)
    except msgspec.ValidationError as error:
        again: SyncRequest | None = _with_integers(body, SyncRequest)
        if again is not None:
            return again
        raise Invalid(f"the body is not what /v1/sync takes: {error}", code="bad_frame") from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise Invalid(f"the body is not JSON: {error}", code="not_json") from error


def _with_integers(text: str | bytes, kind: Any) -> Any:
    """What the text says when 1.0 is read as the integer that it is in JSON; None if that is not enough."""
    try:
        return msgspec.convert(_whole(msgspec.json.decode(text)), kind)
    except (msgspec.MsgspecError, RecursionError):
        return None


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer() and abs(value) <= MAX_EXACT_INTEGER:
        return int(value)
    if isinstance(value, dict):
        return {name: _whole(member) for name, member in value.items()}
    return [_whole(item) for item in value] if isinstance(value, list) else value


def check_hello(hello: Hello) -> None:
    """Raise `Invalid` (``bad_id``, ``bad_frame``) for a hello that cannot describe an instance."""
    check_id("environment", hello.environment)
    check_id("service", hello.service)
    check_id("instance", hello.instance)
    texts = [*hello.labels, *hello.labels.values(), hello.cohort or "", hello.app_version, hello.sdk]
    if len(hello.labels) > MAX_LABELS or any(len(text) > MAX_TEXT_LENGTH for text in texts):
        raise Invalid(
            f"hello takes at most {MAX_LABELS} labels, and texts of at most {MAX_TEXT_LENGTH} characters",
            code="bad_frame",
        )


def _type_of(text: str | bytes) -> str | None:
    """The type that a text states; None for an object without one, or for something else than an object."""
    try:
        return _typed.decode(text).type
    except msgspec.ValidationError:
        return None
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ProtocolError(f"the frame is not JSON: {error}", code="not_json") from error

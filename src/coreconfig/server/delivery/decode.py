"""Frames of a client, read strictly: what is unknown is passed over, what is malformed is refused."""

from __future__ import annotations

import msgspec

from coreconfig.errors import Invalid, ProtocolError
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
_MAX_LABELS = 64
_MAX_LABEL_LENGTH = 256

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
        if _type_of(text) not in _KNOWN:
            return None
        raise ProtocolError(f"the frame is not what its type demands: {error}", code="bad_frame") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise ProtocolError(f"the frame is not JSON: {error}", code="not_json") from error
    return frame


def decode_sync(body: bytes) -> SyncRequest:
    """The body of ``POST /v1/sync``. Raises `Invalid`: ``not_json`` or ``bad_frame``."""
    try:
        return _request.decode(body)
    except msgspec.ValidationError as error:
        raise Invalid(f"the body is not what /v1/sync takes: {error}", code="bad_frame") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise Invalid(f"the body is not JSON: {error}", code="not_json") from error


def check_hello(hello: Hello) -> None:
    """Raise `Invalid` (``bad_id``, ``bad_frame``) for a hello that cannot describe an instance."""
    check_id("environment", hello.environment)
    check_id("service", hello.service)
    check_id("instance", hello.instance)
    texts = [*hello.labels, *hello.labels.values(), hello.cohort or "", hello.app_version, hello.sdk]
    if len(hello.labels) > _MAX_LABELS or any(len(text) > _MAX_LABEL_LENGTH for text in texts):
        raise Invalid(
            f"hello takes at most {_MAX_LABELS} labels, and texts of at most {_MAX_LABEL_LENGTH} characters",
            code="bad_frame",
        )


def _type_of(text: str | bytes) -> str | None:
    try:
        return _typed.decode(text).type
    except msgspec.ValidationError:
        return "hello"  # an object without a type, or no object: malformed, not unknown

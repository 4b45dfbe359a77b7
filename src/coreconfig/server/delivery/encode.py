"""Frames as text: what is large is encoded once for a state of a view, the few fields around it per push."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import msgspec

from coreconfig.model.keys import format_key
from coreconfig.model.snapshots import TreeChange
from coreconfig.server.delivery.keys import ViewKey, nonce_of
from coreconfig.wire.frames import (
    At,
    Bookmark,
    ChangedPush,
    Error,
    LeafChange,
    ServerFrame,
    SnapshotPush,
)
from coreconfig.wire.json import encode

_encoder = msgspec.json.Encoder()


def frame_bytes(frame: ServerFrame) -> bytes:
    """Any frame as JSON text."""
    return _encoder.encode(frame)


def change_list(changes: Iterable[TreeChange]) -> bytes:
    """The ``changes`` of a delta as JSON text, to be spliced into every frame that carries them."""
    return encode(
        [
            LeafChange(format_key(change.path), change.operation, change.value)
            if change.operation == "SET"
            else LeafChange(format_key(change.path), change.operation)
            for change in changes
        ]
    )


def snapshot_bytes(key: ViewKey, at: At, values: bytes, timestamp: str) -> bytes:
    """The whole view at a position; `values` is its tree, encoded already."""
    nonce = nonce_of(key, at.epoch, at.revision)
    return _encoder.encode(SnapshotPush(nonce, at, cast("dict[str, Any]", msgspec.Raw(values)), timestamp))


def delta_bytes(
    key: ViewKey, held: At, at: At, changes: bytes, timestamp: str, metadata: dict[str, Any]
) -> bytes:
    """The way from one position of the view to another; `changes` is what `change_list` gave."""
    return _encoder.encode(
        ChangedPush(
            nonce=nonce_of(key, at.epoch, at.revision),
            from_=held,
            at=at,
            changes=cast("list[LeafChange]", msgspec.Raw(changes)),
            timestamp=timestamp,
            metadata=metadata,
        )
    )


def bookmark_bytes(at: At) -> bytes:
    """What the client holds is right at this position too."""
    return _encoder.encode(Bookmark(at))


def error_bytes(code: str, message: str, *, retry: bool = False) -> bytes:
    """The request cannot be served."""
    return _encoder.encode(Error(code, message, retry))

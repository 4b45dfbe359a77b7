"""JSON as it is written: compact, and able to encode the persistent trees of the model."""

from __future__ import annotations

from typing import Any

import msgspec

from coreconfig.model.trees import Wide


def encode(value: Any, *, ordered: bool = False) -> bytes:
    """The JSON bytes of a value or a tree; with `ordered` members come in a fixed order.

    Values have been checked when they came in, so that none of them is NaN (which would become null here).
    """
    return (_ORDERED if ordered else _PLAIN).encode(value)


def _plain(value: Any) -> Any:
    if type(value) is Wide:
        return dict(value.items())
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


_PLAIN = msgspec.json.Encoder(enc_hook=_plain)
_ORDERED = msgspec.json.Encoder(enc_hook=_plain, order="sorted")

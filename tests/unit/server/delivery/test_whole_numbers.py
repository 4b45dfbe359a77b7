"""What JSON calls an integer is one, however it is spelt."""

from __future__ import annotations

import pytest

from coreconfig.errors import Invalid
from coreconfig.server.delivery.decode import decode_frame, decode_sync
from coreconfig.wire.frames import Sync

HELLO = '"hello": {"type": "hello", "service": "s", "environment": "e", "instance": "i"}'


def test_a_whole_number_with_a_point_is_an_integer() -> None:
    """Other languages write 5.0 for 5."""
    assert decode_sync(f'{{{HELLO}, "revision": 5.0}}'.encode()).revision == 5
    assert decode_frame('{"type": "sync", "revision": 7.0}') == Sync(7)


def test_a_fraction_is_none() -> None:
    """Nothing is rounded."""
    with pytest.raises(Invalid) as caught:
        decode_sync(f'{{{HELLO}, "revision": 5.5}}'.encode())
    assert caught.value.code == "bad_frame"

"""Frames of a client: the unknown is passed over, the malformed refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coreconfig.errors import Invalid, ProtocolError
from coreconfig.server.delivery.decode import MAX_LABELS, check_hello, decode_frame, decode_sync
from coreconfig.wire.frames import Hello, Ping, Sync


def test_unknown_types_and_members_are_passed_over() -> None:
    """A newer client may say more than this server understands."""
    assert decode_frame('{"type": "something_new", "much": [1]}') is None
    assert decode_frame('{"type": "ping", "extra": 1}') == Ping()
    assert decode_frame('{"type": "sync", "revision": 3}') == Sync(3)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "not_json"),
        ("{", "not_json"),
        ('{"type": "something_new", "cut": ', "not_json"),
        ('"\\ud800"', "not_json"),
        ('{"type": "health", "status": "healthy", "checks": {"a": ' + "[" * 100_000, "not_json"),
        ("[]", "bad_frame"),
        ("{}", "bad_frame"),
        ('{"type": 5}', "bad_frame"),
        ('{"type": "hello"}', "bad_frame"),
        ('{"type": "sync", "revision": "3"}', "bad_frame"),
        ('{"type": "ack", "nonce": "n", "at": {"epoch": 1}, "outcome": "applied"}', "bad_frame"),
    ],
)
def test_malformed_frames_are_refused(text: str, code: str) -> None:
    """The code says whether it is no JSON at all or not what its type demands."""
    with pytest.raises(ProtocolError) as refused:
        decode_frame(text)
    assert refused.value.code == code


@given(st.binary() | st.text().map(str.encode))
def test_whatever_is_sent_is_decoded_or_refused(body: bytes) -> None:
    """No input leads to any other failure."""
    with pytest.raises(Invalid):
        decode_sync(body)


@pytest.mark.parametrize(
    "hello",
    [
        Hello("Engine", "demo", "one"),
        Hello("engine", "", "one"),
        Hello("engine", "demo", "o" * 64),
        Hello("engine", "demo", "one", labels={str(n): "" for n in range(MAX_LABELS + 1)}),
        Hello("engine", "demo", "one", sdk="x" * 1_000),
    ],
)
def test_a_hello_that_names_no_instance_is_refused(hello: Hello) -> None:
    """Ids have their grammar, and what the fleet keeps is bounded."""
    with pytest.raises(Invalid):
        check_hello(hello)

"""Bodies are read strictly, and every deviation is told at once."""

from __future__ import annotations

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message

from coreconfig.errors import Invalid, TooLarge
from coreconfig.server.web.bodies import read_body, read_json, read_model
from coreconfig.server.web.models import Body, Revision


class Order(Body):
    """A body of these tests."""

    name: str
    count: int
    revision: Revision = 0


def request(
    *chunks: bytes, kind: str = "application/json", limit: int = 100, length: int | None = None
) -> Request:
    headers = [(b"content-type", kind.encode())]
    if length is not None:
        headers.append((b"content-length", str(length).encode()))
    messages: list[Message] = [
        {"type": "http.request", "body": chunk, "more_body": number < len(chunks)}
        for number, chunk in enumerate(chunks, 1)
    ]

    async def receive() -> Message:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    scope = {"type": "http", "method": "POST", "headers": headers, "coreconfig.max_body": limit}
    return Request(scope, receive)


async def test_every_deviation_is_listed_at_once() -> None:
    """Wrong type, missing member and unknown member come back together, each with its place."""
    with pytest.raises(Invalid) as caught:
        await read_model(request(b'{"name": 1, "extra": true}'), Order)
    assert {(issue.code, issue.key) for issue in caught.value.issues} == {
        ("wrong_type", "name"),
        ("missing_member", "count"),
        ("unknown_member", "extra"),
    }


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "body_missing"),
        (b"{", "not_json"),
        (b"\xff", "not_utf8"),
        (b'{"a": 1, "a": 2}', "duplicate_member"),
        (b'{"a": NaN}', "number_not_finite"),
        (b'{"a": 1e999}', "number_not_finite"),
        (b'{"a": 9007199254740993}', "integer_out_of_range"),
        (b'{"a": "\\ud800"}', "lone_surrogate"),
    ],
)
async def test_json_that_loses_something_is_refused(body: bytes, code: str) -> None:
    """What Python's parser would let through silently has a code of its own."""
    with pytest.raises(Invalid) as caught:
        await read_json(request(body))
    assert caught.value.code == code


async def test_nesting_is_refused_before_it_costs_the_stack() -> None:
    """A hundred thousand brackets are an answer, not a crash."""
    with pytest.raises(Invalid) as caught:
        await read_json(request(b"[" * 100_000, limit=1_000_000))
    assert caught.value.code == "too_deep"


async def test_a_number_is_no_text_and_a_text_no_number() -> None:
    """Nothing is converted behind the sender's back, except that 3.0 is 3 where a whole number is meant."""
    with pytest.raises(Invalid):
        await read_model(request(b'{"name": "a", "count": "3"}'), Order)
    order = await read_model(request(b'{"name": "a", "count": 3, "revision": 3.0}'), Order)
    assert order.revision == 3


async def test_a_body_over_the_limit_is_cut_while_it_arrives() -> None:
    """A sender that does not say how much it sends is stopped all the same."""
    with pytest.raises(TooLarge):
        await read_body(request(b"x" * 60, b"x" * 60))


async def test_a_body_that_announces_too_much_is_not_read() -> None:
    """The announcement is enough."""
    unread = request(b"x", length=101)
    with pytest.raises(TooLarge):
        await read_body(unread)
    assert await unread.body() == b"x"


async def test_a_body_can_be_read_again() -> None:
    """Whoever needs its bytes after its model gets the same bytes."""
    twice = request(b'{"name": "a", ', b'"count": 1}')
    await read_model(twice, Order)
    assert await twice.body() == b'{"name": "a", "count": 1}'


async def test_a_body_that_was_cut_off_is_no_shorter_body() -> None:
    """A connection that ends early must not pass for a complete request."""
    messages: list[Message] = [
        {"type": "http.request", "body": b'{"a"', "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Message:
        return messages.pop(0)

    scope = {"type": "http", "method": "POST", "headers": [], "coreconfig.max_body": 100}
    with pytest.raises(Invalid) as caught:
        await read_body(Request(scope, receive))
    assert caught.value.code == "body_cut_off"


@pytest.mark.parametrize("kind", ["text/plain", "", "application/json; charset=latin-1", "application/xml"])
async def test_another_media_type_is_refused(kind: str) -> None:
    """A page of a foreign site can send text without asking, but not JSON."""
    with pytest.raises(HTTPException) as caught:
        await read_json(request(b"{}", kind=kind))
    assert caught.value.status_code == 415


@pytest.mark.parametrize(
    "kind", ["application/json", "Application/JSON", 'application/json; charset="UTF-8"']
)
async def test_json_is_json_however_it_is_spelt(kind: str) -> None:
    """Media types do not depend on case."""
    assert await read_json(request(b"{}", kind=kind)) == {}

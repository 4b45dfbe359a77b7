"""What `If-Match` and `If-None-Match` mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from coreconfig.errors import Invalid, PreconditionFailed
from coreconfig.server.web.preconditions import if_match, if_none_match

TAGS = st.lists(st.text("0123456789abcdef-", min_size=1, max_size=40), min_size=1, max_size=5)


def request(**headers: str) -> Request:
    named = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    return Request({"type": "http", "method": "GET", "headers": named})


def test_without_the_header_nothing_is_demanded() -> None:
    """An absent header is no precondition."""
    assert if_match(request()) is None


@given(TAGS, st.sampled_from([",", ", ", " , "]))
def test_each_tag_of_a_list_is_meant(tags: list[str], comma: str) -> None:
    """A list names each of its tags and no other."""
    condition = if_match(request(if_match=comma.join(f'"{tag}"' for tag in tags)))
    assert condition is not None
    assert all(condition.matches(f'"{tag}"') for tag in tags)
    assert not condition.matches('"something else"')


def test_a_star_means_any_state_that_exists() -> None:
    """`*` holds for every state, and fails where there is none."""
    condition = if_match(request(if_match="*"))
    assert condition is not None
    condition.demand("7-1", "the key")
    with pytest.raises(PreconditionFailed):
        condition.demand(None, "the key")


def test_a_weak_tag_never_guards_a_write() -> None:
    """`If-Match` compares strongly, `If-None-Match` weakly (RFC 9110, 13.1)."""
    condition = if_match(request(if_match='W/"1"'))
    assert condition is not None
    assert not condition.matches('"1"')
    assert condition.matches('"1"', weak=True)


@pytest.mark.parametrize("text", ["1", '"1', '"1" "2"', ",", "", "W/1", '"1",x'])
def test_a_guard_that_cannot_be_read_is_refused(text: str) -> None:
    """A write must not go ahead because its guard was misspelt."""
    with pytest.raises(Invalid) as caught:
        if_match(request(if_match=text))
    assert caught.value.code == "bad_precondition"


def test_a_misspelt_if_none_match_costs_no_answer() -> None:
    """A read is simply answered in full."""
    assert if_none_match(request(if_none_match="nonsense")) is None

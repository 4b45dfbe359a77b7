"""Parameters are read strictly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from coreconfig.errors import Invalid
from coreconfig.server.web.operations import Operation, _accepts
from coreconfig.server.web.parameters import AT, FLAT, KEY, LIMIT, Parameter


def request(query: str = "", **path: str) -> Request:
    scope = {
        "type": "http",
        "method": "GET",
        "headers": [],
        "query_string": query.encode(),
        "path_params": path,
    }
    return Request(scope)


def test_an_absent_parameter_has_its_default() -> None:
    """What is left out means what the documentation says."""
    assert LIMIT.of(request()) == 100
    assert AT.of(request()) is None


@pytest.mark.parametrize("text", ["", "0", "1001", "-1", "+5", "1_0", " 5", "5.0", "\u0665", "1e2", "9" * 30])
def test_a_limit_is_decimal_digits_within_its_bounds(text: str) -> None:
    """Python's `int` takes signs, underscores, spaces and foreign digits; an interface does not."""
    from urllib.parse import quote

    with pytest.raises(Invalid) as caught:
        LIMIT.of(request(f"limit={quote(text)}"))
    assert caught.value.code == "bad_parameter"


@given(st.integers(1, 1000))
def test_a_limit_within_its_bounds_is_taken(number: int) -> None:
    """Every number that the documentation allows is allowed."""
    assert LIMIT.of(request(f"limit={number}")) == number


@pytest.mark.parametrize("text", ["True", "1", "yes", ""])
def test_a_flag_is_true_or_false_and_nothing_else(text: str) -> None:
    """A switch that guesses is a switch that surprises."""
    with pytest.raises(Invalid):
        FLAT.of(request(f"flat={text}"))


def test_a_key_in_a_path_keeps_the_code_of_its_own_rule() -> None:
    """The rule that was broken is the key's, whichever way it came."""
    with pytest.raises(Invalid) as caught:
        KEY.of(request(key="a..b"))
    assert caught.value.code == "bad_key"
    assert KEY.of(request(key='a."b/c"')) == ("a", "b/c")


@pytest.mark.parametrize(
    ("accept", "fits"),
    [
        ("*/*", True),
        ("application/*", True),
        ("text/html, application/json;q=0.5", True),
        ("application/json;q=0", False),
        ("text/html", False),
        ("", True),
    ],
)
def test_accept_decides_whether_json_may_be_the_answer(accept: str, fits: bool) -> None:
    """RFC 9110, 12.5.1: a range with weight 0 excludes."""
    assert _accepts(accept, "application/json") is fits


def test_a_conditional_header_is_described_in_words() -> None:
    """No single value of it is right or wrong, so it is no parameter that a generator should fill."""

    async def nothing(request: Request) -> None: ...

    guard: Parameter[str] = Parameter("If-Match", "header", str, "", about="write only if", conditional=True)
    operation = Operation("GET", "/x", nothing, id="x", summary="x", tag="x", parameters=[guard])  # type: ignore[arg-type]  # the endpoint is never called
    assert guard in operation.parameters
    assert "If-Match" in guard.in_words()

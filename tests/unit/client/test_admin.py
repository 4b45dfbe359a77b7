"""What is asked of the server when something is written, and how its answers are read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.client.states import options_of, state_of

from coreconfig.client.admin import Edit, change_request, edits_of, explain, write
from coreconfig.client.state import Finish
from coreconfig.errors import Denied, Invalid, KeyNotFound, ProtocolError, Unavailable
from coreconfig.model.trees import MISSING

OPTIONS = options_of()
RECEIPT = {"id": "chg-1", "state": "completed", "revision": 5, "issues": []}


class Answers:
    """A link that answers what it was told, and remembers what it was asked."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[tuple[str, Any, dict[str, str]]] = []
        self.reached: list[int] = []

    async def post(self, path: str, body: bytes, headers: dict[str, str]) -> bytes:
        self.asked.append((path, json.loads(body), headers))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer if isinstance(self.answer, bytes) else json.dumps(self.answer).encode()

    async def get(self, path: str, headers: dict[str, str]) -> Any:
        self.asked.append((path, None, headers))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def reach(self, revision: int, within: float) -> bool:
        self.reached.append(revision)
        return True


def test_a_write_goes_into_the_own_service_layer_unless_told_otherwise() -> None:
    """scope="environment" is the base layer."""
    own = json.loads(change_request(OPTIONS, [Edit("'a'.b", "set", (1, None))]))
    assert own == {
        "edits": [
            {
                "kind": "value",
                "environment": "dev",
                "service": "shop",
                "key": "a.b",
                "operation": "set",
                "value": [1, None],
            }
        ]
    }
    base = json.loads(
        change_request(OPTIONS, [Edit("a", "delete")], scope="environment", reason="why", expected_revision=3)
    )
    assert base["edits"][0]["service"] is None
    assert "value" not in base["edits"][0]
    assert (base["reason"], base["expected_revision"]) == ("why", 3)


def test_everything_that_is_wrong_in_a_batch_is_said_at_once() -> None:
    """Before anything is sent."""
    with pytest.raises(Invalid) as caught:
        change_request(OPTIONS, edits_of({"a..b": 1, "c": float("inf"), "d": {1, 2}, "e": 2**60}))
    assert {issue.code for issue in caught.value.issues} == {
        "bad_key",
        "number_not_finite",
        "not_json",
        "integer_out_of_range",
    }
    with pytest.raises(Invalid):
        edits_of({})
    with pytest.raises(Invalid):
        change_request(OPTIONS, [Edit("a", "set", 1)], scope="world")  # type: ignore[arg-type]  # as tested


async def test_a_completed_write_waits_until_it_is_read_here() -> None:
    """And is named so that a repetition does nothing."""
    link = Answers(RECEIPT)
    receipt = await write(link, b"{}")
    assert (receipt.id, receipt.state, receipt.revision, receipt.issues) == ("chg-1", "completed", 5, ())
    assert link.reached == [5]
    ((path, _, headers),) = link.asked
    assert path == "/v1/changes"
    assert len(headers["Idempotency-Key"]) == 32


async def test_a_write_that_waits_for_somebody_waits_for_nobody_here() -> None:
    """Its issues are told."""
    issue = {"code": "shape", "severity": "MEDIUM", "key": "a", "message": "grew"}
    link = Answers({**RECEIPT, "state": "awaiting_approval", "revision": None, "issues": [issue]})
    receipt = await write(link, b"{}")
    assert link.reached == []
    assert [(i.code, i.severity, i.key) for i in receipt.issues] == [("shape", "MEDIUM", "a")]


@pytest.mark.parametrize("answer", [b"", b"[]", b"{}", b'{"id": 1}', b"null"])
async def test_a_receipt_that_is_none_is_a_protocol_error(answer: bytes) -> None:
    """Never a KeyError."""
    with pytest.raises(ProtocolError):
        await write(Answers(answer), b"{}")


async def test_an_explanation_names_the_layer_and_what_it_covers() -> None:
    """As the server says it."""
    layers = [
        {
            "environment": "dev",
            "service": "shop",
            "value": 2,
            "revision": 4,
            "author": "ann",
            "effective": True,
        },
        {"environment": "global", "service": None, "value": 1, "effective": False},
    ]
    link = Answers({"revision": 9, "key": "a b", "value": 2, "contributions": layers})
    told = await explain(link, OPTIONS, state_of({"a b": 2}, 8), '"a b"')
    assert (told.value, told.source, told.revision) == (2, "service", 9)
    assert (told.layer, told.author, told.changed_at) == ("dev/shop", "ann", 4)
    assert told.overridden == (layers[1],)
    ((path, _, headers),) = link.asked
    assert path == "/v1/environments/dev/services/shop/explain/%22a%20b%22"
    assert headers == {"X-CoreConfig-Min-Revision": "8"}


async def test_offline_an_explanation_says_what_is_known_here() -> None:
    """Value, source and revision; no layers."""
    state = state_of({"a": 1}, 8, Finish({}, (), {"d": 5}))
    told = await explain(Answers(Unavailable("down")), OPTIONS, state, "a")
    assert (told.value, told.source, told.revision, told.layers) == (1, "service", 8, None)
    told = await explain(Answers(Unavailable("down")), OPTIONS, state, "d")
    assert (told.value, told.source) == (5, "defaults")
    with pytest.raises(KeyNotFound):
        await explain(Answers(Unavailable("down")), OPTIONS, state, "x")


async def test_a_bundled_default_is_explained_where_the_server_knows_nothing() -> None:
    """It is a layer, under all of the server's."""
    state = state_of({}, 8, Finish({}, (), {"d": 5}))
    told = await explain(Answers(KeyNotFound("no")), OPTIONS, state, "d")
    assert (told.value, told.source, told.layers) == (5, "defaults", ())
    with pytest.raises(KeyNotFound):
        await explain(Answers(KeyNotFound("no")), OPTIONS, state, "x")


@pytest.mark.parametrize("answer", [None, [], {}, {"contributions": 3}, {"contributions": [3]}])
async def test_an_explanation_that_is_none_is_a_protocol_error(answer: Any) -> None:
    """Never a TypeError."""
    with pytest.raises(ProtocolError):
        await explain(Answers(answer), OPTIONS, state_of({}), "a")


async def test_what_the_server_refuses_is_raised_as_it_says() -> None:
    """Only being out of reach is covered up."""
    with pytest.raises(Denied):
        await explain(Answers(Denied("no")), OPTIONS, state_of({}), "a")


def test_an_edit_without_value_is_not_one_with_null() -> None:
    """null is a value."""
    assert json.loads(change_request(OPTIONS, [Edit("a", "set", None)]))["edits"][0]["value"] is None
    assert Edit("a", "unset").value is MISSING

"""What is sent for a step: encoded once, as short as it can be, and right."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.server.delivery.worlds import MemoryLog, create, put, unset

from coreconfig.model.keys import parse_key
from coreconfig.model.snapshots import TreeChange, apply, digest_of, digest_text
from coreconfig.model.trees import plain
from coreconfig.server.delivery import pushes
from coreconfig.server.delivery.keys import ViewKey, nonce_of, position_in
from coreconfig.server.delivery.states import LiveView
from coreconfig.server.delivery.views import ViewStore
from coreconfig.wire.frames import SNAPSHOT_BY_HTTP_BYTES

ENGINE = ViewKey("demo", "engine")


async def live(log: MemoryLog, **layer: Any) -> LiveView:
    log.commit(create("demo", services={"engine": layer}))
    store = ViewStore(log)
    log.followers.append(store.advance)
    return await store.live(ENGINE)


def frame(prepared: pushes.Prepared) -> Any:
    return json.loads(prepared.message["text"])


async def test_one_encoded_frame_serves_all_sessions() -> None:
    """Who holds the same gets the very same message, whatever is sent."""
    log = MemoryLog()
    view = await live(log, risk={"max": 1})
    held = view.position
    assert pushes.snapshot(view) is pushes.snapshot(view)
    log.commit(put("demo", "engine", "risk.max", 2))
    assert pushes.delta(view, held) is pushes.delta(view, held)
    assert pushes.bookmark(view) is pushes.bookmark(view)


async def test_the_difference_leads_to_the_stated_digest() -> None:
    """A client that applies the changes to what it held has the tree and the digest that the frame names."""
    log = MemoryLog()
    view = await live(log, risk={"max": 1, "old": True}, names=["a"])
    held, before = view.position, view.state.tree
    log.commit(put("demo", "engine", "risk.max", None), unset("demo", "engine", "risk.old"))
    log.commit(
        put("demo", "engine", 'log."com.acme"', {"level": "debug"}), put("demo", "engine", "names", [])
    )
    told = frame(pushes.delta(view, held))
    changes = [TreeChange(parse_key(c["key"]), c["operation"], c.get("value")) for c in told["changes"]]
    after = apply(before, changes)
    assert plain(after) == plain(view.state.tree)
    assert told["at"]["digest"] == digest_text(digest_of(after))
    assert told["from"] == {"epoch": 1, "revision": 1, "digest": held.digest, "overlay": None}
    assert "value" in next(c for c in told["changes"] if c["key"] == "risk.max"), "null is a value"


async def test_a_frame_names_the_change_that_led_to_it() -> None:
    """Who, why and when come with the difference."""
    log = MemoryLog()
    view = await live(log, risk={"max": 1})
    held = view.position
    log.commit(put("demo", "engine", "risk.max", 2))
    told = frame(pushes.delta(view, held))
    assert told["metadata"] == {"change": "change-2", "author": "somebody", "reason": None}
    assert told["timestamp"] == "2026-01-01T00:00:00Z"


async def test_an_unrelated_revision_gives_a_frame_of_its_own() -> None:
    """Position and nonce name the revision of the world, also if the content is older."""
    log = MemoryLog()
    view = await live(log, a=1)
    first = frame(pushes.snapshot(view))
    log.commit(create("other"))
    second = frame(pushes.snapshot(view))
    assert (first["at"]["revision"], second["at"]["revision"]) == (1, 2)
    assert first["at"]["digest"] == second["at"]["digest"]
    assert first["nonce"] != second["nonce"]


async def test_a_difference_that_is_longer_than_the_view_is_not_sent() -> None:
    """When nearly everything goes, the whole that is left is shorter."""
    log = MemoryLog()
    view = await live(log, **{f"key-number-{n}": n for n in range(500)}, kept=1)
    held = view.position
    log.commit(*(unset("demo", "engine", f"key-number-{n}") for n in range(500)))
    assert pushes.delta(view, held).kind == "snapshot"
    assert json.loads(pushes.shortest_text(view, held))["type"] == "snapshot"


async def test_a_large_view_is_fetched() -> None:
    """Beyond 256 KiB the frame only says where to get it; a small difference is pushed all the same."""
    log = MemoryLog()
    view = await live(log, large=["x" * 60_000] * 5, small=1)
    held = view.position
    assert len(view.state.values) > SNAPSHOT_BY_HTTP_BYTES
    assert frame(pushes.snapshot(view)) == {"type": "fetch", "at": {**_at(held)}}
    log.commit(put("demo", "engine", "small", 2))
    assert pushes.delta(view, held).kind == "delta"
    assert json.loads(pushes.whole_text(view))["values"]["small"] == 2


async def test_a_fetched_view_may_be_newer_than_the_offer() -> None:
    """The ack of a fetch carries the nonce of what was fetched, at that position or later, of this view."""
    log = MemoryLog()
    view = await live(log, large=["x" * 60_000] * 5)
    push = pushes.snapshot(view).push
    assert push is not None
    assert push.accepts(nonce_of(ENGINE, 1, 1))
    assert push.accepts(nonce_of(ENGINE, 1, 7))
    assert not push.accepts(nonce_of(ENGINE, 1, 0))
    assert not push.accepts(nonce_of(ViewKey("demo", "other"), 1, 7))
    assert not push.accepts("")


@pytest.mark.parametrize(
    "nonce", ["", "x", "1-1-", "1-1-0123456789abcdef", "-1-1-0123456789abcdef", "1" * 500]
)
def test_only_nonces_of_the_view_name_a_position(nonce: str) -> None:
    """Whatever else a client sends stands for nothing."""
    assert position_in(nonce, ENGINE) is None
    assert position_in(nonce_of(ENGINE, 3, 141), ENGINE) == (3, 141)


def _at(at: Any) -> dict[str, Any]:
    return {"epoch": at.epoch, "revision": at.revision, "digest": at.digest, "overlay": at.overlay}

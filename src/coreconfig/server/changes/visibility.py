"""What of a change a caller is shown: what lies outside of his rights to read is withheld."""

from __future__ import annotations

from typing import Any

from coreconfig.errors import NotFound
from coreconfig.model.keys import parse_key
from coreconfig.server.access.caller import Caller
from coreconfig.server.access.decisions import WITHHELD, may_read


def cut_receipt(caller: Caller, receipt: dict[str, Any]) -> dict[str, Any]:
    """A receipt with foreign views left out and foreign values withheld."""
    return {
        **receipt,
        "affected": [place for place in receipt["affected"] if _may_see(caller, place)],
        "effective": [move for one in receipt["effective"] if (move := _cut_move(caller, one))],
    }


def cut_change(caller: Caller, change: dict[str, Any]) -> dict[str, Any]:
    """A change as this caller may see it. Raises `NotFound` if he may see none of it."""
    edits = [_cut_edit(caller, edit) for edit in change["edits"]]
    shown = cut_receipt(caller, change)
    mine = change["author"] == caller.principal
    if not mine and not shown["affected"] and all(edit is None for edit in edits):
        raise NotFound(f"there is no change {change['id']!r}", code="unknown_change")
    return {**shown, "edits": [edit for edit in edits if edit is not None]}


def sees_some(
    caller: Caller, affected: list[dict[str, Any]], edits: list[dict[str, Any]], author: str
) -> bool:
    """Whether a change belongs in a list for this caller."""
    if author == caller.principal or any(_may_see(caller, place) for place in affected):
        return True
    return any(_cut_edit(caller, edit) is not None for edit in edits)


def _may_see(caller: Caller, place: dict[str, Any]) -> bool:
    return may_read(caller, place["environment"], place["service"])


def _cut_move(caller: Caller, move: dict[str, Any]) -> dict[str, Any] | None:
    views = [place for place in move["views"] if _may_see(caller, place)]
    if not views:
        return None
    path = parse_key(move["key"])
    if any(may_read(caller, place["environment"], place["service"], path) for place in views):
        return {**move, "views": views}
    hidden: dict[str, Any] = {side: WITHHELD for side in ("old", "new") if side in move}
    return {**move, **hidden, "views": views}


def _cut_edit(caller: Caller, edit: dict[str, Any]) -> dict[str, Any] | None:
    """An edit as it may be seen; None if not even its place may be known."""
    if edit["kind"] == "environment":
        return edit if may_read(caller, edit["environment"], None) else None
    if not may_read(caller, edit["environment"], edit["service"]):
        return None
    if may_read(caller, edit["environment"], edit["service"], parse_key(edit["key"])):
        return edit
    return {**edit, "value": WITHHELD} if "value" in edit else edit

"""What of a change a caller is shown: what lies outside of his rights to read is withheld."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from coreconfig.errors import CoreConfigError, NotFound
from coreconfig.model.environments import Environments
from coreconfig.model.keys import parse_key
from coreconfig.server.access.caller import Caller
from coreconfig.server.access.decisions import WITHHELD, may_read, may_read_whole
from coreconfig.server.changes.impact import Pair


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


def sees_view(caller: Caller, pair: Pair, key: str | None) -> bool:
    """Whether a caller may know what is wrong at a key of a view, or in general there."""
    return may_read(caller, *pair, parse_key(key) if key else ())


def cut_error(caller: Caller, environments: Environments, error: CoreConfigError) -> CoreConfigError:
    """A failure as this caller may hear of it: names of environments that are not his are withheld."""
    foreign = [name for name in environments if not caller.in_scope(name)]
    if not foreign:
        return error
    named = re.compile(rf"(?<![A-Za-z0-9-])(?:{'|'.join(map(re.escape, foreign))})(?![A-Za-z0-9-])")
    error.message = named.sub(WITHHELD, error.message)
    error.issues = tuple(
        replace(
            issue,
            message=named.sub(WITHHELD, issue.message),
            key=WITHHELD if issue.key in foreign else issue.key,
        )
        for issue in error.issues
    )
    return error


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
        return _cut_shape(caller, edit) if may_read(caller, edit["environment"], None) else None
    if not may_read(caller, edit["environment"], edit["service"]):
        return None
    if may_read(caller, edit["environment"], edit["service"], parse_key(edit["key"])):
        return edit
    return {**edit, "value": WITHHELD} if "value" in edit else edit


def _cut_shape(caller: Caller, edit: dict[str, Any]) -> dict[str, Any]:
    """An edit of an environment: a document holds values of all keys."""
    if "document" not in edit or may_read_whole(caller, edit["environment"]):
        return edit
    return {**edit, "document": {}}

"""Taking back a revision: the edits that restore what it replaced."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from coreconfig.errors import Conflict, Issue
from coreconfig.model.canonical import same
from coreconfig.model.documents import service_document, to_document
from coreconfig.model.edits import Edit, EnvironmentEdit, ValueEdit
from coreconfig.model.environments import Environment, Environments, ServiceEntry, linearise
from coreconfig.model.keys import Path, format_key
from coreconfig.model.plans import plan
from coreconfig.model.trees import MISSING, get_at, is_object
from coreconfig.model.values import is_unset


def reverting_edits(before: Environments, after: Environments, now: Environments) -> list[Edit]:
    """The edits that undo the step from `before` to `after` in the environments as they are `now`.

    Raises `Conflict` (``revert_conflict``) naming every path that has been edited since.
    """
    edits, conflicts = undoing(before, after, now)
    demand_untouched(conflicts)
    return edits


def undoing(before: Environments, after: Environments, now: Environments) -> tuple[list[Edit], list[Issue]]:
    """The edits that undo a step, and what of it has been edited since."""
    edits: list[Edit] = []
    issues: list[Issue] = []
    for name in sorted(set(before) | set(after)):
        if before.get(name) is after.get(name):
            continue
        for edit in _inverse(name, before.get(name), after.get(name), now.get(name)):
            edits.append(edit)
            if not _untouched(edit, after.get(name), now.get(name)):
                issues.append(_edited_since(edit))
    return _in_order(edits, now), issues


def demand_untouched(conflicts: list[Issue]) -> None:
    """Raise `Conflict` (``revert_conflict``) if there are any."""
    if conflicts:
        raise Conflict(
            "some of what the revision changed has been edited since; decide these by name",
            code="revert_conflict",
            issues=conflicts,
        )


def _inverse(
    name: str, before: Environment | None, after: Environment | None, now: Environment | None
) -> Iterator[Edit]:
    if before is None:
        yield EnvironmentEdit(name, "delete", {})
    elif after is None:
        yield EnvironmentEdit(name, "create", to_document(before))
    else:
        for edit in plan(after, before):
            yield from _narrowed(edit, after, now)


def _narrowed(edit: Edit, after: Environment, now: Environment | None) -> Iterator[Edit]:
    """The edit; if something was added since to an object that it takes away, only for what was there."""
    taken = isinstance(edit, ValueEdit) and edit.operation == "delete"
    if not isinstance(edit, ValueEdit) or not taken or _untouched(edit, after, now):
        yield edit
        return
    for path in _entries(get_at(after.layer(edit.service), edit.path), edit.path):
        yield replace(edit, path=path)


def _entries(node: Any, at: Path) -> Iterator[Path]:
    """Where a layer says something at or below a path; a marker is one entry."""
    if not is_object(node) or not node or is_unset(node):
        yield at
        return
    for name, child in node.items():
        yield from _entries(child, (*at, name))


def _untouched(edit: Edit, after: Environment | None, now: Environment | None) -> bool:
    """Whether what the edit will change is still as the reverted revision left it."""
    if after is None or now is None:
        return after is now
    if isinstance(edit, ValueEdit):
        return _same_node(*(get_at(e.layer(edit.service), edit.path) for e in (after, now)))
    then_said, now_said = to_document(after), to_document(now)
    if edit.operation == "delete":
        return same(then_said, now_said)
    return all(
        _same_services(told, after, now) if name == "services" else same(then_said[name], now_said[name])
        for name, told in edit.document.items()
    )


def _same_services(told: Mapping[str, Any], after: Environment, now: Environment) -> bool:
    """Whether the services that an update names are as they were: with their layer where they will go."""
    return all(
        _same_entry(after.services.get(name), now.services.get(name), layer=facts is None)
        for name, facts in told.items()
    )


def _same_entry(then: ServiceEntry | None, now: ServiceEntry | None, *, layer: bool) -> bool:
    if then is None or now is None:
        return then is now
    said, current = service_document(then), service_document(now)
    if not layer:
        del said["configuration"], current["configuration"]
    return same(said, current)


def _same_node(then: Any, now: Any) -> bool:
    if then is MISSING or now is MISSING:
        return then is now
    return same(then, now)


def _edited_since(edit: Edit) -> Issue:
    if isinstance(edit, ValueEdit):
        where = f"{edit.environment}/{edit.service}" if edit.service else edit.environment
        return Issue("edited_since", f"edited since in {where}", key=format_key(edit.path))
    return Issue("edited_since", "the environment has been edited since", key=edit.environment)


def _in_order(edits: list[Edit], now: Environments) -> list[Edit]:
    """Environments come back before anything is set in them, and go last, children before parents."""
    rank = {"create": 0, "update": 1, "delete": 3}

    def place(edit: Edit) -> tuple[int, int]:
        if isinstance(edit, ValueEdit):
            return 2, 0
        goes = edit.operation == "delete" and edit.environment in now
        depth = len(linearise(now, edit.environment)) if goes else 0
        return rank[edit.operation], -depth

    return sorted(edits, key=place)

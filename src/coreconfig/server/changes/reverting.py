"""Taking back a revision: the edits that restore what it replaced."""

from __future__ import annotations

from collections.abc import Iterator

from coreconfig.errors import Conflict, Issue
from coreconfig.model.canonical import same
from coreconfig.model.documents import to_document
from coreconfig.model.edits import Edit, EnvironmentEdit, ValueEdit
from coreconfig.model.environments import Environment, Environments
from coreconfig.model.keys import format_key
from coreconfig.model.plans import plan
from coreconfig.model.trees import MISSING, get_at


def reverting_edits(before: Environments, after: Environments, now: Environments) -> list[Edit]:
    """The edits that undo the step from `before` to `after` in the environments as they are `now`.

    Raises `Conflict` (``revert_conflict``) naming every path that has been edited since.
    """
    edits: list[Edit] = []
    issues: list[Issue] = []
    for name in sorted(set(before) | set(after)):
        if before.get(name) is after.get(name):
            continue
        for edit in _inverse(name, before.get(name), after.get(name)):
            edits.append(edit)
            if not _untouched(edit, after.get(name), now.get(name)):
                issues.append(_edited_since(edit))
    if issues:
        raise Conflict(
            "some of what the revision changed has been edited since; decide these by name",
            code="revert_conflict",
            issues=issues,
        )
    return _in_order(edits)


def _inverse(name: str, before: Environment | None, after: Environment | None) -> Iterator[Edit]:
    if before is None:
        yield EnvironmentEdit(name, "delete", {})
    elif after is None:
        yield EnvironmentEdit(name, "create", to_document(before))
    else:
        yield from plan(after, before)


def _untouched(edit: Edit, after: Environment | None, now: Environment | None) -> bool:
    """Whether what the edit will change is still as the reverted revision left it."""
    if after is None or now is None:
        return after is now
    if isinstance(edit, ValueEdit):
        then, current = (get_at(e.layer(edit.service), edit.path) for e in (after, now))
        if then is MISSING or current is MISSING:
            return then is current
        return same(then, current)
    then_said, now_said = to_document(after), to_document(now)
    if edit.operation == "delete":
        return same(then_said, now_said)
    return all(_same_attribute(name, then_said, now_said) for name in edit.document)


def _same_attribute(name: str, then: dict[str, object], now: dict[str, object]) -> bool:
    return name == "services" or same(then[name], now[name])


def _edited_since(edit: Edit) -> Issue:
    if isinstance(edit, ValueEdit):
        where = f"{edit.environment}/{edit.service}" if edit.service else edit.environment
        return Issue("edited_since", f"edited since in {where}", key=format_key(edit.path))
    return Issue("edited_since", "the environment has been edited since", key=edit.environment)


def _in_order(edits: list[Edit]) -> list[Edit]:
    """Environments come back before anything is set in them, and go last."""
    rank = {"create": 0, "update": 1, "delete": 3}
    return sorted(edits, key=lambda e: rank[e.operation] if isinstance(e, EnvironmentEdit) else 2)

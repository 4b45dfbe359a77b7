"""Who may propose what: every edit needs the right to write where it is made."""

from __future__ import annotations

from collections.abc import Iterable

from coreconfig.errors import CoreConfigError, Issue
from coreconfig.model.edits import Edit, ValueEdit
from coreconfig.server.access.actions import Action, Target
from coreconfig.server.access.caller import Caller
from coreconfig.server.access.decisions import may, refusal


def authorise(caller: Caller, edits: Iterable[Edit]) -> None:
    """Raise the first refusal, with every edit that the caller may not make as an issue."""
    refused = [place for edit in edits if not may(caller, *(place := _place(edit)))]
    if not refused:
        return
    error = refusal(caller, *refused[0])
    error.issues = tuple(_issue(refusal(caller, *place), place[1]) for place in refused)
    raise error


def _place(edit: Edit) -> tuple[Action, Target]:
    if isinstance(edit, ValueEdit):
        return Action.PROPOSE, Target(edit.environment, edit.service, edit.path)
    return Action.SHAPE_ENVIRONMENT, Target(edit.environment)


def _issue(error: CoreConfigError, target: Target) -> Issue:
    return Issue(error.code, error.message, key=str(target))

"""Who may propose what: every edit needs the right to write where it is made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

from coreconfig.errors import CoreConfigError, Invalid, Issue
from coreconfig.model.edits import Edit, EnvironmentEdit, ValueEdit
from coreconfig.model.environments import Environments, no_such_parent
from coreconfig.model.keys import parse_key
from coreconfig.model.references import references_in
from coreconfig.model.values import refuse
from coreconfig.server.access.actions import Action, Target
from coreconfig.server.access.caller import Caller
from coreconfig.server.access.decisions import Refused, may, refusal
from coreconfig.server.changes.judge import BROKEN_STRUCTURE


def authorise(caller: Caller, edits: Iterable[Edit], environments: Environments) -> None:
    """Raise the first refusal, with every edit that the caller may not make as an issue.

    Nobody gets to read by writing: a reference to a key that the token was not given, and a parent that it
    was not given, which is told like one that does not exist (``inherits_unknown``), are refused too.
    """
    asked = list(edits)
    places = [place for edit in asked for place in (_place(edit), *_read_by(caller, edit))]
    refused = [place for place in places if not may(caller, *place)]
    if refused:
        error = refusal(caller, *refused[0])
        error.issues = tuple(_issue(refusal(caller, *place), place[1]) for place in refused)
        raise error
    refuse(list(_foreign_parents(caller, asked, environments)), BROKEN_STRUCTURE)


def authorise_revert(caller: Caller, edits: Iterable[Edit], revision: int) -> None:
    """Raise one refusal if any of these edits is not for this caller; which they are he may not know."""
    if all(may(caller, *_place(edit)) for edit in edits):
        return
    raise Refused(
        f"revision {revision} changed what this token may not write, so somebody else has to revert it",
        caller,
        Action.PROPOSE,
        Target(name=f"revision {revision}"),
    )


def _place(edit: Edit) -> tuple[Action, Target]:
    if isinstance(edit, ValueEdit):
        return Action.PROPOSE, Target(edit.environment, edit.service, edit.path)
    return Action.SHAPE_ENVIRONMENT, Target(edit.environment)


def _read_by(caller: Caller, edit: Edit) -> Iterator[tuple[Action, Target]]:
    """What an edit would let its author read, where his keys are limited."""
    if not isinstance(edit, ValueEdit) or caller.kind == "service" or caller.covers(()):
        return
    for reference in references_in(edit.value):
        if reference.scheme == "config":
            with suppress(Invalid):  # what is no key is told when the change is judged
                target = Target(edit.environment, edit.service, parse_key(reference.name))
                yield Action.READ_CONFIGURATION, target


def _foreign_parents(caller: Caller, edits: Iterable[Edit], environments: Environments) -> Iterator[Issue]:
    for edit in edits:
        if isinstance(edit, EnvironmentEdit):
            name, current = edit.environment, environments.get(edit.environment)
            known = current.inherits if current else ()
            for parent in edit.document.get("inherits") or ():
                if parent not in known and not caller.in_scope(parent):
                    yield Issue("inherits_unknown", no_such_parent((name, parent)), key=name)


def _issue(error: CoreConfigError, target: Target) -> Issue:
    return Issue(error.code, error.message, key=str(target))

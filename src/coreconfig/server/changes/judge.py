"""Whether a change may be made: everything that is wrong with it, before anything is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from coreconfig.errors import Issue
from coreconfig.model.edits import Edit, Touch, apply_edits, check_structure
from coreconfig.model.environments import Environment, Environments, linearise
from coreconfig.model.seals import broken_seals
from coreconfig.model.values import refuse
from coreconfig.model.views import View, check_view_size
from coreconfig.server.changes.impact import Impact, impact_of


@dataclass(frozen=True, slots=True)
class Judgement:
    """A change that may be made: the environments after it, what it touches and what it moves."""

    environments: dict[str, Environment]
    touches: tuple[Touch, ...]
    impact: Impact


def judge(environments: Environments, edits: Sequence[Edit]) -> Judgement:
    """The consequences of edits. Raises `Invalid` with every issue that they introduce.

    What was wrong before and is no worse now does not stand in the way of a change.
    """
    applied = apply_edits(environments, edits)
    refuse(check_structure(applied.environments, edits), "the change breaks the structure of environments")
    impact = impact_of(environments, applied.environments, applied.touches)
    issues = [*_unresolved(impact), *_too_large(applied.environments, impact)]
    issues += _unsealed(environments, applied.environments, impact)
    refuse(issues, "the change cannot be made")
    return Judgement(applied.environments, applied.touches, impact)


def _unresolved(impact: Impact) -> list[Issue]:
    """References that lead nowhere because of the change, with the view in which they do."""
    found: list[Issue] = []
    for old, new in impact.views:
        if new is not None:
            known = set(old.issues) if old else set()
            found += [_in_view(issue, new) for issue in new.issues if issue not in known]
    return found


def _in_view(issue: Issue, view: View) -> Issue:
    whose = f"{view.environment}/{view.service}" if view.service else view.environment
    return Issue(issue.code, f"{issue.message} (in {whose})", issue.severity, issue.key)


def _too_large(environments: Environments, impact: Impact) -> list[Issue]:
    """Views that grow over their limit; references can multiply what layers hold, so these are weighed."""
    resolved = {(view.environment, view.service): view for _, view in impact.views if view is not None}
    return [
        issue
        for pair in impact.affected
        if pair[0] in environments
        for issue in check_view_size(environments, *pair, view=resolved.get(pair))
    ]


def _unsealed(before: Environments, after: Environments, impact: Impact) -> list[Issue]:
    """Seals that the change breaks: a sealed key moves in a descendant, or a parent begins to seal it."""
    found: list[Issue] = []
    by_environment: dict[str, set[str | None]] = {}
    for environment, service in impact.affected:
        by_environment.setdefault(environment, set()).add(service)
    for environment in _newly_sealed(before, after):
        by_environment[environment] = {None, *_declared(after, environment)}
    for environment, services in sorted(by_environment.items()):
        if environment in after:
            ordered = sorted(services, key=lambda service: service or "")
            known = set(broken_seals(before, environment, ordered)) if environment in before else set()
            found += [issue for issue in broken_seals(after, environment, ordered) if issue not in known]
    return found


def _newly_sealed(before: Environments, after: Environments) -> set[str]:
    """The environments below one whose seals have changed."""
    changed = {
        name
        for name, environment in after.items()
        if environment.sealed and (name not in before or before[name].sealed != environment.sealed)
    }
    if not changed:
        return set()
    return {name for name in after if changed & set(linearise(after, name)[:-1])}


def _declared(environments: Environments, environment: str) -> set[str]:
    return {s for name in linearise(environments, environment) for s in environments[name].services}

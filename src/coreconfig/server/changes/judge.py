"""Whether a change may be made: everything that is wrong with it, before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from coreconfig.errors import Issue
from coreconfig.model.edits import Edit, Touch, apply_edits, check_structure
from coreconfig.model.environments import Environment, Environments, known_services, linearise
from coreconfig.model.keys import Path
from coreconfig.model.seals import broken_seals
from coreconfig.model.values import refuse
from coreconfig.model.views import View, check_view_size
from coreconfig.server.changes.impact import Impact, Pair, impact_of

BROKEN_STRUCTURE: Final = "the change breaks the structure of environments"

Finding = tuple[Pair, Issue]
"""What is wrong in one view."""

MaySee = Callable[[Pair, str | None], bool]
"""Whether somebody may read what is wrong at a key (or in general) in a view."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A change that may be made: the environments after it, what it touches and what it moves."""

    environments: dict[str, Environment]
    touches: tuple[Touch, ...]
    impact: Impact


def _everybody(pair: Pair, key: str | None) -> bool:
    return True


def judge(environments: Environments, edits: Sequence[Edit], may_see: MaySee = _everybody) -> Judgement:
    """The consequences of edits. Raises `Invalid` with every issue that they introduce.

    What was wrong before and is no worse now does not stand in the way of a change. Of a view that the author
    `may_see` not, only the broken rule is told.
    """
    applied = apply_edits(environments, edits)
    refuse(check_structure(applied.environments, edits), BROKEN_STRUCTURE)
    impact = impact_of(environments, applied.environments, applied.touches)
    findings = [
        *_unresolved(impact),
        *_too_large(applied.environments, impact),
        *_unsealed(environments, applied.environments, applied.touches, impact),
    ]
    refuse(_told(findings, may_see), "the change cannot be made")
    return Judgement(applied.environments, applied.touches, impact)


def _told(findings: Iterable[Finding], may_see: MaySee) -> list[Issue]:
    """The issues as their author may read them, those of hidden views once for each rule."""
    told = [issue if may_see(pair, issue.key) else _hidden(issue) for pair, issue in findings]
    return list(dict.fromkeys(told))


def _hidden(issue: Issue) -> Issue:
    text = "the change would break this rule where you may not read; ask somebody who may"
    return Issue(issue.code, text, issue.severity)


def _unresolved(impact: Impact) -> Iterator[Finding]:
    """References that lead nowhere because of the change, with the view in which they do."""
    for old, new in impact.views:
        if new is not None:
            known = set(old.issues) if old else set()
            yield from (_in_view(issue, new) for issue in new.issues if issue not in known)


def _in_view(issue: Issue, view: View) -> Finding:
    whose = f"{view.environment}/{view.service}" if view.service else view.environment
    told = Issue(issue.code, f"{issue.message} (in {whose})", issue.severity, issue.key)
    return (view.environment, view.service), told


def _too_large(environments: Environments, impact: Impact) -> Iterator[Finding]:
    """Views that grow over their limit; references can multiply what layers hold, so these are weighed."""
    resolved = {(view.environment, view.service): view for _, view in impact.views if view is not None}
    for pair in impact.affected:
        if pair[0] in environments:
            for issue in check_view_size(environments, *pair, view=resolved.get(pair)):
                yield pair, issue


def _unsealed(
    before: Environments, after: Environments, touches: Sequence[Touch], impact: Impact
) -> Iterator[Finding]:
    """Seals that the change breaks.

    A value need not move for that where it is set: its seal may, or the parent that seals it is a new one.
    """
    newly = _newly_sealed(before, after)
    reached = {*impact.reached, *((name, service) for name in newly for service in _services(after, name))}
    everywhere = any(not touch.path for touch in touches)
    paths = None if everywhere else tuple(dict.fromkeys(touch.path for touch in touches))
    for environment, service in sorted(reached, key=lambda pair: (pair[0], pair[1] or "")):
        if environment in after:
            looked_at = None if environment in newly else paths
            broken = list(_broken(after, environment, service, looked_at))
            known = set(_broken(before, environment, service, looked_at)) if broken else set()
            yield from (((environment, service), issue) for issue in broken if issue not in known)


def _broken(
    environments: Environments, environment: str, service: str | None, paths: Sequence[Path] | None
) -> Iterator[Issue]:
    if environment in environments:
        yield from broken_seals(environments, environment, [service], paths)


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


def _services(environments: Environments, environment: str) -> list[str | None]:
    return [None, *known_services(environments, environment)]

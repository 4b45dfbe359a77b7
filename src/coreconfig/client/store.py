"""Holds the current state: judges what is offered, checks it, swaps it in, and says how fresh it is.

Only the link offers, and begins no offer before the last one ended or its conversation did; so an offer whose
check takes long may be overtaken, and is then judged anew. Any thread reads, binds and adds checks.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, Protocol

from coreconfig.client.clock import Clock
from coreconfig.client.state import Finish, Source, State, advanced, only_defaults
from coreconfig.errors import CoreConfigError, Invalid, Issue
from coreconfig.model.keys import parse_key
from coreconfig.model.snapshots import TreeChange, apply, diff, digest_after, digest_of, digest_text
from coreconfig.model.trees import Tree, shared
from coreconfig.wire.frames import At, ChangedPush, SnapshotPush

_log = logging.getLogger(__name__)

Push = SnapshotPush | ChangedPush


class Availability(StrEnum):
    """How good the data is that is read."""

    DEFAULTS = "DEFAULTS"
    """No snapshot: only what the program brought along."""
    CACHED = "CACHED"
    """The last known good, which the server does not confirm at the moment."""
    CURRENT = "CURRENT"
    """What the server says should run here."""


class Check(Protocol):
    """What a candidate has to pass before it is applied."""

    def examine(self, candidate: State) -> Callable[[], None] | None:
        """Raise if the candidate must not be applied; else what to do once it is."""
        ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of an offer.

    ``applied``: it is read now; ``kept``: what is held is as new or newer; ``rejected``: a check refused it;
    ``unfit``: it does not continue what is held, or its digest does not come out.
    """

    outcome: Literal["applied", "kept", "rejected", "unfit"]
    reason: str | None = None
    issues: tuple[Issue, ...] = ()
    revision: int = 0
    """The revision that was offered."""


@dataclass(slots=True)
class Counts:
    """What happened to offers."""

    applied: int = 0
    rejected: int = 0
    unfit: int = 0


class Store:
    """The current state and how it came about."""

    def __init__(self, finish: Finish, clock: Clock, publish: Callable[[State, Availability], None]) -> None:
        """`publish` is called after each swap and each change of availability, before watches are woken."""
        self._finish = finish
        self._clock = clock
        self._publish = publish
        self._lock = threading.Lock()
        self._checks: tuple[Check, ...] = ()
        self._confirmed: float | None = None
        self.state = only_defaults(finish)
        self.availability = Availability.DEFAULTS
        self.counts = Counts()
        self.rejection: Verdict | None = None
        """The verdict on the last offer, if it was rejected."""
        self._swapped: list[Callable[[State], None]] = []

    def on_swap(self, callback: Callable[[State], None]) -> None:
        """Call back after each swap, with the lock released: watches and the cache."""
        self._swapped.append(callback)

    def offer(self, push: Push, *, source: Source = "service", installation: str = "") -> Verdict:
        """Judge a push and, if it passes everything, read from it from now on; bad content is a verdict."""
        verdict = None
        while verdict is None:  # again where another snapshot came in while checks looked at this one
            held = self.state
            if _is_newer(held, push.at, installation):
                text = f"revision {held.revision} is held, which is as new as revision {push.at.revision}"
                return Verdict("kept", text)
            verdict = self._judged(held, push, source, installation)
        return verdict

    def _judged(self, held: State, push: Push, source: Source, installation: str) -> Verdict | None:
        try:
            candidate = self._candidate(held, push, source, installation)
        except (CoreConfigError, RecursionError, TypeError, ValueError) as error:
            # the last two: what is no JSON value at all, such as a SET without a value
            _log.warning("revision %d cannot be used: %s", push.at.revision, error)
            self.counts.unfit += 1
            return Verdict("unfit", str(error))
        return self.activate(candidate, held)

    def activate(self, candidate: State, held: State) -> Verdict | None:
        """Let all checks look at a candidate, and swap it in for `held` if none objects.

        None, and nothing was done, if something else than `held` is held by then.
        """
        verdict = self._examined_and_swapped(candidate, held)
        if verdict is None:
            return None
        if verdict.outcome == "rejected":
            self.counts.rejected += 1
            self.rejection = verdict
            _log.error(
                "revision %d is refused and %d is kept: %s",
                candidate.revision,
                self.state.revision,
                verdict.reason,
            )
            return verdict
        self.counts.applied += 1
        self.rejection = None
        for callback in self._swapped:
            callback(self.state)
        return verdict

    def candidate_from(
        self, held: State, at: At, values: Mapping[str, Any], *, source: Source, **rest: Any
    ) -> State:
        """The state that a whole snapshot leads to from `held`. Raises `Invalid` (``digest_mismatch``)."""
        raw = shared(dict(values))
        secrets = rest.get("secrets") or {}
        _check_digest(digest_of(raw, secrets), at)
        changes = diff(held.raw, raw)
        # going by way of the difference keeps the nodes that did not change, and with them typed reads
        return advanced(
            held,
            apply(held.raw, changes),
            changes,
            self._finish,
            at=at,
            source=source,
            secrets=secrets,
            timestamp=rest.get("timestamp", ""),
            installation=rest.get("installation", ""),
        )

    def confirm(self, at: At, installation: str = "") -> None:
        """The server says that what is held is right at `at` too; if it is held still, that is so."""
        with self._lock:
            if self.state.at is None or self.state.at.digest != at.digest:
                return
            self.state = self.state.moved_to(at, self.state.source, installation or self.state.installation)
        self.refreshed()

    def refreshed(self) -> None:
        """The server is there and has nothing newer."""
        self._confirmed = self._clock.monotonic()
        if self.state.at is not None:
            self._set_availability(Availability.CURRENT)

    def lost(self) -> None:
        """The server is out of reach: what is held is the last known good."""
        if self.availability is Availability.CURRENT:
            self._confirmed = self._clock.monotonic()
            self._set_availability(Availability.CACHED)

    def cached_since(self, seconds_ago: float) -> None:
        """The held state comes from an earlier time: it was confirmed so long ago."""
        self._confirmed = self._clock.monotonic() - max(0.0, seconds_ago)
        self._set_availability(Availability.CACHED)

    @property
    def age(self) -> float:
        """Seconds since the server last confirmed what is held; infinite if it never did."""
        if self.availability is Availability.CURRENT:
            return 0.0
        return float("inf") if self._confirmed is None else self._clock.monotonic() - self._confirmed

    def add_check(self, check: Check, *, against_current: bool) -> None:
        """Have every candidate examined by this check too; with `against_current` also what is read now.

        Raises what the check raises; then it is not added.
        """
        while True:
            state = self.state
            settle = check.examine(state) if against_current else None
            with self._lock:
                # examined without the lock, so that a slow check holds up nobody; again if a swap came in
                if self.state is state or not against_current:
                    self._checks = (*self._checks, check)
                    if settle is not None:
                        settle()
                    return

    def remove_check(self, check: Check) -> None:
        """Stop examining candidates with this check."""
        with self._lock:
            self._checks = tuple(other for other in self._checks if other is not check)

    @property
    def has_checks(self) -> bool:
        """Whether an offer may run a program's own code and so take long."""
        return bool(self._checks)

    def after_fork(self) -> None:
        """In a forked child: nobody holds the lock here, and no server confirms anything yet."""
        self._lock = threading.Lock()
        if self.availability is Availability.CURRENT:
            self.availability = Availability.CACHED

    def _candidate(self, held: State, push: Push, source: Source, installation: str) -> State:
        if isinstance(push, SnapshotPush):
            return self.candidate_from(
                held,
                push.at,
                push.values,
                source=source,
                secrets=push.secrets,
                timestamp=push.timestamp,
                installation=installation,
            )
        changes = [_tree_change(change.key, change.operation, change.value) for change in push.changes]
        raw = apply(held.raw, changes)
        _check_digest(_digest_after(held, raw, changes, push.secrets), push.at)
        return advanced(
            held,
            raw,
            changes,
            self._finish,
            at=push.at,
            source=source,
            secrets=push.secrets,
            timestamp=push.timestamp,
            installation=installation,
        )

    def _examined_and_swapped(self, candidate: State, held: State) -> Verdict | None:
        settled: dict[Check, Callable[[], None] | None] = {}
        while True:
            checks = self._checks
            issues = _examine([check for check in checks if check not in settled], candidate, settled)
            with self._lock:
                if self.state is not held:
                    # a check may take long, and the link may have come by something newer meanwhile
                    return None
                if issues:
                    reason = "; ".join(str(issue) for issue in issues)
                    return Verdict("rejected", reason, tuple(issues), candidate.revision)
                if self._checks is checks:
                    self._swap(candidate, [settled[check] for check in checks])
                    return Verdict("applied")

    def _swap(self, candidate: State, settle: Iterable[Callable[[], None] | None]) -> None:
        self.state = candidate
        for make_visible in settle:
            if make_visible is not None:
                make_visible()
        self._publish(candidate, self.availability)

    def _set_availability(self, availability: Availability) -> None:
        # with the lock, so that it cannot publish a state that is being replaced on another thread
        with self._lock:
            self.availability = availability
            self._publish(self.state, availability)


def _is_newer(held: State, at: At, installation: str) -> bool:
    """Whether what is held is what `at` names, or newer. Revisions of two installations have no order."""
    if held.at is None or (installation and held.installation and installation != held.installation):
        return False
    return held.at == at or (at.epoch, at.revision) < held.order


def _examine(
    checks: Iterable[Check], candidate: State, settled: dict[Check, Callable[[], None] | None]
) -> list[Issue]:
    """What all checks object to; what to do after the swap goes into `settled`."""
    issues: list[Issue] = []
    for check in checks:
        try:
            settled[check] = check.examine(candidate)
        except CoreConfigError as error:
            issues += error.issues or [Issue(error.code, error.message)]
        except Exception as error:  # noqa: BLE001  # a check is the program's own code: whatever it raises is its "no"
            issues.append(Issue("check_failed", f"{type(error).__name__}: {error}"))
    return issues


def _tree_change(key: str, operation: Literal["SET", "DELETE"], value: Any) -> TreeChange:
    return TreeChange(parse_key(key), operation, shared(value) if operation == "SET" else None)


def _digest_after(held: State, raw: Tree, changes: list[TreeChange], secrets: Mapping[str, int]) -> int:
    if held.at is None or dict(held.secrets) != dict(secrets):
        return digest_of(raw, secrets)
    return digest_after(int(held.at.digest, 16), held.raw, raw, changes)


def _check_digest(digest: int, at: At) -> None:
    if digest_text(digest) != at.digest:
        raise Invalid(
            f"the content of revision {at.revision} has another digest than was announced",
            code="digest_mismatch",
        )

"""The checker on histories written by hand: each rule finds what breaks it, and nothing in what is right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.consistency.check import Limits, check
from tests.consistency.history import (
    Calm,
    Edit,
    Event,
    Guard,
    History,
    Joined,
    Left,
    Link,
    Log,
    Read,
    Restored,
    Row,
    Seen,
    Told,
    Try,
    Watching,
)

END = 1_000.0


def row(revision: int, write: str | None = None, epoch: int = 1, **values: Any) -> Row:
    """A row that sets keys of the base layer of `e`; the first one creates `e` with the service `s`."""
    if revision == 1 and not values:
        document = {"id": "e", "type": "testing", "services": {"s": {"configuration": {}}}}
        create = {"kind": "environment", "environment": "e", "operation": "create", "document": document}
        return Row(epoch, revision, write, (create,))
    edits = tuple(
        {"kind": "value", "environment": "e", "service": None, "key": key, "operation": "set", "value": value}
        for key, value in values.items()
    )
    return Row(epoch, revision, write, edits)


def log(*rows: Row, at: float = END) -> Log:
    """The log with the row that creates the environment before these."""
    return Log(at, (row(1), *rows))


def done(write: str, asked: float, answered: float, revision: int, **values: Any) -> Try:
    """A write that was answered with a revision."""
    edits = tuple(Edit("e", None, key, "set", value) for key, value in values.items())
    return Try(write, edits, asked, answered, "done", revision)


def refused(write: str, asked: float, answered: float, **values: Any) -> Try:
    """A write that was answered that nothing was stored."""
    edits = tuple(Edit("e", None, key, "set", value) for key, value in values.items())
    return Try(write, edits, asked, answered, "refused", None, "conflict")


def read(asked: float, answered: float, revision: int, content: Any, minimum: int | None = None) -> Read:
    """A read of the environment's own view."""
    return Read("e", None, asked, answered, minimum, revision, content, "server")


def seen(at: float, revision: int, content: Any, *, epoch: int = 1, by: str = "program") -> Seen:
    """What the client `c` had."""
    return Seen("c", by, at, at, epoch, revision, content)


def told(at: float, key: str, old: Any, new: Any, revision: int) -> Told:
    """What the watch `w` of the client `c` was told."""
    return Told("c", "w", at, key, old, new, "DELETE" if new is None else "SET", revision)


JOINED = Joined("c", 0.0, "e", "s")
WATCHING = Watching("c", "w", ("**",), (1, 1), (1, 1))


def broken(*events: Event) -> set[tuple[int, str]]:
    """Which rules a history breaks."""
    return {
        (violation.promise, violation.rule) for violation in check(History(list(events)), Limits(slack=0.5))
    }


def test_a_history_in_which_everything_went_well_breaks_nothing() -> None:
    """Writes in order, reads that keep up, a client that follows and a watch that is told."""
    assert not broken(
        JOINED,
        Link("c", 0.1, True),
        WATCHING,
        seen(0.2, 1, {}),
        done("w1", 1, 2, 2, a=1),
        read(2.1, 2.2, 2, {"a": 1}, minimum=2),
        seen(2.5, 2, {"a": 1}, by="swap"),
        told(2.6, "a", None, 1, 2),
        done("w2", 3, 4, 3, a=2, b=1),
        told(4.1, "a", 1, 2, 3),
        told(4.2, "b", None, 1, 3),
        Calm(5),
        seen(6, 3, {"a": 2, "b": 1}, by="end"),
        log(row(2, "w1", a=1), row(3, "w2", a=2, b=1)),
    )


def test_an_answered_write_that_the_log_does_not_have_is_found() -> None:
    """2xx means durable."""
    assert broken(done("w1", 1, 2, 2, a=1), log()) == {(1, "2xx means durable")}


def test_a_write_without_an_answer_may_be_there_or_not() -> None:
    """Nobody was promised anything."""
    lost = Try("w1", (Edit("e", None, "a", "set", 1),), 1, 2, "unknown")
    assert not broken(lost, log())
    assert not broken(lost, log(row(2, "w1", a=1)))


def test_a_write_that_was_refused_and_is_stored_is_found() -> None:
    """A refusal says that nothing happened."""
    assert (1, "what is refused is not stored") in broken(refused("w1", 1, 2, a=1), log(row(2, "w1", a=1)))


def test_a_write_that_is_stored_twice_is_found() -> None:
    """However often it was sent."""
    twice = log(row(2, "w1", a=1), row(3, "w1", a=1))
    assert (1, "a write is applied once") in broken(done("w1", 1, 2, 2, a=1), twice)


def test_a_later_write_with_a_lower_revision_is_found() -> None:
    """Who asks after an answer comes after it."""
    rows = log(row(2, "late", a=2), row(3, "early", a=1))
    assert (1, "the order of revisions is that of time") in broken(
        done("early", 1, 2, 3, a=1), done("late", 3, 4, 2, a=2), rows
    )
    assert not broken(done("early", 1, 3.5, 3, a=1), done("late", 3, 4, 2, a=2), rows)


def test_a_read_below_its_minimum_is_found() -> None:
    """Whatever else is true of it."""
    old = read(1, 2, 1, {}, minimum=2)
    assert broken(old, log(row(2, a=1))) == {(1, "a read with a minimum never lags")}


def test_a_read_without_a_minimum_may_lag_a_poll_interval_and_no_longer() -> None:
    """One second, and half a second of slack here."""
    rows, write = log(row(2, "w1", a=1)), done("w1", 1, 2, 2, a=1)
    assert not broken(write, read(3.4, 3.5, 1, {}), rows)
    assert broken(write, read(3.6, 3.7, 1, {}), rows) == {(1, "a read lags at most a poll interval")}


def test_a_read_of_what_was_never_committed_is_found() -> None:
    """Neither a revision beyond the log nor a content that its revision does not have."""
    assert broken(read(1, 2, 2, {"a": 1}), log()) == {(4, "what is read was committed")}
    assert broken(read(1, 2, 2, {"a": 1}), log(row(2, a=2))) == {(4, "a snapshot is one revision")}


def test_a_condition_that_did_not_hold_is_found() -> None:
    """The key moved between the state that was named and the write, by whomever."""
    edit = (Edit("e", None, "a", "set", 3),)
    guard = Guard("if_match", "e", None, "a", 1, 2)
    write = Try("w", edit, 1, 2, "done", 4, None, guard)
    moved = log(row(2, a=1), row(3, a=2), row(4, "w", a=3))
    unmoved = log(row(2, a=1), row(3, b=2), row(4, "w", a=3))
    assert broken(write, moved) == {(1, "a condition holds where the write stands")}
    assert not broken(write, unmoved)


def test_a_condition_that_held_and_was_refused_is_found() -> None:
    """An unrelated write is no conflict."""
    edit, guard = (Edit("e", None, "a", "set", 3),), Guard("if_match", "e", None, "a", 1, 2)
    write = Try("w", edit, 1, 2, "refused", None, "precondition_failed", guard)
    assert broken(write, log(row(2, a=1), row(3, b=2))) == {(1, "an unrelated write is no conflict")}
    assert not broken(write, log(row(2, a=1), row(3, a=2)))


def test_a_row_that_changes_or_goes_after_it_was_read_is_found() -> None:
    """The log only grows."""
    early = log(row(2, a=1), at=1.0)
    assert broken(early, log(row(2, a=2))) == {(1, "a row never changes")}
    assert broken(early, log()) == {(1, "a row never goes")}


def test_a_client_that_goes_back_is_found() -> None:
    """In epoch and revision; a greater epoch with a lower revision is no way back."""
    rows = log(row(2, a=1), row(3, b=1))
    back = [seen(1, 3, {"a": 1, "b": 1}), seen(2, 2, {"a": 1})]
    assert broken(JOINED, *back, rows) == {(2, "a client never goes back")}
    assert not broken(JOINED, *reversed([seen(2, 3, {"a": 1, "b": 1}), seen(1, 2, {"a": 1})]), rows)


def test_half_of_a_batch_is_found() -> None:
    """In what a client had, and in the log itself."""
    batch = log(row(2, "w", a=1, b=1))
    assert broken(JOINED, seen(1, 2, {"a": 1}), batch) == {(4, "a snapshot is one revision")}
    assert (4, "a batch is one revision") in broken(done("w", 1, 2, 2, a=1, b=1), log(row(2, "w", a=1)))


WATCHES: dict[str, Callable[[], list[Told]]] = {
    "exactly once": lambda: [told(1, "a", None, 1, 2), told(2, "a", None, 1, 2), told(3, "b", None, 1, 3)],
    "each difference": lambda: [told(3, "b", None, 1, 3)],
    "in revision order": lambda: [
        told(1, "b", None, 1, 3),
        told(1, "a", None, 1, 3),
        told(2, "a", None, 1, 2),
    ],
    "old and new": lambda: [told(1, "a", None, 2, 2), told(3, "b", None, 1, 3)],
    "of differences only": lambda: [
        told(1, "a", None, 1, 2),
        told(2, "b", None, 1, 3),
        told(2, "c", None, 1, 3),
    ],
}


@pytest.mark.parametrize("rule", WATCHES)
def test_a_watch_that_is_told_the_wrong_thing_is_found(rule: str) -> None:
    """Twice, nothing, out of order, with other values, or of what did not move."""
    rows = log(row(2, a=1), row(3, b=1))
    end = seen(9, 3, {"a": 1, "b": 1}, by="end")
    assert broken(JOINED, WATCHING, *WATCHES[rule](), end, rows) == {(3, rule)}


def test_a_watch_may_skip_states_but_has_to_be_told_of_the_last() -> None:
    """Two revisions in one step, and silence at the end."""
    rows, end = log(row(2, a=1), row(3, a=2)), seen(9, 3, {"a": 2}, by="end")
    assert not broken(JOINED, WATCHING, told(1, "a", None, 2, 3), end, rows)
    assert broken(JOINED, WATCHING, told(1, "a", None, 1, 2), end, rows) == {(3, "each difference")}


def test_a_watch_is_told_of_what_its_patterns_match_and_of_nothing_else() -> None:
    """An object above a leaf that moved has moved as well."""
    rows = log(Row(1, 2, None, (edit_of("a.b", 1), edit_of("c", 1))))
    watching = Watching("c", "w", ("a", "a.*"), (1, 1), (1, 1))
    right = [told(1, "a", None, {"b": 1}, 2), told(2, "a.b", None, 1, 2)]
    assert not broken(JOINED, watching, *right, rows)
    assert broken(JOINED, watching, right[1], rows) == {(3, "each difference")}
    assert broken(JOINED, watching, *right, told(3, "c", None, 1, 2), rows) == {(3, "of differences only")}


def test_a_client_that_does_not_arrive_in_time_is_found() -> None:
    """30 s if it was connected when the faults stopped, 60 s if it was not; one that has left may miss it."""
    rows, link = log(row(2, a=1)), Link("c", 1, True)
    arrives = {at: seen(at, 2, {"a": 1}) for at in (39.0, 41.0, 71.0)}
    late = {(8, "clients converge")}
    assert not broken(JOINED, link, Calm(10), arrives[39.0], rows)
    assert broken(JOINED, link, Calm(10), arrives[41.0], rows) == late
    assert not broken(JOINED, Calm(10), arrives[41.0], rows)
    assert broken(JOINED, Calm(10), arrives[71.0], rows) == late
    assert broken(JOINED, Calm(10), rows) == late
    assert not broken(JOINED, Left("c", 5), Calm(10), rows)


def test_what_a_restored_copy_does_not_hold_is_excused() -> None:
    """Writes and reads of before belong to the log of before; clients follow into the new epoch."""
    before = log(row(2, "kept", a=1), row(3, "lost", a=2), at=5.0)
    after = log(row(2, "kept", a=1), row(3, epoch=2, b=1))
    events: list[Event] = [
        JOINED,
        done("kept", 1, 2, 2, a=1),
        done("lost", 3, 4, 3, a=2),
        read(4.1, 4.2, 3, {"a": 2}),
        seen(4.5, 3, {"a": 2}),
        before,
        Restored(6.0, 2),
        seen(7.0, 3, {"a": 1, "b": 1}, epoch=2),
        Calm(8.0),
        seen(9.0, 3, {"a": 1, "b": 1}, epoch=2),
        after,
    ]
    assert not broken(*events)
    stays = seen(10.0, 3, {"a": 2})
    assert broken(*events, stays) == {(2, "a client never goes back"), (8, "clients converge")}


def test_a_history_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    """So that a run that failed can be judged again."""
    guard = Guard("if_match", "e", None, "a", 1, 2)
    history = History(
        [
            JOINED,
            WATCHING,
            seen(1, 2, {"a": [1, None]}),
            told(2, "a", None, {"b": True}, 3),
            Try("w", (Edit("e", "s", "a", "merge", {"b": 1}),), 1, 2, "unknown", None, "timeout", guard),
            read(1, 2, 3, {}, minimum=2),
            log(row(2, a=1)),
        ]
    )
    history.save(tmp_path / "history")
    assert History.load(tmp_path / "history").events == history.events


def edit_of(key: str, value: Any) -> dict[str, Any]:
    """An edit as a row of the log has it."""
    return {
        "kind": "value",
        "environment": "e",
        "service": None,
        "key": key,
        "operation": "set",
        "value": value,
    }

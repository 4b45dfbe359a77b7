"""What is known of the instances: who is live, what they run, what they refused, how they are."""

from __future__ import annotations

from coreconfig.server.fleet.instances import (
    MAX_ISSUES,
    Health,
    HealthStatus,
    Instance,
    InstanceKey,
    Instances,
    Nack,
    Running,
    ServiceHealth,
    short_issues,
)

GROUP = ("demo", "engine")
NOW = "2026-01-01T00:00:00Z"


def instance(name: str = "one", session: str = "s1") -> Instance:
    return Instance(InstanceKey("demo", "engine", name), session, "stream", NOW)


def nack(digest: str) -> Nack:
    return Nack(1, 2, digest, "too small", [], NOW)


def health(status: HealthStatus) -> Health:
    return Health(status, {}, NOW)


def test_an_instance_is_current_behind_or_rejected() -> None:
    """By what it runs, what it should run and what it refused."""
    fleet = Instances()
    one = fleet.connected(instance())
    fleet.aim(*GROUP, "b")
    assert fleet.state_of(one) == "behind"
    fleet.runs(one, Running(1, 1, "a"))
    assert fleet.state_of(one) == "behind"
    fleet.refused(one, nack("b"))
    assert fleet.state_of(one) == "rejected"
    fleet.aim(*GROUP, "c")
    assert fleet.state_of(one) == "behind"
    fleet.runs(one, Running(1, 3, "c"))
    assert fleet.state_of(one) == "current"


def test_an_instance_that_is_back_already_is_not_gone() -> None:
    """The end of the old session says nothing about the new one, and what was known is kept."""
    fleet = Instances()
    old = fleet.connected(instance(session="s1"))
    fleet.reported(old, health("degraded"))
    new = fleet.connected(instance(session="s2"))
    fleet.left(old, NOW)
    assert list(fleet.live()) == [new]
    assert new.health == health("degraded")
    fleet.left(new, NOW)
    assert list(fleet.live()) == []
    assert fleet.state_of(new) == "gone"


def test_rows_are_due_only_when_something_worth_a_row_changed() -> None:
    """Heartbeats and bookmarks stay in memory: the same digest at a later revision is no news."""
    due: list[int] = []
    fleet = Instances(on_change=lambda: due.append(1))
    one = fleet.connected(instance())
    fleet.runs(one, Running(1, 1, "a"))
    count = len(due)
    fleet.runs(one, Running(1, 2, "a"))
    fleet.reported(one, health("healthy"))
    assert len(due) == count + 1
    fleet.reported(one, health("healthy"))
    assert len(due) == count + 1
    assert list(fleet.changed) == [one.key]
    assert one.running == Running(1, 2, "a")


def test_the_health_of_a_service_counts_its_live_instances() -> None:
    """Unknown until one says something, healthy while all who said something are, unhealthy when none is."""
    fleet = Instances()
    one, two, three = (fleet.connected(instance(name)) for name in ("one", "two", "three"))
    assert fleet.health_of(GROUP) == ServiceHealth("unknown", 0, 3)
    fleet.reported(one, health("healthy"))
    assert fleet.health_of(GROUP) == ServiceHealth("healthy", 1, 3)
    fleet.reported(two, health("unhealthy"))
    assert fleet.health_of(GROUP) == ServiceHealth("degraded", 1, 3)
    fleet.left(one, NOW)
    fleet.left(three, NOW)
    assert fleet.health_of(GROUP) == ServiceHealth("unhealthy", 0, 1)
    assert fleet.health_of(("demo", "other")) == ServiceHealth("unknown", 0, 0)


def test_a_service_whose_health_moved_is_told_once() -> None:
    """Asking takes the note away."""
    fleet = Instances()
    one = fleet.connected(instance())
    assert fleet.take_health_moved() == {GROUP}
    fleet.reported(one, health("healthy"))
    fleet.reported(one, health("healthy"))
    assert fleet.take_health_moved() == {GROUP}
    assert fleet.take_health_moved() == set()


def test_live_instances_are_found_by_place_and_by_name() -> None:
    """An id may live in several services."""
    fleet = Instances()
    mine = fleet.connected(instance())
    other = fleet.connected(Instance(InstanceKey("demo", "bridge", "one"), "s2", "stream", NOW))
    assert list(fleet.live("demo", "engine")) == [mine]
    assert list(fleet.live("demo")) == [mine, other]
    assert fleet.find("one") == [mine, other]
    assert fleet.find("two") == []


def test_what_a_nack_brings_is_bounded() -> None:
    """A client cannot fill the memory of the server with issues."""
    kept = short_issues([{"code": "c", "message": "m" * 100_000, "junk": [1]}] * 1_000)
    assert len(kept) == MAX_ISSUES
    assert set(kept[0]) == {"code", "message"}
    assert len(kept[0]["message"]) < 10_000

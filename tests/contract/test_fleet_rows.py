"""Rows of instances: the newest session of an instance is the one that is remembered."""

from __future__ import annotations

import threading
from dataclasses import replace

from coreconfig.server.db.database import Database
from coreconfig.server.fleet.instances import Instance, InstanceKey, Running
from coreconfig.server.fleet.rows import find_rows, row_of, save_rows


def instance(name: str, session: str = "s1") -> Instance:
    return Instance(InstanceKey("e", "shop", name), session=session, link="stream", connected_at="t")


def save(database: Database, replica: str, *instances: Instance) -> None:
    database.write(lambda tx: save_rows(tx, [row_of(one, replica) for one in instances]))


def found(database: Database, name: str) -> list[Instance]:
    return database.read(lambda tx: find_rows(tx, name))


def test_what_changed_about_an_instance_takes_the_place_of_what_was_known(database: Database) -> None:
    """One row for each instance, the last one that was written."""
    save(database, "a", instance("i1"), instance("i2"))
    moved = replace(instance("i1"), running=Running(1, 7, "d", None), labels={"zone": "b\0\u2028"})
    save(database, "a", moved)
    assert found(database, "i1") == [moved]
    assert found(database, "i2") == [instance("i2")]


def test_a_late_farewell_does_not_hide_the_session_that_followed(database: Database) -> None:
    """An instance that moved to another server lives there, whenever the first one notices."""
    save(database, "a", instance("i1", "s1"))
    save(database, "b", instance("i1", "s2"))
    save(database, "a", replace(instance("i1", "s1"), left_at="later"))
    assert found(database, "i1") == [instance("i1", "s2")]
    save(database, "b", gone := replace(instance("i1", "s2"), left_at="later"))
    assert found(database, "i1") == [gone]


def test_what_no_database_can_hold_does_not_hold_up_the_rows_of_others(database: Database) -> None:
    """A program that calls itself something impossible is shown with the nearest that is possible."""
    odd = replace(instance("i1"), app_version="1\0", cohort="\0", running=Running(1, 1, "\0", "\0"))
    save(database, "a", odd, instance("i2"))
    assert found(database, "i1")[0].app_version == "1\ufffd"
    assert found(database, "i2") == [instance("i2")]


def test_two_servers_that_write_the_same_instances_at_once_do_not_disturb_each_other(
    database: Database,
) -> None:
    """Neither a double key nor a deadlock, in whatever order the rows come."""
    names = [f"i{number}" for number in range(50)]
    failures: list[Exception] = []

    def write(replica: str, ordered: list[str]) -> None:
        try:
            for turn in range(20):
                save(database, replica, *(instance(name, f"{replica}{turn}") for name in ordered))
        except Exception as error:  # noqa: BLE001 - told by the test
            failures.append(error)

    threads = [
        threading.Thread(target=write, args=("a", names)),
        threading.Thread(target=write, args=("b", names[::-1])),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(found(database, "i7")) == 1

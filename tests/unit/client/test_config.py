"""What reads answer."""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass
from typing import Any

import pytest
from tests.unit.client.states import reads_of

from coreconfig.client.config import Snapshot
from coreconfig.client.state import Finish, only_defaults
from coreconfig.client.typed import TypedReads
from coreconfig.errors import ConfigValidationError, Invalid, KeyNotFound, NotReady

VALUES: dict[str, Any] = {
    "risk": {"max": 5, "names": ["a", {"b": 1}], "none": None},
    "x y": {"deep": True},
    "empty": {},
}


@dataclass
class Risk:
    max: int


def unready(defaults: dict[str, Any] | None = None) -> Snapshot:
    """What reads before there is any snapshot."""
    return Snapshot(only_defaults(Finish({}, (), defaults or {})), "dev/shop", TypedReads())


def test_every_node_can_be_read_in_every_spelling_of_its_key() -> None:
    """The fast way and the detour give the same answers."""
    reads = reads_of(VALUES)
    assert reads.get("risk.max") == reads['"risk".max'] == reads.get("'risk'.\"max\"") == 5
    assert reads.get('"x y".deep') is True
    assert reads["risk"] == VALUES["risk"]
    assert reads["empty"] == {}


def test_null_is_a_value_and_not_missing() -> None:
    """A default stands in for what is absent only."""
    reads = reads_of(VALUES)
    assert reads.get("risk.none", 7) is None
    assert "risk.none" in reads


def test_an_absent_key_gives_the_default_whatever_it_is() -> None:
    """Also None, which is no mark for "no default"."""
    reads = reads_of(VALUES)
    assert reads.get("risk.nothing", None) is None
    assert reads.get("risk.max.deeper", 3) == 3


def test_an_absent_key_without_default_is_a_key_error_that_names_what_may_be_meant() -> None:
    """The message helps to find a misspelling."""
    with pytest.raises(KeyNotFound, match=r"risk\.maxx.*did you mean 'risk\.max'") as caught:
        reads_of(VALUES).get("risk.maxx")
    assert isinstance(caught.value, KeyError)
    assert caught.value.code == "key_not_found"


@pytest.mark.parametrize("key", ["", "a..b", "a b", 'a."', "__proto__", 3, None, ["a"], {"a": 1}])
def test_what_is_no_key_is_refused_even_with_a_default(key: Any) -> None:
    """A misspelt key is a fault of the program and never read as "absent"."""
    with pytest.raises(Invalid):
        reads_of(VALUES).get(key, 1)
    assert key not in reads_of(VALUES)


def test_values_handed_out_cannot_change_the_snapshot() -> None:
    """Each reader gets a copy of its own."""
    reads = reads_of(VALUES)
    reads.get("risk")["names"][1]["b"] = 99
    reads.get("risk.names").append(1)
    reads.get_all()["risk"].clear()
    reads.get_batch(["risk"])["risk"].clear()
    reads.get_section("risk").clear()
    reads.get_all(flat=True)["risk.names"].clear()
    assert reads.get_all() == VALUES


def test_objects_handed_out_are_plain_dicts_and_lists_even_where_many_members_lie() -> None:
    """json.dumps and isinstance work on whatever is read."""
    many = {f"k{i}": {"v": i} for i in range(2000)}
    read = reads_of({"many": many}).get("many")
    assert type(read) is dict
    assert read == many


def test_iteration_and_length_are_about_leaves_and_membership_about_nodes() -> None:
    """An empty object and an array count as leaves."""
    reads = reads_of(VALUES)
    leaves = {"risk.max", "risk.names", "risk.none", '"x y".deep', "empty"}
    assert set(reads) == set(reads.keys()) == set(reads.get_all(flat=True)) == leaves
    assert len(reads) == len(list(reads.values())) == 5
    assert "risk" in reads
    assert dict(reads.items())["risk.max"] == 5


def test_a_batch_names_all_absent_keys_at_once_or_leaves_them_out_or_fills_them_in() -> None:
    """One revision, one error."""
    reads = reads_of(VALUES)
    assert reads.get_batch(["risk.max", '"risk".none']) == {"risk.max": 5, '"risk".none': None}
    with pytest.raises(KeyNotFound) as caught:
        reads.get_batch(["no", "risk.max", "nor"])
    assert [issue.key for issue in caught.value.issues] == ["no", "nor"]
    assert reads.get_batch(["no", "risk.max"], missing="omit") == {"risk.max": 5}
    assert reads.get_batch(["no", "risk.max"], default=None) == {"no": None, "risk.max": 5}
    with pytest.raises(Invalid):
        reads.get_batch(["no"], missing="ignore")  # type: ignore[arg-type]  # that is what is tested


def test_a_section_is_an_object_also_where_nothing_is_and_never_a_leaf() -> None:
    """Merging a section with a program's own defaults always works."""
    reads = reads_of(VALUES)
    assert reads.get_section("nothing.here") == {}
    assert reads.get_section("risk")["max"] == 5
    with pytest.raises(ConfigValidationError, match="leaf of type number"):
        reads.get_section("risk.max")


def test_typed_reads_convert_and_say_everything_that_is_wrong() -> None:
    """A typed section that is absent is converted from an empty object."""
    reads = reads_of({"risk": {"max": 5}, "bad": {"max": "much"}})
    assert reads.get_typed("risk", Risk) == Risk(5)
    assert reads.get_section("risk", Risk) == Risk(5)
    assert reads.get_typed("risk.max", int) == 5
    assert reads.get_typed("nothing", Risk, None) is None
    with pytest.raises(ConfigValidationError) as caught:
        reads.get_typed("bad", Risk)
    assert [issue.key for issue in caught.value.issues] == ["bad.max"]
    with pytest.raises(ConfigValidationError):
        reads.get_section("nothing", Risk)
    with pytest.raises(KeyNotFound):
        reads.get_typed("nothing", Risk)


def test_without_a_snapshot_a_default_answers_and_nothing_else() -> None:
    """Nobody knows yet whether the key exists, so it is not "not found"."""
    reads = unready()
    assert reads.get("a", 1) == 1
    assert reads.get_batch(["a"], default=2) == {"a": 2}
    for read in (reads.get_all, lambda: reads.get("a"), lambda: reads["a"], lambda: reads.get_batch(["a"])):
        with pytest.raises(NotReady):
            read()


def test_bundled_defaults_answer_before_there_is_a_snapshot() -> None:
    """They are a layer under everything."""
    reads = unready({"a": {"b": 1}})
    assert reads.get("a.b") == 1
    assert reads.get_all() == {"a": {"b": 1}}
    with pytest.raises(NotReady):
        reads.get("other")


def test_no_read_is_lost_from_the_count_when_many_threads_read() -> None:
    """The count needs no lock as long as the interpreter has one."""
    reads = reads_of(VALUES)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [
            threading.Thread(target=lambda: [reads.get("risk.max") for _ in range(20_000)]) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert reads._hits == 80_000


def test_counts_tell_hits_misses_and_defaults_apart() -> None:
    """A default that was used and a definite absence are counted, and neither as a hit."""
    reads = reads_of(VALUES)
    reads.get("risk.max")
    reads.get("risk")
    reads.get("absent", 1)
    with pytest.raises(KeyNotFound):
        reads.get("absent")
    assert (reads._hits, reads._misses, reads._defaulted) == (2, 2, 1)


def test_a_pinned_snapshot_is_a_mapping_that_is_always_true_and_equal_to_itself_alone() -> None:
    """It can be passed where a mapping is wanted, kept in sets, and tested with `if`."""
    reads = reads_of({})
    assert reads
    assert len(reads) == 0
    assert {reads: 1}[reads] == 1
    assert reads != reads_of({})

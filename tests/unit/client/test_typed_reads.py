"""Typed reads: remembered while the node is the same object, and never spoilt by an earlier reader."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

import msgspec
import pytest
from pydantic import BaseModel

from coreconfig.client.config import Snapshot
from coreconfig.client.state import Finish, State, advanced, only_defaults
from coreconfig.client.typed import TypedReads, convert
from coreconfig.client.typed.reads import Memo
from coreconfig.errors import ConfigValidationError, KeyNotFound
from coreconfig.model.snapshots import TreeChange, apply
from coreconfig.wire.frames import At


@dataclass
class Pool:
    size: int
    hosts: list[str]


@dataclass(frozen=True)
class Limits:
    size: int
    name: str
    share: float
    strict: bool


class Record(msgspec.Struct):
    size: int
    hosts: list[str]


class Options(TypedDict):
    size: int
    hosts: list[str]


class Model(BaseModel):
    size: int
    hosts: list[str]


SCHEMA = {"type": "object", "required": ["size"]}
NODE = {"size": 1, "hosts": ["a"]}


def read(reads: TypedReads, node: Any, target: Any, key: str = "pool") -> Any:
    return reads.read({}, node, key, target)


def snapshot(tree: dict[str, Any]) -> Snapshot:
    return Snapshot(state_of(tree), "the test", TypedReads())


def state_of(tree: dict[str, Any]) -> State:
    return only_defaults(Finish({}, (), tree))


@pytest.mark.parametrize("target", [Pool, Record, Options, Model, SCHEMA, dict, dict[str, Any]], ids=str)
def test_what_one_reader_does_to_its_instance_is_unseen_by_the_next(target: Any) -> None:
    """Through every way in: the first read, the memory of nodes, and the memo of a state."""
    reads = TypedReads()
    memo: Memo = {}
    reads.read(memo, NODE, "pool", target)
    expected = convert(NODE, target, "pool")
    for _ in range(2):
        spoilt = reads.read(memo, NODE, "pool", target)
        members = (
            spoilt if isinstance(spoilt, dict) else vars(spoilt) if hasattr(spoilt, "__dict__") else None
        )
        (members["hosts"] if members else spoilt.hosts).append("evil")
    assert reads.read({}, NODE, "pool", target) == expected
    (((make, _),),) = [by_name.values() for by_name in memo.values()]
    assert make() == expected
    assert NODE == {"size": 1, "hosts": ["a"]}


def test_an_instance_that_cannot_be_changed_is_shared() -> None:
    """Nothing is copied that need not be."""
    reads = TypedReads()
    node = {"size": 1, "name": "x", "share": 0.5, "strict": True}
    assert read(reads, node, Limits) is read(reads, node, Limits)


def test_an_unchanged_node_is_not_converted_again() -> None:
    """A validator runs once for a node, however often and from however many states it is read."""
    runs = []

    class Watched(msgspec.Struct):
        size: int
        hosts: list[str]

        def __post_init__(self) -> None:
            runs.append(self.size)

    reads = TypedReads()
    for _ in range(3):
        read(reads, NODE, Watched)
    assert runs == [1]
    assert read(reads, {"size": 2, "hosts": []}, Watched).size == 2
    assert runs == [1, 2]


def test_a_moved_node_replaces_what_was_kept() -> None:
    """Nothing is kept of a node that is gone."""
    reads = TypedReads()
    for size in range(5):
        assert read(reads, {"size": size, "hosts": []}, Pool).size == size
    assert len(reads) == 1


def test_the_memory_is_bounded_and_the_oldest_goes_first() -> None:
    """A program that reads ever new keys does not grow."""
    reads = TypedReads(limit=3)
    memo: Memo = {}
    for number in range(10):
        reads.read(memo, NODE, f"k{number}", Pool)
    assert len(reads) == 3
    assert len(memo) <= 3


def test_schemas_written_into_the_call_take_one_place() -> None:
    """A schema is known by what it says, so equal ones do not crowd out the rest."""
    reads = TypedReads()
    memo: Memo = {}
    for _ in range(100):
        reads.read(memo, NODE, "pool", {"type": "object", "required": ["size"]})
    assert len(memo["pool"]) < 100
    read(reads, NODE, {"required": ["size"], "type": "object"})
    assert len(reads) == 1


def test_a_target_that_cannot_be_hashed_is_read_too() -> None:
    """It is only not remembered."""
    target = Annotated[int, ["a note"]]
    reads = TypedReads()
    assert [read(reads, 1, target), read(reads, 1, target)] == [1, 1]
    assert len(reads) == 0


def test_what_is_no_longer_there_can_be_dropped() -> None:
    """After a swap the entries of replaced nodes go, and only they."""
    reads = TypedReads()
    read(reads, NODE, Pool, "here")
    read(reads, NODE, Pool, "gone")
    reads.drop_stale({"here": NODE}.get)
    assert len(reads) == 1


def test_a_failed_conversion_is_not_remembered_as_success() -> None:
    """The refusal comes every time, and the good value after it is read."""
    reads = TypedReads()
    for _ in range(2):
        with pytest.raises(ConfigValidationError):
            read(reads, {"size": "x", "hosts": []}, Pool)
    assert read(reads, NODE, Pool) == Pool(1, ["a"])


def test_many_threads_read_their_own_instances_while_nodes_move() -> None:
    """No lock on the way of a read, and still nobody sees another's list or a mixture of two nodes."""
    reads = TypedReads(limit=4)
    nodes = [{"size": n, "hosts": [str(n)]} for n in range(8)]
    faults: list[str] = []

    def work() -> None:
        for turn in range(2000):
            node = nodes[turn % 8]
            pool = read(reads, node, Pool, f"k{turn % 6}")
            if pool != Pool(node["size"], list(node["hosts"])):  # type: ignore[arg-type]  # the nodes above
                faults.append(repr(pool))
            pool.hosts.append("evil")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults


def test_a_typed_read_of_a_snapshot_follows_its_state() -> None:
    """`get_typed` gives own copies, from the memo of the state, and the new value from a new state."""
    config = snapshot({"pool": dict(NODE)})
    config.get_typed("pool", Pool).hosts.append("evil")
    assert config.get_typed("pool", Pool) == Pool(1, ["a"])
    assert config.get_typed("pool", SCHEMA) == NODE
    assert config.get_typed("pool.size", int) == 1


def test_a_section_that_is_absent_does_not_come_into_being_by_being_read() -> None:
    """A typed section where nothing is has its defaults; a typed read of the same key still finds nothing."""

    class Defaults(msgspec.Struct):
        size: int = 7

    config = snapshot({"pool": dict(NODE)})
    held = Snapshot(positioned(config), "the test", TypedReads())
    assert held.get_section("nothing", Defaults) == Defaults()
    with pytest.raises(KeyNotFound):
        held.get_typed("nothing", Defaults)


def test_an_instance_outlives_a_change_elsewhere() -> None:
    """A new state has the same node at an unrelated key, so nothing is converted again."""
    finish = Finish({}, (), {})
    before = positioned(snapshot({}))
    first = moved(before, finish, TreeChange(("pool",), "SET", dict(NODE)))
    second = moved(first, finish, TreeChange(("other",), "SET", 1))
    reads = TypedReads()
    target = type("Fresh", (msgspec.Struct,), {"__annotations__": {"size": int}, "__module__": __name__})
    make = reads.copies(first.tree["pool"], "pool", target)
    assert reads.copies(second.tree["pool"], "pool", target) is make


def positioned(config: Snapshot) -> State:
    return moved(config._state, Finish({}, (), {}))


def moved(state: State, finish: Finish, *changes: TreeChange) -> State:
    return advanced(
        state,
        apply(state.raw, changes),
        changes,
        finish,
        at=At(1, state.revision + 1, "", None),
        source="service",
        secrets={},
        timestamp="",
        installation="",
    )

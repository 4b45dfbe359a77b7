"""Pydantic models: one instance for everybody until somebody changes it, and never a changed one."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, PrivateAttr, RootModel, field_validator
from pydantic.dataclasses import dataclass as pydantic_dataclass

from coreconfig.client.config import Snapshot
from coreconfig.client.state import Finish, only_defaults
from coreconfig.client.typed import TypedReads, convert
from coreconfig.client.typed.sharing import PATIENCE


@dataclass
class Retry:
    times: int = 3


@pydantic_dataclass(config=ConfigDict(validate_assignment=True))
class Window:
    hours: list[int]
    size: int = 1


@dataclass(slots=True)
class Slotted:
    times: int = 3


@dataclass(frozen=True, slots=True)
class Fixed:
    times: int = 3


class Provider(BaseModel):
    model: str
    timeout: int = 30
    tags: list[str] = []


class Providers(BaseModel):
    primary: Provider
    others: list[Provider]
    by_name: dict[str, Provider]
    options: dict[str, Any]
    regions: set[str]
    pair: tuple[Provider, int]
    retry: Retry
    window: Window
    fixed: Fixed = Fixed()


class Guarded(BaseModel):
    model_config = ConfigDict(validate_assignment=True, extra="allow")
    size: int
    inner: dict[str, int] = {}


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    size: int


class FrozenAround(BaseModel):
    model_config = ConfigDict(frozen=True)
    tags: list[str]


Tags = RootModel[list[str]]


PROVIDERS = {
    "primary": {"model": "large", "tags": ["a"]},
    "others": [{"model": "small"}, {"model": "tiny"}],
    "by_name": {"x": {"model": "small"}},
    "options": {"deep": {"list": [1, {"more": [2]}]}, "flag": True},
    "regions": ["eu", "us"],
    "pair": [{"model": "left"}, 1],
    "retry": {"times": 5},
    "window": {"hours": [1, 2]},
}
OPEN = {"size": 1, "more": ["x"]}
GUARDED = {"size": 1, "inner": {"a": 1}, "more": ["x"]}
FLAT = {"model": "large", "tags": ["a"]}


def snapshot(node: Any) -> Snapshot:
    return Snapshot(only_defaults(Finish({}, (), {"k": node})), "the test", TypedReads())


def put(path: str, value: Any) -> Callable[[Any], None]:
    """A change that assigns to an attribute."""
    *above, last = path.split(".")

    def change(it: Any) -> None:
        for name in above:
            it = getattr(it, name)
        setattr(it, last, value)

    return change


def _recreate(it: Any) -> None:
    it.primary = Provider(model="other")


CHANGES: list[tuple[Any, Any, Callable[[Any], None]]] = [
    (Provider, FLAT, put("model", "other")),
    (Provider, FLAT, put("timeout", 30)),
    (Provider, FLAT, lambda it: delattr(it, "timeout")),
    (Provider, FLAT, lambda it: it.tags.append("evil")),
    (Provider, FLAT, lambda it: it.tags.clear()),
    (Provider, FLAT, lambda it: vars(it).update(evil=1)),
    (Providers, PROVIDERS, put("primary.timeout", 1)),
    (Providers, PROVIDERS, _recreate),
    (Providers, PROVIDERS, lambda it: it.primary.tags.append("evil")),
    (Providers, PROVIDERS, lambda it: it.others.pop()),
    (Providers, PROVIDERS, lambda it: it.others.reverse()),
    (Providers, PROVIDERS, lambda it: put("timeout", 1)(it.others[1])),
    (Providers, PROVIDERS, lambda it: it.by_name.update(y=it.primary)),
    (Providers, PROVIDERS, lambda it: put("model", "other")(it.by_name["x"])),
    (Providers, PROVIDERS, lambda it: it.options["deep"]["list"][1]["more"].append(3)),
    (Providers, PROVIDERS, lambda it: it.options.update(me=it.options)),
    (Providers, PROVIDERS, lambda it: it.regions.add("evil")),
    (Providers, PROVIDERS, lambda it: it.pair[0].tags.append("evil")),
    (Providers, PROVIDERS, put("retry.times", 6)),
    (Providers, PROVIDERS, put("window.size", 6)),
    (Providers, PROVIDERS, lambda it: it.window.hours.append(3)),
    (Guarded, GUARDED, put("size", 2)),
    (Guarded, GUARDED, put("inner", {"a": 2})),
    (Guarded, GUARDED, put("more", ["y"])),
    (Guarded, GUARDED, lambda it: it.inner.update(b=2)),
    (Guarded, GUARDED, lambda it: it.more.append("evil")),
    (Open, OPEN, put("size", 2)),
    (Open, OPEN, put("another", 2)),
    (Open, OPEN, lambda it: it.more.append("evil")),
    (Open, OPEN, lambda it: delattr(it, "more")),
    (FrozenAround, {"tags": ["a"]}, lambda it: it.tags.append("evil")),
    (Tags, ["a"], lambda it: it.root.append("evil")),
    (list[Provider], [FLAT], lambda it: it.append(1)),
    (list[Provider], [FLAT], lambda it: it[0].tags.append("evil")),
    (dict[str, Provider], {"x": FLAT}, lambda it: it.update(y=it["x"])),
    (dict[str, Provider], {"x": FLAT}, lambda it: put("model", "other")(it["x"])),
]


@pytest.mark.parametrize(
    ("target", "node", "change"), CHANGES, ids=lambda value: getattr(value, "__name__", "")
)
def test_a_change_to_a_handed_out_model_is_not_seen_by_the_next_get_typed(
    target: Any, node: Any, change: Callable[[Any], None]
) -> None:
    """Whatever was changed, and however deep, the next reader gets what the configuration says."""
    config = snapshot(node)
    expected = convert(node, target, "k")
    for _ in range(3):
        mine = config.get_typed("k", target)
        change(mine)
        next_one = config.get_typed("k", target)
        assert next_one is not mine
        assert next_one == expected
        assert repr(next_one) == repr(expected)
        assert _bookkeeping(next_one) == _bookkeeping(expected)


def _bookkeeping(instance: Any) -> Any:
    return instance.model_dump(exclude_unset=True) if isinstance(instance, BaseModel) else None


def test_what_was_changed_stays_with_the_one_who_changed_it() -> None:
    """His instance is neither repaired nor handed to anybody else."""
    config = snapshot(FLAT)
    mine = config.get_typed("k", Provider)
    mine.tags.append("mine")
    assert config.get_typed("k", Provider).tags == ["a"]
    assert mine.tags == ["a", "mine"]


@pytest.mark.parametrize(
    ("target", "node"),
    [
        (Provider, FLAT),
        (Providers, PROVIDERS),
        (Guarded, GUARDED),
        (Open, OPEN),
        (FrozenAround, {"tags": ["a"]}),
        (Tags, ["a"]),
        (list[Provider], [FLAT]),
        (dict[str, Provider], {"x": FLAT}),
    ],
    ids=str,
)
def test_a_model_that_nobody_changed_is_handed_out_again(target: Any, node: Any) -> None:
    """Before a change, and again after one."""
    config = snapshot(node)
    first = config.get_typed("k", target)
    assert config.get_typed("k", target) is first
    _spoil(first)
    second = config.get_typed("k", target)
    assert second is not first
    assert config.get_typed("k", target) is second


def _spoil(instance: Any) -> None:
    if isinstance(instance, BaseModel):
        vars(instance).clear()
    else:
        instance.clear()


def test_a_change_that_was_taken_back_does_not_matter() -> None:
    """What counts is the value at the time of the read."""
    config = snapshot(FLAT)
    mine = config.get_typed("k", Provider)
    mine.tags.append("mine")
    mine.tags.pop()
    assert config.get_typed("k", Provider) is mine


def test_a_value_replaced_by_an_equal_one_is_no_change() -> None:
    """The limit that is documented: ``True`` and ``1`` are equal."""
    config = snapshot(PROVIDERS)
    config.get_typed("k", Providers).options["flag"] = 1
    assert config.get_typed("k", Providers) == convert(PROVIDERS, Providers, "k")


def test_a_value_that_refuses_to_be_compared_is_a_change() -> None:
    """A foreign object inside a model does not make the next read fail."""

    class Unequal:
        __hash__ = None  # type: ignore[assignment]  # as Python has it for a class with its own comparison

        def __eq__(self, other: object) -> bool:
            raise TypeError("not comparable")

    config = snapshot(FLAT)
    vars(config.get_typed("k", Provider))["model"] = Unequal()
    assert config.get_typed("k", Provider).model == "large"


def test_after_many_changes_every_reader_gets_a_copy_of_his_own() -> None:
    """A program that changes what it reads is not made to pay for sharing for ever."""
    config = snapshot(FLAT)
    for _ in range(PATIENCE + 1):
        config.get_typed("k", Provider).tags.append("evil")
    first, second = config.get_typed("k", Provider), config.get_typed("k", Provider)
    assert first == second == Provider(model="large", tags=["a"])
    assert first is not second
    assert first.tags is not second.tags


class Private(BaseModel):
    size: int
    _log: list[str] = PrivateAttr(default_factory=list)


class AroundSlots(BaseModel):
    slotted: Slotted


@dataclass
class AroundModel:
    provider: Provider


class Record(msgspec.Struct):
    tags: list[str]


@pytest.mark.parametrize(
    ("target", "node"),
    [
        (Private, {"size": 1}),
        (AroundSlots, {"slotted": {"times": 1}}),
        (AroundModel, {"provider": FLAT}),
        (Retry, {"times": 1}),
        (Slotted, {"times": 1}),
        (Record, {"tags": ["a"]}),
        (dict[str, Any], {"a": [1]}),
        (list[Retry], [{"times": 1}]),
    ],
    ids=str,
)
def test_anything_else_is_an_independent_copy(target: Any, node: Any) -> None:
    """So is a model of which nobody can tell whether it was changed."""
    config = snapshot(node)
    first, second = config.get_typed("k", target), config.get_typed("k", target)
    assert first == second
    assert first is not second


def test_what_a_model_remembers_of_itself_is_not_shared() -> None:
    """A computed and kept value belongs to the instance of the reader."""

    class Remembering(BaseModel):
        text: str

        @cached_property
        def words(self) -> list[str]:
            return self.text.split()

    config = snapshot({"text": "a b"})
    config.get_typed("k", Remembering).words.append("evil")
    assert config.get_typed("k", Remembering).words == ["a", "b"]


def test_a_changed_model_is_replaced_without_validating_again() -> None:
    """Validators run once for a node, whatever readers do to their instances."""
    runs = []

    class Watched(BaseModel):
        size: int

        @field_validator("size")
        @classmethod
        def _seen(cls, value: int) -> int:
            runs.append(value)
            return value

    config = snapshot({"size": 1})
    for _ in range(3):
        vars(config.get_typed("k", Watched))["size"] = 7
    assert config.get_typed("k", Watched).size == 1
    assert runs == [1]


def test_a_live_object_is_never_the_one_that_readers_get() -> None:
    """`copies`, which bindings use, gives independent instances of models too."""
    reads = TypedReads()
    read = reads.read({}, FLAT, "k", Provider)
    make = reads.copies(FLAT, "k", Provider)
    one, other = make(), make()
    assert read == one == other
    assert len({id(read), id(one), id(other)}) == 3


class Anything(BaseModel):
    model_config = ConfigDict(extra="allow")
    options: Any


steps = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=2),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=4),
    max_leaves=20,
)


@given(json_values, steps)
def test_no_series_of_changes_reaches_the_next_reader(value: Any, steps: list[tuple[int, int]]) -> None:
    """For any content, and any changes to any of its parts between the reads."""
    config = snapshot({"options": value})
    for which, how in steps:
        mine = config.get_typed("k", Anything)
        assert mine.options == value
        parts = list(_containers(mine.options))
        if parts:
            _change(parts[which % len(parts)], how)
        else:
            mine.options = how
    assert config.get_typed("k", Anything).options == copy.deepcopy(value)


def _containers(value: Any) -> Any:
    if isinstance(value, dict | list):
        yield value
        for part in list(value.values()) if isinstance(value, dict) else list(value):
            yield from _containers(part)


def _change(part: Any, how: int) -> None:
    if how == 0:
        part.clear()
    elif isinstance(part, dict):
        part["evil" if how > 2 or not part else next(iter(part))] = how
    elif how == 1 and part:
        part[0] = "evil"
    elif how == 2:
        part.reverse()
    else:
        part.append(how)

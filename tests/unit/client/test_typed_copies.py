"""Copies: equal to their origin, of its class, and sharing nothing that can be changed."""

from __future__ import annotations

import copy
import datetime as dt
import enum
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, PrivateAttr, RootModel, SecretStr
from pydantic.dataclasses import dataclass as pydantic_dataclass

from coreconfig.client.typed.copies import plan_copies
from coreconfig.client.typed.copies_of_instances import NoPlan

T = TypeVar("T")


@dataclass
class Pool:
    size: int
    hosts: list[str]


@dataclass
class Database:
    pool: Pool
    names: dict[str, Pool] = field(default_factory=dict)


@dataclass(slots=True)
class Slotted:
    size: int
    hosts: list[str]


@dataclass(slots=True)
class SlottedBelow(Slotted):
    more: list[int]


@dataclass(frozen=True)
class Frozen:
    size: int
    hosts: tuple[str, ...]


@dataclass(frozen=True)
class FrozenAround:
    pool: Pool


@dataclass(frozen=True, slots=True)
class FrozenSlottedAround:
    hosts: list[str]


@dataclass(frozen=True)
class Remembering:
    text: str

    @cached_property
    def words(self) -> list[str]:
        return self.text.split()


@dataclass
class Counting:
    size: int
    made: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.made += 1


class Record(msgspec.Struct):
    size: int
    hosts: list[str]


class FrozenRecord(msgspec.Struct, frozen=True):
    size: int
    hosts: list[str]


class Pair(NamedTuple):
    first: int
    rest: list[int]


class Inner(BaseModel):
    x: int
    tags: list[str] = []


class Model(BaseModel):
    a: int
    inner: Inner
    when: dt.datetime | None = None
    secret: SecretStr = SecretStr("s")


class Below(Model):
    more: dict[str, Inner] = {}


class Mixin:
    def twice(self) -> int:
        return 2


class Mixed(Model, Mixin):
    pass


class Box(BaseModel, Generic[T]):
    value: T


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int


class Private(BaseModel):
    a: int
    _log: list[str] = PrivateAttr(default_factory=list)


class FrozenModel(BaseModel):
    model_config = ConfigDict(frozen=True)
    a: int
    tags: tuple[str, ...] = ()


class FrozenModelAround(BaseModel):
    model_config = ConfigDict(frozen=True)
    tags: list[str]


class Mode(enum.Enum):
    FAST = "fast"


Hosts = RootModel[list[str]]


@pydantic_dataclass
class Checked:
    hosts: list[str]


def _private() -> Private:
    model = Private(a=1)
    model._log.append("made")
    return model


CHANGEABLE: list[Any] = [
    {"a": 1},
    {"a": {"b": [1, {"c": 2}]}, "d": []},
    [],
    [1, [2, [3]]],
    {1, 2},
    bytearray(b"x"),
    (1, [2]),
    Pair(1, [2]),
    Pool(1, ["a"]),
    Database(Pool(1, []), {"x": Pool(2, ["b"])}),
    Slotted(1, ["a"]),
    SlottedBelow(1, ["a"], [2]),
    FrozenAround(Pool(1, ["a"])),
    FrozenSlottedAround(["a"]),
    Remembering("a b"),
    Counting(3),
    Record(1, ["a"]),
    FrozenRecord(1, ["a"]),
    Inner(x=1),
    Model(a=1, inner=Inner(x=2, tags=["t"])),
    Below(a=1, inner=Inner(x=2), more={"k": Inner(x=3)}),
    Mixed(a=1, inner=Inner(x=2)),
    Box[list[int]](value=[1]),
    Open.model_validate({"a": 1, "b": [2]}),
    _private(),
    FrozenModelAround(tags=["a"]),
    Hosts(["a"]),
    Checked(["a"]),
    [Pool(n, [str(n)]) for n in range(300)],
    {str(n): {"inner": [n, {"deep": [n]}]} for n in range(300)},
    [[[[[[{"a": [1]} for _ in range(7)] for _ in range(5)]]]]],
]
FIXED: list[Any] = [
    None,
    5,
    "text",
    1.5,
    dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    Mode.FAST,
    (1, ("a", None)),
    frozenset({1}),
    Frozen(1, ("a",)),
    FrozenModel(a=1, tags=("x",)),
    SecretStr("s"),
]


@pytest.mark.parametrize("value", CHANGEABLE, ids=lambda value: type(value).__name__)
def test_a_copy_equals_its_origin_and_has_its_class(value: Any) -> None:
    """What is handed out is what was converted."""
    make = plan_copies(value)
    assert make is not None
    made = make()
    assert made == value
    assert type(made) is type(value)
    assert repr(made) == repr(value)


@pytest.mark.parametrize("value", CHANGEABLE, ids=lambda value: type(value).__name__)
def test_a_copy_shares_nothing_that_can_be_changed(value: Any) -> None:
    """No reader can reach what another one holds."""
    make = plan_copies(value)
    assert make is not None
    assert not (_changeable_within(make()) & (_changeable_within(value) | _changeable_within(make())))


@pytest.mark.parametrize("value", FIXED, ids=lambda value: type(value).__name__)
def test_what_cannot_be_changed_is_not_copied(value: Any) -> None:
    """Scalars, tuples of them and frozen classes of them are for everybody."""
    assert plan_copies(value) is None


def test_a_copied_model_behaves_like_one_that_was_validated() -> None:
    """Pydantic's own bookkeeping comes along: set fields, validation on assignment, dump."""

    class Guarded(BaseModel):
        model_config = ConfigDict(validate_assignment=True)
        a: int = 1
        b: int = 2

    make = plan_copies(Guarded(b=5))
    assert make is not None
    made = make()
    assert made.model_fields_set == {"b"}
    assert made.model_dump(exclude_unset=True) == {"b": 5}
    with pytest.raises(ValueError, match="valid integer"):
        made.a = "x"
    made.a = 7
    assert (made.a, make().a, make().model_fields_set) == (7, 1, {"b"})


def test_a_private_attribute_is_copied_too() -> None:
    """A model's private list is not shared between readers."""
    make = plan_copies(_private())
    assert make is not None
    make()._log.append("mine")
    assert make()._log == ["made"]


def test_neither_constructor_nor_post_init_runs_again() -> None:
    """A copy is a copy and not a second construction."""
    make = plan_copies(Counting(1))
    assert make is not None
    assert make().made == 1


def test_what_a_class_hides_has_no_plan() -> None:
    """Where the inner workings are not known the value is converted anew instead."""

    class Opaque:
        pass

    @dataclass
    class Circle:
        me: Any = None

    circle = Circle()
    circle.me = circle
    for value in (Opaque(), [Opaque()], circle):
        with pytest.raises(NoPlan):
            plan_copies(value)


def test_a_field_behind_a_property_has_no_plan() -> None:
    """Assigning it would run the program's code."""

    class Half:
        @property
        def size(self) -> int:
            return 1

        @size.setter
        def size(self, value: int) -> None:
            raise AssertionError("must not run")

    @dataclass
    class Behind(Half):
        hosts: list[str]

    value = Behind([])
    vars(value)["size"] = 3
    with pytest.raises(NoPlan):
        plan_copies(value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=12) | st.dictionaries(st.text(), inner, max_size=12),
    max_leaves=60,
)


@given(json_values)
def test_a_copy_of_any_json_is_equal_and_independent(value: Any) -> None:
    """The generated copier does what `copy.deepcopy` does, for any shape, width and depth."""
    make = plan_copies(value)
    if make is None:
        assert not isinstance(value, dict | list)
        return
    before = copy.deepcopy(value)
    made = make()
    assert made == before
    assert not (_changeable_within(made) & _changeable_within(value))


def _changeable_within(value: Any) -> set[int]:
    """The ids of everything below that can be changed. The value is kept, so that no id comes twice."""
    found: set[int] = set()
    _ALIVE.append(value)
    _collect(value, found)
    return found


_ALIVE: list[Any] = []


def _collect(value: Any, found: set[int]) -> None:
    if isinstance(value, dict | list | set | bytearray):
        found.add(id(value))
    elif plan := getattr(value, "__struct_fields__", None):
        found.add(id(value))
        value = [getattr(value, name) for name in plan]
    elif isinstance(value, BaseModel):
        found.update({id(value), id(vars(value)), id(value.__pydantic_fields_set__)})
        value = [vars(value), value.__pydantic_extra__, value.__pydantic_private__]
    elif hasattr(value, "__dataclass_fields__"):
        found.add(id(value))
        value = [getattr(value, name) for name in value.__dataclass_fields__]
    for part in (
        value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    ):
        _collect(part, found)

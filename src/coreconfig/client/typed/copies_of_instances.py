"""How an instance of a class is copied without running its constructor or its validators again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cached_property, lru_cache
from inspect import getattr_static
from keyword import iskeyword
from types import MemberDescriptorType
from typing import Any, Protocol

import msgspec

from coreconfig.client.typed.copy_code import Copier, CopyCode


class NoPlan(Exception):
    """How to copy such an instance is not known; it has to be made anew."""


class Planner(Protocol):
    """What writes the copies of members."""

    code: CopyCode

    def members(self, pairs: Iterable[tuple[Any, Any]]) -> dict[Any, str]:
        """The expressions of those members that need a copy of their own."""

    def write(self, value: Any) -> str | None:
        """An expression for an independent copy; None for what needs none."""

    def filled(self, copy: Copier, pairs: Collection[tuple[Any, Any]]) -> tuple[str, bool]:
        """An expression for a container with copies of its members, and whether any of these needed one."""


def write_struct(value: msgspec.Struct, planner: Planner) -> str | None:
    """A Struct copies itself in one step; then the members that need it are replaced."""
    cls = type(value)
    if getattr(value, "__dict__", None):
        raise NoPlan("a Struct with attributes beside its fields")
    members = planner.members((name, getattr(value, name)) for name in cls.__struct_fields__)
    frozen = cls.__struct_config__.frozen
    if frozen and not members:
        return None
    code = planner.code
    it = code.assign(f"{code.bind(value.__copy__)}()")  # type: ignore[attr-defined]  # every Struct has it
    _set_all(it, members, code, msgspec.structs.force_setattr if frozen else None)
    return it


def write_dataclass(value: Any, planner: Planner) -> str | None:
    """A new instance gets each attribute of the old one."""
    cls = type(value)
    names = _attributes(value)
    members = planner.members((name, getattr(value, name)) for name in names)
    if not members and cls.__dataclass_params__.frozen and not _keeps_results(cls):
        return None
    code = planner.code
    it = code.assign(f"{code.bind(object.__new__)}({code.bind(cls)})")
    plain_assignment = getattr_static(cls, "__setattr__") is object.__setattr__
    values = {name: members.get(name) or code.bind(getattr(value, name)) for name in names}
    _set_all(it, values, code, None if plain_assignment else object.__setattr__)
    return it


def write_model(value: Any, planner: Planner) -> str | None:
    """A pydantic model: its members, and what pydantic remembers beside them.

    A model's own assignment validates and costs a microsecond. So the copy begins as an instance of a model
    with the same layout and plain assignment, and takes its real class at the end.
    """
    cls = type(value)
    if slots_of(cls) - {*_MODEL_SLOTS, "__weakref__"}:
        raise NoPlan("a model with slots of its own")
    members, code = vars(value), planner.code
    written = {name: planner.write(getattr(value, name)) for name in _BESIDE_MEMBERS}
    copy, is_changeable = planner.filled(members.copy, members.items())
    if not is_changeable and not any(written.values()) and _is_frozen(cls):
        return None
    it = code.assign(f"{code.bind(object.__new__)}({code.bind(_blank_model())})")
    code.put(f"{it}.__dict__ = {copy}")
    named = code.bind(value.__pydantic_fields_set__.copy)
    code.put(f"{it}.__pydantic_fields_set__ = {named}()")
    for name, expression in written.items():
        code.put(f"{it}.{name} = {expression}")
    code.put(f"{it}.__class__ = {code.bind(cls)}")
    return it


_BESIDE_MEMBERS = ("__pydantic_extra__", "__pydantic_private__")
_MODEL_SLOTS = ("__dict__", "__pydantic_fields_set__", *_BESIDE_MEMBERS)


@lru_cache(maxsize=1)
def _blank_model() -> type:
    from pydantic import BaseModel

    class Blank(BaseModel):
        __setattr__ = object.__setattr__
        __delattr__ = object.__delattr__

    return Blank


def _is_frozen(cls: Any) -> bool:
    return bool(cls.model_config.get("frozen")) and not _keeps_results(cls)


def _keeps_results(cls: type) -> bool:
    """Whether instances remember what they computed, which even a frozen one then shares with everybody."""
    return any(isinstance(member, cached_property) for base in cls.__mro__ for member in vars(base).values())


def _set_all(
    it: str, values: dict[str, str], code: CopyCode, setter: Callable[[Any, str, Any], None] | None
) -> None:
    if setter is None:
        for name, expression in values.items():
            code.put(f"{it}.{name} = {expression}")
        return
    put = code.bind(setter)
    for name, expression in values.items():
        code.put(f"{put}({it}, {name!r}, {expression})")


def _attributes(value: Any) -> list[str]:
    """The names that hold the state of a dataclass instance, in the order in which they were set."""
    cls = type(value)
    slots = sorted(slots_of(cls) - {"__dict__", "__weakref__"})
    own = vars(value) if hasattr(value, "__dict__") else {}
    names = [*own, *(name for name in slots if hasattr(value, name))]
    for fault in _faults(cls, names, slots, own):
        raise NoPlan(fault)
    return names


def _faults(cls: type, names: Iterable[str], slots: Iterable[str], own: Iterable[str]) -> Iterator[str]:
    if any(not isinstance(getattr_static(cls, name, None), MemberDescriptorType) for name in slots):
        yield "a slot under another name"
    if any(hasattr(getattr_static(cls, name, None), "__set__") for name in own):
        yield "a field behind a property"
    if any(not name.isidentifier() or iskeyword(name) for name in names):
        yield "an attribute that is no identifier"


def slots_of(cls: type) -> set[str]:
    """The names of all slots of a class and of those above it."""
    found: set[str] = set()
    for base in cls.__mro__:
        slots = vars(base).get("__slots__", ())
        found.update([slots] if isinstance(slots, str) else slots)
    return found

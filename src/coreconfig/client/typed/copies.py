"""Independent copies of one instance, as fast as Python makes them.

`plan_copies` looks at an instance once. What nobody can change needs no copy and is handed to everybody; for
the rest it generates a function that makes one copy a call.
"""

from __future__ import annotations

import datetime as dt
import decimal
import fractions
import ipaddress
import re
import uuid
from collections.abc import Callable, Collection, Iterable
from dataclasses import is_dataclass
from enum import Enum
from pathlib import PurePath
from typing import Any

import msgspec

from coreconfig.client.typed.copies_of_instances import NoPlan, write_dataclass, write_model, write_struct
from coreconfig.client.typed.copy_code import Copier, CopyCode

CONSTANT = (
    type(None),
    bool,
    int,
    float,
    complex,
    str,
    bytes,
    Enum,
    decimal.Decimal,
    fractions.Fraction,
    dt.date,
    dt.time,
    dt.timedelta,
    dt.tzinfo,
    uuid.UUID,
    re.Pattern,
    PurePath,
    ipaddress.IPv4Address,
    ipaddress.IPv6Address,
    ipaddress.IPv4Network,
    ipaddress.IPv6Network,
    type,
)
"""What nobody can change."""
_CONSTANT_HOMES = frozenset({"pydantic.types", "pydantic.networks", "pydantic_core._pydantic_core"})
"""Where pydantic's own value types live (secret strings, URLs); none of them can be changed."""

_FEW = 8
"""Up to so many members are written out one by one; more are made in a loop."""
_FEW_NAMED = 4
"""Up to so many, writing out a dict is faster than copying and completing it."""


def plan_copies(instance: Any) -> Copier | None:
    """What makes an independent copy of the instance; None when the instance itself can be handed out.

    Raises `NoPlan` for an instance of a class whose inner workings are not known, or that contains itself.
    """
    copier = _copier(instance, frozenset())
    if copier is not None:
        _try_out(copier, instance)
    return copier


def _try_out(copier: Copier, instance: Any) -> None:
    try:
        copy = copier()
    except (TypeError, AttributeError) as error:
        raise NoPlan(str(error)) from error
    if type(copy) is not type(instance):
        raise NoPlan(type(instance).__qualname__)


class _Planner:
    """Writes the statements for one function; `above` holds the ids of the objects that are being written."""

    def __init__(self, above: frozenset[int]) -> None:
        self.code = CopyCode()
        self._above = above

    def write(self, value: Any) -> str | None:
        """An expression for an independent copy; None for what needs none."""
        if isinstance(value, CONSTANT):
            return None
        if id(value) in self._above:
            raise NoPlan("it contains itself")
        if self.code.is_full:
            return self._apart(value)
        outer, self._above = self._above, self._above | {id(value)}
        try:
            return _writer_of(value)(value, self)
        finally:
            self._above = outer

    def members(self, pairs: Iterable[tuple[Any, Any]]) -> dict[Any, str]:
        """The expressions of those members that need a copy of their own."""
        written = [(name, self.write(member)) for name, member in pairs]
        return {name: expression for name, expression in written if expression is not None}

    def filled(self, copy: Copier, pairs: Collection[tuple[Any, Any]]) -> tuple[str, bool]:
        """An expression for a container with copies of its members, and whether any of these needed one."""
        made = self._many(pairs) if len(pairs) > _FEW else []
        members = self.members(pairs) if len(pairs) <= _FEW else {}
        whole = f"{self.code.bind(copy)}()"
        if not made and not members:
            return whole, False
        whole = self.code.assign(whole)
        for at, expression in members.items():
            self.code.put(f"{whole}[{self.code.bind(at)}] = {expression}")
        if made:
            self.code.put(f"for at, make in {self.code.bind(made)}: {whole}[at] = make()")
        return whole, True

    def _many(self, pairs: Iterable[tuple[Any, Any]]) -> list[tuple[Any, Copier]]:
        made = [(name, _copier(member, self._above)) for name, member in pairs]
        return [(name, copier) for name, copier in made if copier is not None]

    def _apart(self, value: Any) -> str | None:
        copier = _copier(value, self._above)
        return None if copier is None else f"{self.code.bind(copier)}()"


def _copier(value: Any, above: frozenset[int]) -> Copier | None:
    if type(value) in (dict, list) and _is_flat(value.values() if type(value) is dict else value):
        return value.copy  # type: ignore[no-any-return]  # both have this method
    planner = _Planner(above)
    expression = planner.write(value)
    return None if expression is None else planner.code.function(expression)


def _is_flat(members: Iterable[Any]) -> bool:
    return all(isinstance(member, CONSTANT) for member in members)


_Writer = Callable[[Any, _Planner], str | None]


def _writer_of(value: Any) -> _Writer:
    cls = type(value)
    if (container := _CONTAINERS.get(cls)) is not None:
        return container
    if isinstance(value, tuple):
        return _write_tuple
    if isinstance(value, msgspec.Struct):
        return write_struct
    if hasattr(cls, "__pydantic_fields_set__"):
        return write_model
    if is_dataclass(cls):
        return write_dataclass
    if cls.__module__ in _CONSTANT_HOMES:
        return lambda value, planner: None
    raise NoPlan(cls.__qualname__)


def _write_dict(value: dict[Any, Any], planner: _Planner) -> str:
    if len(value) > _FEW_NAMED or _is_flat(value.values()):
        return planner.filled(value.copy, value.items())[0]
    members, bind = planner.members(value.items()), planner.code.bind
    return f"{{{', '.join(f'{bind(at)}: {members.get(at) or bind(value[at])}' for at in value)}}}"


def _write_list(value: list[Any], planner: _Planner) -> str:
    if len(value) > _FEW:
        return planner.filled(value.copy, list(enumerate(value)))[0]
    members, bind = planner.members(enumerate(value)), planner.code.bind
    return f"[{', '.join(members.get(at) or bind(item) for at, item in enumerate(value))}]"


def _write_tuple(value: tuple[Any, ...], planner: _Planner) -> str | None:
    items, is_changeable = planner.filled(list(value).copy, list(enumerate(value)))
    if not is_changeable:
        return None
    return f"{planner.code.bind(tuple.__new__)}({planner.code.bind(type(value))}, {items})"


def _write_frozenset(value: frozenset[Any], planner: _Planner) -> None:
    _refuse_changeable(value, planner)


def _write_set(value: set[Any], planner: _Planner) -> str:
    _refuse_changeable(value, planner)
    return f"{planner.code.bind(value.copy)}()"


def _refuse_changeable(value: set[Any] | frozenset[Any], planner: _Planner) -> None:
    if planner.members(list(enumerate(value))):
        raise NoPlan("a set of objects that can change")


_CONTAINERS: dict[type, _Writer] = {
    dict: _write_dict,
    list: _write_list,
    set: _write_set,
    frozenset: _write_frozenset,
    bytearray: lambda value, planner: f"{planner.code.bind(value.copy)}()",
}

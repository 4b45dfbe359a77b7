"""The shape of a target for values of one JSON kind, so that every member can be checked by itself."""

from __future__ import annotations

import types
from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Required,
    TypeVar,
    Union,
    get_args,
    get_origin,
    is_typeddict,
)

import msgspec

from coreconfig.client.typed.targets import hints_of


@dataclass(frozen=True, slots=True)
class Record:
    """Members with names: (type, required) by the name that stands in the configuration."""

    members: Mapping[str, tuple[Any, bool]]
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Any number of members whose names are of one type and whose values are of another."""

    name: Any
    value: Any


@dataclass(frozen=True, slots=True)
class Row:
    """Items in an array: each of `rest`, or by position."""

    rest: Any = None
    positions: tuple[Any, ...] | None = None

    def at(self, index: int) -> Any:
        """The type of one item; `Any` beyond the last position."""
        if self.positions is None:
            return self.rest
        return self.positions[index] if index < len(self.positions) else Any


Shape = Record | Table | Row


def shape_of(target: Any, value: Any) -> Shape | None:
    """How to take a value apart for a target; None where the value is judged as a whole."""
    target = bare_type(target)
    if is_union(target):
        return _shape_in_union(target, value)
    if isinstance(value, Mapping):
        return _record(target) or _table(target)
    return _row(target) if isinstance(value, list) else None


def bare_type(target: Any) -> Any:
    """The type without what only qualifies it: ``Annotated``, ``Required``, ``NewType``, ``type X = ...``."""
    while True:
        if get_origin(target) in (Annotated, Required, NotRequired):
            target = get_args(target)[0]
            continue
        named = getattr(target, "__supertype__", None) or getattr(target, "__value__", None)
        if named is None:
            return target
        target = named


def is_union(target: Any) -> bool:
    """Whether this is ``A | B`` in either spelling."""
    return get_origin(target) in (Union, types.UnionType)


def allowed_values(target: Any) -> list[Any]:
    """What an enumeration, a ``Literal`` or a Struct's tag in the target allows; empty if there is none."""
    target = bare_type(target)
    if get_origin(target) is Literal:
        return list(get_args(target))
    if is_union(target):
        return [value for branch in get_args(target) for value in allowed_values(branch)]
    if (config := getattr(target, "__struct_config__", None)) is not None:
        return [] if config.tag is None else [config.tag]
    if isinstance(target, type) and hasattr(target, "__members__"):
        return [member.value for member in target.__members__.values()]
    return []


def _shape_in_union(target: Any, value: Any) -> Shape | None:
    branches = [branch for branch in map(bare_type, get_args(target)) if shape_of(branch, value)]
    if len(branches) > 1 and isinstance(value, Mapping):
        branches = [branch for branch in branches if _has_tag(branch, value)]
    return shape_of(branches[0], value) if len(branches) == 1 else None


def _has_tag(branch: Any, value: Mapping[str, Any]) -> bool:
    config = getattr(branch, "__struct_config__", None)
    return config is not None and config.tag_field is not None and value.get(config.tag_field) == config.tag


def _record(target: Any) -> Record | None:
    cls = get_origin(target) or target
    if not isinstance(cls, type):
        return None
    if issubclass(cls, msgspec.Struct):
        return _struct(target, cls)
    if is_typeddict(cls):
        return _typed_dict(target, cls)
    return _dataclass(target, cls) if is_dataclass(cls) else None


def _struct(target: Any, cls: type[msgspec.Struct]) -> Record | None:
    config = cls.__struct_config__
    if config.array_like:
        return None
    members = {field.encode_name: (field.type, field.required) for field in msgspec.structs.fields(target)}
    if config.tag_field is not None:
        members[config.tag_field] = (Any, False)
    return Record(members, closed=config.forbid_unknown_fields)


def _typed_dict(target: Any, cls: type) -> Record:
    # where annotations are texts, a class does not know its NotRequired members; their resolved types do
    required: frozenset[str] = getattr(cls, "__required_keys__", frozenset())
    members = {}
    for name, hint in _hints(target, cls).items():
        qualifier = get_origin(hint)
        if qualifier in (Required, NotRequired):
            members[name] = (get_args(hint)[0], qualifier is Required)
        else:
            members[name] = (hint, name in required)
    return Record(members)


def _dataclass(target: Any, cls: type) -> Record:
    hints = _hints(target, cls)
    return Record(
        {
            field.name: (
                hints.get(field.name, Any),
                field.default is MISSING and field.default_factory is MISSING,
            )
            for field in fields(cls)
            if field.init
        }
    )


def _hints(target: Any, cls: type) -> dict[str, Any]:
    """The members' types, with the type variables of a generic class replaced by its arguments."""
    given = dict(zip(getattr(cls, "__parameters__", ()), get_args(target), strict=False))
    return {name: _given(hint, given) for name, hint in hints_of(cls).items()}


def _given(hint: Any, given: Mapping[Any, Any]) -> Any:
    if isinstance(hint, TypeVar):
        return given.get(hint, Any)
    parameters = getattr(hint, "__parameters__", ())
    if not parameters or not given or isinstance(hint, type):
        return hint
    return hint[tuple(given.get(parameter, Any) for parameter in parameters)]


def _table(target: Any) -> Table | None:
    origin, arguments = get_origin(target), get_args(target)
    if isinstance(origin, type) and issubclass(origin, Mapping) and len(arguments) == 2:
        return Table(*arguments)
    return None


def _row(target: Any) -> Row | None:
    origin, arguments = get_origin(target), get_args(target)
    if not isinstance(origin, type) or not arguments:
        return _named_tuple(target)
    if issubclass(origin, tuple):
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return Row(arguments[0])
        return Row(positions=arguments)
    if issubclass(origin, Sequence | AbstractSet) or origin is Collection:
        return Row(arguments[0])
    return None


def _named_tuple(target: Any) -> Row | None:
    if isinstance(target, type) and issubclass(target, tuple) and hasattr(target, "_fields"):
        return Row(positions=tuple(hints_of(target).values()))
    return None

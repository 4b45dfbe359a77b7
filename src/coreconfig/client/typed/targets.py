"""What a target is made of: its name for messages, and which library has to read it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import is_dataclass
from functools import lru_cache
from typing import Any, get_args, get_origin, get_type_hints, is_typeddict

import msgspec

_PYDANTIC = ("pydantic", "annotated_types")


def name_of(target: Any) -> str:
    """How a message calls a target."""
    if isinstance(target, dict):
        title = target.get("title")
        return f"the JSON Schema {title!r}" if isinstance(title, str) else "the JSON Schema"
    if isinstance(target, type) and not get_args(target):
        return target.__qualname__
    return repr(target).removeprefix("typing.")


def needs_pydantic(target: Any) -> bool:
    """Whether something in the target is declared with pydantic, which alone then knows its rules.

    That is a model, a pydantic dataclass, or a constraint such as ``Annotated[int, Field(gt=0)]``.
    """
    if "pydantic" not in sys.modules:
        return False
    return any(_is_pydantic(part) for part in _parts(target))


def _is_pydantic(part: Any) -> bool:
    if isinstance(part, type) and not get_args(part):
        return hasattr(part, "__pydantic_validator__") or _home(part) in _PYDANTIC
    return any(_home(type(mark)) in _PYDANTIC for mark in getattr(part, "__metadata__", ()))


def _home(cls: type) -> str:
    return cls.__module__.partition(".")[0]


def _parts(target: Any) -> Iterator[Any]:
    """The target and every type that it mentions, each once."""
    seen: set[int] = set()
    waiting = [target]
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        waiting += _mentioned(part)


def _mentioned(part: Any) -> list[Any]:
    origin = get_origin(part)
    nearby = [*get_args(part), origin, getattr(part, "__supertype__", None), getattr(part, "__value__", None)]
    if isinstance(part, type) and is_record(part):
        nearby += hints_of(part).values()
    return [one for one in nearby if one is not None]


def is_record(cls: Any) -> bool:
    """Whether the class declares members: a dataclass, a TypedDict, a Struct."""
    if is_dataclass(cls) or is_typeddict(cls):
        return True
    return isinstance(cls, type) and issubclass(cls, msgspec.Struct)


@lru_cache(maxsize=512)
def hints_of(cls: type) -> dict[str, Any]:
    """The declared type of each member; empty where a name in an annotation cannot be resolved."""
    try:
        return get_type_hints(cls, include_extras=True)
    except (NameError, TypeError):
        # reading the target will say so with a better text
        return {}

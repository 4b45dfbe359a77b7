"""One instance for all readers, for as long as nobody has changed it.

A pydantic model is dear to copy: its parts have to be made one by one, and a model with a model inside costs
twice as much as a flat one. To find out that nobody changed it is cheap. All the dicts, lists and sets that
hold its state are in one list, a shallow copy of each is in a second one, and Python compares the two lists
without running any Python, since a value is equal to itself at first sight.

What counts is equality: a value that was replaced by an equal one, such as ``True`` by ``1`` or an
enumeration with texts by its text, stays for later readers. To compare types as well would cost as much as
copying. For the same reason this relies on two things that only deliberate tampering breaks: an instance
keeps its ``__dict__`` (where pydantic replaces it, to validate assignments, that is looked at), and
``model_fields_set`` grows only by an assignment to a field that was not set.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import is_dataclass
from typing import Any

from coreconfig.client.typed.copies import CONSTANT, plan_copies
from coreconfig.client.typed.copies_of_instances import NoPlan, slots_of
from coreconfig.client.typed.copy_code import Copier

PATIENCE = 64
"""So many changed instances are replaced by one for everybody; a program that goes on gets copies."""

_Held = tuple[Any, list[Any], list[Any], list[tuple[Any, dict[str, Any]]]]
"""The instance, what holds its state, copies of that, and the models whose `__dict__` may be another one."""


class NotShared(Exception):
    """Whether such an instance was changed cannot be told."""


def is_shared(instance: Any) -> bool:
    """Whether the rule for models holds for an instance: for a model, and for plain containers with one."""
    if type(instance) is dict:
        return any(map(is_shared, instance.values()))
    if isinstance(instance, list | tuple):
        return any(map(is_shared, instance))
    return _is_model(type(instance))


def shared(make: Copier) -> Callable[[], Any]:
    """Gives the same instance to everybody, and another one made by `make` after somebody has changed it.

    `make` gives independent, equal instances. Raises `NotShared`.
    """
    held = _held(make())
    left = PATIENCE

    def read() -> Any:
        # one look at the variable: another thread may replace what is held
        instance, state, saved, movable = held
        try:
            is_unchanged = state == saved and (not movable or _in_place(movable))
        except Exception:  # noqa: BLE001  # somebody put in a thing that refuses to be compared: a change
            is_unchanged = False
        return instance if is_unchanged else renew()

    def renew() -> Any:
        nonlocal held, left
        fresh = make()
        if left > 0:
            left -= 1
            held = _held(fresh)
        return fresh

    return read


def _in_place(movable: list[tuple[Any, dict[str, Any]]]) -> bool:
    for model, members in movable:  # noqa: SIM110  # a loop; all() with a generator takes twice the time
        if model.__dict__ is not members:
            return False
    return True


def _held(instance: Any) -> _Held:
    walk = _Walk()
    walk.add(instance)
    return instance, walk.state, [part.copy() for part in walk.state], walk.movable


class _Walk:
    """Collects what holds the state of an instance; the copier has already made sure that it has an end."""

    def __init__(self) -> None:
        self.state: list[Any] = []
        self.movable: list[tuple[Any, dict[str, Any]]] = []

    def add(self, value: Any) -> None:
        """Collect what can be changed in the value and below it."""
        cls = type(value)
        if isinstance(value, CONSTANT):
            return
        if cls is dict:
            self._add_members(value)
        elif cls is list:
            self.state.append(value)
            self._add_all(value)
        elif cls in (set, bytearray):
            self.state.append(value)
        elif isinstance(value, tuple):
            self._add_all(value)
        elif _is_model(cls):
            self._add_model(value)
        else:
            self._add_other(value)

    def _add_all(self, values: Any) -> None:
        for value in values:
            self.add(value)

    def _add_members(self, members: dict[Any, Any]) -> None:
        self.state.append(members)
        self._add_all(members.values())

    def _add_model(self, model: Any) -> None:
        if model.__pydantic_private__ is not None:
            raise NotShared("private attributes")
        cls = type(model)
        self._add_members(vars(model))
        if model.__pydantic_extra__ is not None:
            self._add_members(model.__pydantic_extra__)
        if not model.__pydantic_fields_set__ >= cls.model_fields.keys():
            self.state.append(model.__pydantic_fields_set__)
        if cls.model_config.get("validate_assignment"):
            self.movable.append((model, vars(model)))

    def _add_other(self, value: Any) -> None:
        if _is_constant(value):
            return
        cls = type(value)
        if not is_dataclass(cls) or slots_of(cls) - {"__weakref__"}:
            raise NotShared(cls.__qualname__)
        self._add_members(vars(value))
        if getattr(cls, "__pydantic_config__", {}).get("validate_assignment"):
            self.movable.append((value, vars(value)))


def _is_model(cls: type) -> bool:
    return hasattr(cls, "__pydantic_fields_set__")


def _is_constant(value: Any) -> bool:
    try:
        return plan_copies(value) is None
    except NoPlan as unknown:
        raise NotShared(str(unknown)) from unknown

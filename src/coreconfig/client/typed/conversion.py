"""A value of the configuration as what the program declares, or every reason why it is not that."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Protocol, TypeVar, overload

from coreconfig.client.typed.by_msgspec import MsgspecReader
from coreconfig.client.typed.by_schema import SchemaReader
from coreconfig.client.typed.targets import name_of, needs_pydantic
from coreconfig.errors import ConfigValidationError, Invalid, Issue

T = TypeVar("T")


class Reader(Protocol):
    """Reads values for one target."""

    def attempt(self, value: Any, key: str) -> tuple[Any, list[Issue]]:
        """The instance and no issue, or every issue."""

    def json_schema(self) -> dict[str, Any]:
        """What the target demands, as JSON Schema."""


@overload
def convert(value: Any, target: type[T], key: str) -> T: ...
@overload
def convert(value: Any, target: Any, key: str) -> Any: ...
def convert(value: Any, target: Any, key: str) -> Any:
    """The value (a node of a snapshot, or plain JSON) as an instance of the target; the two share nothing.

    Raises `ConfigValidationError` with every issue: its code, the key, a text without values. Codes:
    ``missing_member``, ``unknown_member``, ``wrong_type``, ``wrong_format``, ``wrong_length``,
    ``out_of_bounds``, ``not_allowed``, ``rule_broken``. Raises `Invalid` (``unsupported_target``,
    ``bad_schema``, ``schema_extra``) when no value could be read so.
    """
    instance, issues = reader_for(target).attempt(value, key)
    if issues:
        count = "1 issue" if len(issues) == 1 else f"{len(issues)} issues"
        raise ConfigValidationError(f"the value of {key!r} is not {name_of(target)}: {count}", issues=issues)
    return instance


def json_schema_of(target: Any) -> dict[str, Any]:
    """What a target demands, as a JSON Schema of draft 2020-12. Raises `Invalid` (``unsupported_target``)."""
    try:
        return reader_for(target).json_schema()
    except (TypeError, ValueError) as error:
        if isinstance(error, Invalid):
            raise
        raise _unsupported(target, error) from error


def reader_for(target: Any) -> Reader:
    """The reader of a target; made once for each. Raises `Invalid`."""
    if isinstance(target, Mapping):
        return SchemaReader(target)
    try:
        return _kept_reader(target)
    except TypeError:
        # only an unhashable target, such as one annotated with a list, gets here
        return _new_reader(target)


@lru_cache(maxsize=512)
def _kept_reader(target: Any) -> Reader:
    return _new_reader(target)


def _new_reader(target: Any) -> Reader:
    if isinstance(target, str):
        raise _unsupported(target, TypeError("it is a text; name the type itself"))
    if needs_pydantic(target):
        return _pydantic_reader(target)
    try:
        return MsgspecReader(target)
    except (TypeError, NameError) as error:
        refusal = _unsupported(target, error)
    # pydantic knows more unions and more types
    try:
        return _pydantic_reader(target)
    except (Invalid, ModuleNotFoundError):
        raise refusal from None


def _pydantic_reader(target: Any) -> Reader:
    from pydantic.errors import PydanticUserError

    from coreconfig.client.typed.by_pydantic import PydanticReader

    try:
        return PydanticReader(target)
    except (PydanticUserError, TypeError, NameError) as error:
        raise _unsupported(target, error) from error


def _unsupported(target: Any, error: Exception) -> Invalid:
    reason = str(error).splitlines()[0]
    return Invalid(f"values cannot be read as {name_of(target)}: {reason}", code="unsupported_target")

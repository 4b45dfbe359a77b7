"""Base classes of request bodies and of the documentation of answers."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema


class Body(BaseModel):
    """A request body: types are exact, and a member that nobody reads is an error of the sender."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Answer(BaseModel):
    """The shape of an answer; documentation only, answers are encoded without it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _whole(value: Any) -> Any:
    """JSON knows one kind of number: 3.0 is the integer 3."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(_whole)]
"""An integer however JSON spelt it."""

Revision = Annotated[int, Field(ge=0, le=2**53), BeforeValidator(_whole)]


SHAPE: Final = "x-shape"
"""A schema that consists of this member alone stands for the component of that name."""

ConfigValue = Annotated[Any, WithJsonSchema({SHAPE: "ConfigValue"})]
"""A value of the configuration; what it may hold is checked by the model."""

COMPONENTS: Final[dict[str, Any]] = {
    "ConfigValue": {
        "description": "Any JSON value within the limits; members are segments of keys, here unquoted.",
        "anyOf": [
            {"type": ["null", "boolean", "string"]},
            {"type": "number", "minimum": -(2**53), "maximum": 2**53},
            {"type": "array", "items": {SHAPE: "JsonValue"}},
            {SHAPE: "ConfigObject"},
        ],
    },
    "JsonValue": {
        "description": "What stands in an array, which is one value: members of objects have any name.",
        "anyOf": [
            {"type": ["null", "boolean", "string"]},
            {"type": "number", "minimum": -(2**53), "maximum": 2**53},
            {"type": "array", "items": {SHAPE: "JsonValue"}},
            {"type": "object", "additionalProperties": {SHAPE: "JsonValue"}},
        ],
    },
    "ConfigObject": {
        "type": "object",
        "propertyNames": {"pattern": "^[A-Za-z0-9_-]{1,32}$"},
        "additionalProperties": {SHAPE: "ConfigValue"},
    },
}
"""Schemas that models refer to by name, because they are recursive or come from the model of the domain."""


class IssueAnswer(Answer):
    """One broken rule."""

    code: str
    severity: str
    key: str | None
    message: str


class ErrorDetail(Answer):
    """Why a request failed. ``incident`` stands in the server's log beside the cause of a 500."""

    code: str
    message: str
    issues: list[IssueAnswer]
    revision: int | None = None
    incident: str | None = None


class ErrorAnswer(Answer):
    """The body of every failed request."""

    error: ErrorDetail

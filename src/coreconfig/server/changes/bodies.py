"""What the write routes take, and what they answer with, for the checks and for the documentation."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field, WithJsonSchema

from coreconfig.server.changes.model import Source
from coreconfig.server.environments.shapes import DOCUMENT, UPDATE
from coreconfig.server.web.models import SHAPE, Answer, Body, ConfigValue, IssueAnswer, Revision
from coreconfig.server.web.parameters import ID_SCHEMA, KEY_SCHEMA

MAX_REASON = 2_000

Reason = str | None

_VALUE_EDIT: Final[dict[str, Any]] = {
    "kind": {"const": "value"},
    "environment": ID_SCHEMA,
    "service": {"anyOf": [ID_SCHEMA, {"type": "null"}]},
    "key": KEY_SCHEMA,
}
_ENVIRONMENT_EDIT: Final[dict[str, Any]] = {"kind": {"const": "environment"}, "environment": ID_SCHEMA}


def _edit(common: dict[str, Any], optional: tuple[str, ...] = (), **members: Any) -> dict[str, Any]:
    properties = {**common, **members}
    required = [name for name in properties if name not in optional]
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _new_document() -> dict[str, Any]:
    members = {name: schema for name, schema in DOCUMENT["properties"].items() if name != "id"}
    return {**DOCUMENT, "properties": members, "required": ["type"]}


AnyEdit = Annotated[
    Any,
    WithJsonSchema(
        {
            "anyOf": [
                _edit(_VALUE_EDIT, ("service",), operation={"const": "set"}, value={SHAPE: "ConfigValue"}),
                _edit(_VALUE_EDIT, ("service",), operation={"const": "merge"}, value={SHAPE: "ConfigObject"}),
                _edit(_VALUE_EDIT, ("service",), operation={"enum": ["delete", "unset"]}),
                _edit(_ENVIRONMENT_EDIT, operation={"const": "create"}, document=_new_document()),
                _edit(_ENVIRONMENT_EDIT, operation={"const": "update"}, document=UPDATE),
                _edit(_ENVIRONMENT_EDIT, operation={"const": "delete"}),
            ]
        }
    ),
]
"""An edit; the schema is for the documentation, the model checks."""


class ChangeBody(Body):
    """A change: its edits are checked by the model itself, so that every issue is listed at once."""

    edits: list[AnyEdit] = Field(min_length=1)
    reason: Reason = Field(default=None, max_length=MAX_REASON)
    source: Source = "api"
    expected_revision: Revision | None = None


class ValueBody(Body):
    """The value of one key."""

    value: ConfigValue
    reason: Reason = Field(default=None, max_length=MAX_REASON)
    expected_revision: Revision | None = None


class RevertBody(Body):
    """Why a revision is taken back."""

    reason: Reason = Field(default=None, max_length=MAX_REASON)


class PlaceAnswer(Answer):
    """A view: an environment, or a service in it."""

    environment: str
    service: str | None


class MoveAnswer(Answer):
    """A key that moves in these views; an absent side is left out."""

    key: str
    old: Any = None
    new: Any = None
    views: list[PlaceAnswer]


class ReceiptAnswer(Answer):
    """What became of a change."""

    id: str | None
    state: Literal["draft", "completed"]
    revision: int
    issues: list[IssueAnswer]
    affected: list[PlaceAnswer]
    effective: list[MoveAnswer]


class ChangeSummary(Answer):
    """A change in a list."""

    id: str
    state: str
    author: str
    reason: str | None
    source: str
    created_at: str
    updated_at: str
    revision: int | None


class ChangesAnswer(Answer):
    """Changes, newest first; `next` is the cursor of the page after this one."""

    changes: list[ChangeSummary]
    next: str | None


class ChangeAnswer(ChangeSummary):
    """A change as a whole."""

    edits: list[Any]
    affected: list[PlaceAnswer]
    effective: list[MoveAnswer]
    issues: list[IssueAnswer]
    subject: str

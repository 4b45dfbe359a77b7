"""Checks a value against a JSON Schema and lists every issue. Draft 2020-12 unless ``$schema`` names another.

The validator never fetches anything: a ``$ref`` may point into the schema itself, into the drafts'
meta-schemas and into the documents handed in, nowhere else. Patterns run in an engine whose time grows only
linearly with the text, so that no schema can stall its reader. Messages never show the value that was
checked, because it may be a secret. ``format`` is asserted.

The validator itself comes with the extra ``schema`` and is loaded when it is first needed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Never

from coreconfig.errors import Invalid, Issue
from coreconfig.model.keys import quote
from coreconfig.model.trees import is_object

if TYPE_CHECKING:
    import jsonschema_rs

    Validator = jsonschema_rs.Validator

Schema = Mapping[str, Any]

_PATTERN_BYTES = 1 << 20
_MASK = "***"

_CODES = {
    "required": "missing_member",
    "additionalProperties": "unknown_member",
    "unevaluatedProperties": "unknown_member",
    "type": "wrong_type",
    "enum": "not_allowed",
    "const": "not_allowed",
    "format": "wrong_format",
    "pattern": "wrong_format",
}
_CODES |= dict.fromkeys(
    ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"), "out_of_bounds"
)
_CODES |= dict.fromkeys(
    ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), "wrong_length"
)


def check(
    value: Any, schema: Schema, *, at: str = "", documents: Mapping[str, Schema] | None = None
) -> list[Issue]:
    """Every deviation of a value (a tree or plain JSON) from a schema; empty when there is none.

    `at` is the key of the value and begins each issue's key. `documents` are further schemas by the URI under
    which ``$ref`` names them. Raises `Invalid`: ``bad_schema`` when the schema is not one, ``schema_extra``
    when the validator is not installed.
    """
    validator = _validator(schema_text(schema), schema_text(documents or {}))
    return [_issue(error, at) for error in validator.iter_errors(_bare(value))]


def check_schema(schema: Schema, *, documents: Mapping[str, Schema] | None = None) -> None:
    """Raise `Invalid` (``bad_schema``) unless this is a JSON Schema whose references all lead somewhere."""
    _validator(schema_text(schema), schema_text(documents or {}))


@lru_cache(maxsize=256)
def _validator(schema: str, documents: str) -> Validator:
    library = _library()
    try:
        return _build(library, schema, documents, mask=_MASK)
    except (ValueError, library.ReferencingError):
        pass
    # a schema is no secret: the second try says in the clear what is wrong with it
    try:
        return _build(library, schema, documents, mask=None)
    except (ValueError, library.ReferencingError) as error:
        message = f"this is not a usable JSON Schema: {_failure(error)}"
    raise Invalid(message, code="bad_schema")


def _build(library: Any, schema: str, documents: str, *, mask: str | None) -> Validator:
    resources = list(json.loads(documents).items())
    return library.validator_for(  # type: ignore[no-any-return]  # the module is loaded late
        json.loads(schema),
        retriever=_refuse,
        registry=library.Registry(resources, retriever=_refuse),
        pattern_options=library.RegexOptions(size_limit=_PATTERN_BYTES, dfa_size_limit=_PATTERN_BYTES),
        validate_formats=True,
        mask=mask,
    )


def _failure(error: Exception) -> str:
    text = str(getattr(error, "message", error)).splitlines()[0]
    where = key_below("", getattr(error, "instance_path", ()))
    return f"{text} (at {where})" if where else text


def schema_text(schema: Schema) -> str:
    """One text for all spellings of a schema. Raises `Invalid` (``bad_schema``) for what is not JSON."""
    try:
        return json.dumps(_bare(schema), sort_keys=True)
    except (TypeError, RecursionError) as error:
        message = f"this is not a usable JSON Schema: {error}"
    raise Invalid(message, code="bad_schema")


def _library() -> Any:
    try:
        import jsonschema_rs
    except ModuleNotFoundError:
        raise Invalid(
            "checking against a JSON Schema needs the extra 'schema': install coreconfig[schema]",
            code="schema_extra",
        ) from None
    return jsonschema_rs


def _refuse(uri: str) -> Never:
    raise ValueError(f"{uri} is not among the documents at hand, and nothing is fetched")


def _issue(error: jsonschema_rs.ValidationError, at: str) -> Issue:
    keyword = error.kind.name
    return Issue(_CODES.get(keyword, "rule_broken"), error.message, key=key_below(at, error.instance_path))


def key_below(at: str, steps: Iterable[str | int]) -> str:
    """The key of what lies below a key: members by name, items of an array by number in brackets."""
    for step in steps:
        if isinstance(step, int):
            at += f"[{step}]"
        else:
            at += f".{quote(step)}" if at else quote(step)
    return at


def _bare(value: Any) -> Any:
    """The value as the exact built-in types, which are all that the validator takes."""
    if is_object(value) or isinstance(value, Mapping):
        return {name: _bare(child) for name, child in value.items()}
    if isinstance(value, list | tuple):
        return [_bare(item) for item in value]
    if isinstance(value, str) and type(value) is not str:
        return str.__str__(value)
    return value

"""The OpenAPI 3.1 document, put together from what each operation says of itself."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, cast

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.routing import BaseRoute

from coreconfig.server.web.models import COMPONENTS, SHAPE, ErrorAnswer
from coreconfig.server.web.operations import Operation, Shape

_REFERENCE = "#/components/schemas/{model}"


def document(app: FastAPI) -> dict[str, Any]:
    """The description of every operation of the application."""
    found = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        openapi_version="3.1.0",
    )
    operations = list(_operations(app.routes))
    components = found.setdefault("components", {})
    components.setdefault("schemas", {}).update({**COMPONENTS, **_schemas(operations)})
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer", "description": "cc_..."}}
    for operation in operations:
        path = found.setdefault("paths", {}).setdefault(operation.template, {})
        path[operation.method.lower()] = _described(operation)
    return cast("dict[str, Any]", _linked(found))


def _operations(routes: Iterable[BaseRoute]) -> Iterable[Operation]:
    return (route for route in routes if isinstance(route, Operation))


def _schemas(operations: Iterable[Operation]) -> dict[str, Any]:
    shapes: list[Shape] = [ErrorAnswer]
    for operation in operations:
        shapes += [operation.documentation.body, *operation.documentation.answers.values()]
    models = {shape for shape in shapes if isinstance(shape, type)}
    ordered = sorted(models, key=lambda model: model.__name__)
    _, schema = models_json_schema([(model, "validation") for model in ordered], ref_template=_REFERENCE)
    return dict(schema.get("$defs", {}))


def _described(operation: Operation) -> dict[str, Any]:
    said = operation.documentation
    described: dict[str, Any] = {
        "operationId": said.id,
        "summary": said.summary,
        "tags": [said.tag],
        "security": [] if said.public else [{"token": []}],
        "description": " ".join(p.in_words() for p in operation.parameters if p.conditional),
        "parameters": [p.documentation() for p in operation.parameters if not p.conditional],
        "responses": {
            **{
                str(status): _answer(status, shape, said.media_type) for status, shape in said.answers.items()
            },
            **{
                str(status): _answer(status, ErrorAnswer, "application/json")
                for status in sorted(said.errors)
            },
        },
    }
    if said.body is not None:
        described["requestBody"] = {
            "required": said.body_required,
            "content": {"application/json": {"schema": _schema(said.body)}},
        }
    return described


def _answer(status: int, shape: Shape, media_type: str) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if shape is not None:
        answer["content"] = {media_type: {"schema": _schema(shape)}}
    return answer


def _linked(node: Any) -> Any:
    """The document with references where components are named."""
    if isinstance(node, dict):
        if SHAPE in node:
            return {"$ref": _REFERENCE.format(model=node[SHAPE])}
        return {name: _linked(child) for name, child in node.items()}
    return [_linked(child) for child in node] if isinstance(node, list) else node


def _schema(shape: type[BaseModel] | dict[str, Any]) -> dict[str, Any]:
    return shape if isinstance(shape, dict) else {"$ref": _REFERENCE.format(model=shape.__name__)}

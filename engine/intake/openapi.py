"""Makes the OpenAPI 3.1 document from the table of operations and the msgspec structs. Pure; made once at start."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from engine.intake.faults import shown_pattern
from engine.intake.problems import PROBLEMS, ProblemBody
from engine.intake.routes import Choice, Operation

_REFERENCES = "#/components/schemas/{name}"
_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemBody"}}}
_EVERYWHERE = ("method-not-allowed", "not-acceptable", "headers-too-large", "internal")
_WITH_KEY = ("unauthorized", "forbidden")


def document(operations: Sequence[Operation]) -> dict[str, Any]:
    """The OpenAPI document."""
    structs = list(dict.fromkeys([ProblemBody, *_structs(operations)]))
    references, components = msgspec.json.schema_components(structs, ref_template=_REFERENCES)
    schemas = dict(zip(structs, references, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, schemas)
    made: dict[str, Any] = _with_shown_patterns(
        {
            "openapi": "3.1.0",
            "info": {"title": "Klokke", "version": "1", "description": "Notification fan-out and delivery."},
            "paths": paths,
            "components": {
                "schemas": components,
                "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "API key"}},
            },
        }
    )
    return made


def _structs(operations: Iterable[Operation]) -> Iterable[Any]:
    for operation in operations:
        for shape in (*operation.bodies.values(), operation.answer):
            yield from shape.shapes if isinstance(shape, Choice) else (shape,) if shape is not None else ()


def _schema(shape: Any, schemas: dict[Any, Any]) -> dict[str, Any]:
    if not isinstance(shape, Choice):
        made: dict[str, Any] = schemas[shape]
        return made
    either = {"anyOf": [schemas[option] for option in shape.shapes]}
    return {"type": "array", "items": either, "minItems": 1, "maxItems": shape.items_max} if shape.items_max else either


def _operation(operation: Operation, schemas: dict[Any, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "summary": operation.summary,
        "operationId": operation.handler.__name__ + "_" + re.sub(r"\W+", "_", operation.path).strip("_"),
        "parameters": [*map(_path_parameter, re.findall(r"{(\w+)}", operation.path)), *_query_parameters(operation)],
        "responses": _responses(operation, schemas),
    }
    if operation.scopes:
        made["security"] = [{"key": []}]
    if operation.bodies:
        content = {kind: {"schema": _schema(shape, schemas)} for kind, shape in operation.bodies.items()}
        made["requestBody"] = {"required": True, "content": content}
    return made


def _path_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _query_parameters(operation: Operation) -> list[dict[str, Any]]:
    schema = {"type": "integer", "minimum": 1, "default": 1}
    return [
        {"name": name, "in": "query", "description": text, "schema": schema} for name, text in operation.query.items()
    ]


def _responses(operation: Operation, schemas: dict[Any, Any]) -> dict[str, Any]:
    done: dict[str, Any] = {"description": operation.summary}
    if operation.answer is not None:
        done["content"] = {"application/json": {"schema": _schema(operation.answer, schemas)}}
    by_status: dict[int, list[str]] = {}
    for name in (*operation.problems, *_EVERYWHERE, *(_WITH_KEY if operation.scopes else ())):
        by_status.setdefault(PROBLEMS[name][0], []).append(name)
    refusals = {
        str(status): {"description": "; ".join(PROBLEMS[name][1] for name in names), "content": _PROBLEM}
        for status, names in sorted(by_status.items())
    }
    return {str(operation.status): done, **refusals}


def _with_shown_patterns(value: Any) -> Any:
    """Patterns as ECMA 262 spells them."""
    if isinstance(value, dict):
        return {
            key: shown_pattern(item) if key == "pattern" and isinstance(item, str) else _with_shown_patterns(item)
            for key, item in value.items()
        }
    return [_with_shown_patterns(item) for item in value] if isinstance(value, list) else value

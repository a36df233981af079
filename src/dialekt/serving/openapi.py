"""The OpenAPI document: every route, status and body, made from the models that parse and write them."""

from typing import Any, Literal

from pydantic import TypeAdapter

from dialekt.serving.operations import OPERATIONS, ErrorShape, Operation
from dialekt.serving.wire_openai import OpenAIErrorAnswer
from dialekt.serving.wire_tei import ErrorAnswer

REASONS = {
    400: "the body is no JSON, or an input is empty",
    401: "no key of this server was sent",
    404: "no such model, version, index or document",
    408: "the body did not arrive in time",
    413: "the body is over the payload limit",
    415: "the content type is not one that the route takes",
    422: "a field has a wrong type or value, or an input is too long",
    424: "the model cannot do this, or failed at it",
    429: "a limit was hit; Retry-After says in how many seconds there may be room",
    503: "not ready: loading, or about to end",
    504: "the request waited longer than its deadline",
}
_OF_BODIES = (400, 404, 408, 413, 415, 422, 424, 429, 503, 504)
_DESCRIPTION = (
    "Speaks the protocols of Text Embeddings Inference and of OpenAI. A request's model may be a name, name@v3, "
    "name@champion, name@latest or name@base. Unknown fields are ignored, but not by the index's routes. "
    "Headers: x-timeout-ms, after which a request is dropped with 504; x-priority, which is query or bulk; "
    "x-request-id, which comes back."
)
_ANSWER_HEADERS = {
    "x-dialekt-model": "name and version of the model that answered",
    "x-dialekt-release": "the release of the index that answered",
    "x-dialekt-warning": "dimensions that the model was not trained for; documents that are too long",
    "x-compute-type": "device and engine",
    "x-compute-characters": "characters of the inputs",
    "x-compute-tokens": "tokens of the inputs",
    "x-total-time": "milliseconds from the request's arrival to its answer",
    "x-tokenization-time": "milliseconds in the tokeniser; the mean of the inputs, as the next two",
    "x-queue-time": "milliseconds before the engine was free",
    "x-inference-time": "milliseconds in the engine",
}
_MODE: Literal["validation"] = "validation"  # of answers too: what an answer may leave out is not required
_REFERENCE = "#/components/schemas/{model}"


def openapi_document(*, title: str, version: str, needs_key: bool) -> dict[str, Any]:
    """Return the document, OpenAPI 3.1. `needs_key` says whether the server has keys."""
    parts = [
        (_name(operation, part), kind)
        for operation in OPERATIONS
        for part, kind in (("request", operation.request), ("answer", operation.answer))
        if kind is not None
    ]
    parts += [(ErrorShape.TEI.value, ErrorAnswer), (ErrorShape.OPENAI.value, OpenAIErrorAnswer)]
    kinds = [(name, _MODE, TypeAdapter(kind)) for name, kind in parts]
    found, definitions = TypeAdapter.json_schemas(kinds, ref_template=_REFERENCE)
    schemas = {name: schema for (name, _), schema in found.items()}
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        entry = _operation(operation, schemas, needs_key=needs_key and operation.needs_key)
        paths.setdefault(operation.path, {})[operation.method.lower()] = entry
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "description": _DESCRIPTION},
        "paths": paths,
        "components": {
            "schemas": definitions.get("$defs", {}),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(operation: Operation, schemas: dict[str, Any], *, needs_key: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "operationId": operation.identity,
        "summary": operation.summary,
        "tags": [operation.group],
        "parameters": _parameters(operation),
        "responses": _responses(operation, schemas, needs_key=needs_key),
    }
    if operation.request is not None:
        content = {"schema": schemas[_name(operation, "request")], "example": operation.example}
        body: dict[str, Any] = {"application/json": content}
        if operation.takes_ndjson:
            body["application/x-ndjson"] = {"schema": {"type": "string"}}
        entry["requestBody"] = {"required": True, "content": body}
    if needs_key:
        entry["security"] = [{"key": []}]
    return entry


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}, "example": example}
        for name, example in operation.path_parameters.items()
    ]


def _responses(operation: Operation, schemas: dict[str, Any], *, needs_key: bool) -> dict[str, Any]:
    fault = {"application/json": {"schema": schemas[operation.errors.value]}}
    statuses = _OF_BODIES if operation.request is not None else operation.statuses
    responses = {str(status): {"description": REASONS[status], "content": fault} for status in statuses}
    if "429" in responses:
        wait = {"schema": {"type": "integer", "minimum": 1}, "description": "seconds"}
        responses["429"]["headers"] = {"Retry-After": wait}
    if needs_key:
        body = {"content": fault} if operation.errors is ErrorShape.OPENAI else {}
        responses["401"] = {"description": REASONS[401], **body}
    if operation.accepts:
        responses["202"] = {**_success(operation, schemas), "description": operation.accepts}
    return {"200": _success(operation, schemas), **dict(sorted(responses.items()))}


def _success(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    success: dict[str, Any] = {"description": operation.gives}
    if operation.answer is not None:
        success["content"] = {operation.media_type: {"schema": schemas[_name(operation, "answer")]}}
    if operation.computes:
        success["headers"] = {
            name: {"schema": {"type": "string"}, "description": description}
            for name, description in _ANSWER_HEADERS.items()
        }
    return success


def _name(operation: Operation, part: str) -> str:
    return f"{operation.identity}_{part}"

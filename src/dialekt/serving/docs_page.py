"""GET /docs: one page that explains every route. It loads nothing from anywhere."""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined, Template

from dialekt.serving.operations import OPERATIONS, Operation

_TEMPLATE_NAME = "docs.html.jinja"


@dataclass(frozen=True, slots=True)
class _Field:
    """A field of a request as the page shows it."""

    name: str
    kind: str
    required: bool
    description: str


@dataclass(frozen=True, slots=True)
class _Entry:
    """A route as the page shows it."""

    operation: Operation
    command: str
    fields: tuple[_Field, ...]
    statuses: tuple[tuple[str, str], ...]


def docs_page(document: dict[str, Any], *, url: str) -> str:
    """Return the page of an OpenAPI document; `url` is what its examples call."""
    groups: dict[str, list[_Entry]] = {}
    for operation in OPERATIONS:
        groups.setdefault(operation.group, []).append(_entry(operation, document, url))
    return _template().render(info=document["info"], groups=groups)


def _entry(operation: Operation, document: dict[str, Any], url: str) -> _Entry:
    described = document["paths"][operation.path][operation.method.lower()]
    statuses = tuple((status, answer["description"]) for status, answer in described["responses"].items())
    schema = _resolved(_request_schema(described), document)
    required = schema.get("required", ())
    fields = [
        _Field(name, _kind(field, document), name in required, field.get("description", ""))
        for name, field in schema.get("properties", {}).items()
    ]
    command = _command(operation, url, needs_key="security" in described)
    return _Entry(operation, command, tuple(sorted(fields, key=lambda field: not field.required)), statuses)


def _request_schema(described: dict[str, Any]) -> dict[str, Any]:
    body = described.get("requestBody")
    return {} if body is None else body["content"]["application/json"]["schema"]


def _resolved(schema: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref", "")
    return document["components"]["schemas"][reference.rpartition("/")[2]] if reference else schema


def _kind(schema: dict[str, Any], document: dict[str, Any]) -> str:
    """Return a field's type in a few words: `string | [string] | [[integer]]`; null goes without saying."""
    schema = _resolved(schema, document)
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    if "const" in schema:
        return json.dumps(schema["const"])
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        kinds = [_kind(choice, document) for choice in choices]
        return " | ".join(dict.fromkeys(kind for kind in kinds if kind != "null"))
    match schema.get("type", "any"):
        case "array":
            parts = schema.get("prefixItems") or [schema.get("items", {})]
            return f"[{', '.join(_kind(part, document) for part in parts)}]"
        case kind:
            return str(kind)


def _command(operation: Operation, url: str, *, needs_key: bool) -> str:
    path = operation.path
    for name, value in operation.path_parameters.items():
        path = path.replace(f"{{{name}}}", value)
    words = [f"curl {url}{path}"]
    if needs_key:
        words.append('-H "authorization: Bearer $API_KEY"')
    if operation.example is not None:
        body = json.dumps(operation.example, ensure_ascii=False)
        words += ["-H 'content-type: application/json'", f"-d '{body}'"]
    return " \\\n  ".join(words)


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(files("dialekt.serving").joinpath(_TEMPLATE_NAME).read_text(encoding="utf-8"))

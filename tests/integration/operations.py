"""The API by its document: every operation, its declared permission, and a request for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"
API = "/api/v1/"
METHODS = ("get", "post", "put", "patch", "delete")
Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Operation:
    """One operation of the document."""

    method: str
    path: str
    permission: str
    """A permission of `contracts/permissions.py`, `account`, or `none`."""
    parameters: tuple[Schema, ...]
    body: Schema | None
    """The schema of its JSON body."""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def parameter_names(self, where: str) -> list[str]:
        return [parameter["name"] for parameter in self.parameters if parameter["in"] == where]


def operations(document: Schema | None = None) -> list[Operation]:
    """Return every operation of the committed document under `/api/v1`, where one gate decides who may call it."""
    known = document or json.loads(DOCUMENT.read_text())
    return [
        _operation(known, method, path, item)
        for path, item in known["paths"].items()
        for method in METHODS
        if method in item and path.startswith(API)
    ]


def _operation(document: Schema, method: str, path: str, item: Schema) -> Operation:
    said = item[method]
    content = said.get("requestBody", {}).get("content", {})
    return Operation(
        method.upper(),
        path,
        said.get("x-permission", ""),
        tuple(resolve(document, each) for each in [*item.get("parameters", []), *said.get("parameters", [])]),
        inline(document, content["application/json"]["schema"]) if "application/json" in content else None,
    )


def resolve(document: Schema, schema: Schema) -> Schema:
    """Follow a `$ref` within the document."""
    while "$ref" in schema:
        found: Any = document
        for name in schema["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        schema = found
    return schema


def inline(document: Schema, schema: Any) -> Any:
    """Return a schema without references. Our schemas are not recursive."""
    if isinstance(schema, list):
        return [inline(document, each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {name: inline(document, value) for name, value in resolve(document, schema).items()}


def example(schema: Schema, name: str = "", known: Mapping[str, Any] | None = None) -> Any:
    """Return a small value that `schema` accepts, with only the required members.

    `known` has values by field name, which have precedence, such as an address of the right domain.
    """
    if known and name in known:
        return known[name]
    for given in ("const", "default"):
        if schema.get(given) is not None:
            return schema[given]
    for given in ("examples", "enum"):
        if schema.get(given):
            return schema[given][0]
    for choice in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        if choice.get("type") != "null":
            return example(choice, name, known)
    return _of_type(schema, name, known)


def _of_type(schema: Schema, name: str, known: Mapping[str, Any] | None) -> Any:
    match schema.get("type"):
        case "object" | None:
            properties, required = schema.get("properties", {}), schema.get("required", [])
            return {field: example(properties.get(field, {}), field, known) for field in required}
        case "array":
            return [example(schema["items"], name, known) for _ in range(schema.get("minItems", 0))]
        case "string":
            return _string(schema)
        case "integer" | "number":
            return schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
        case "boolean":
            return False
        case _:
            return None


def _string(schema: Schema) -> str:
    form = {
        "email": "someone@example.com",
        "date-time": "2036-01-01T00:00:00Z",
        "date": "2036-01-01",
        "uri": "https://example.com/",
    }.get(schema.get("format", ""))
    return form or ("x" * max(8, schema.get("minLength", 0)))[: schema.get("maxLength", 8)]

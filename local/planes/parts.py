"""Parts of the OpenAPI document, made by functions, so that a description is a list of calls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from opencode_cloud.http.openapi import ALSO_AT, PERMISSION

Schema = dict[str, Any]
JSON = "application/json"
HTML = "text/html"
EVENTS = "text/event-stream"
TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "integer"}
TRUTH: Schema = {"type": "boolean"}
ANY: Schema = {}
Security = tuple[Mapping[str, list[str]], ...]
"""Alternatives, each of which suffices; none: no credential is needed."""
ANYONE: Security = ()
MEMBER: Security = ({"bearer": []},)
PERSON: Security = ({"bearer": []}, {"session": []})
READER: Security = ({}, {"bearer": []}, {"session": []}, {"ticket": []})
OPERATOR: Security = ({"operator": []},)
OPERATORS = "Operators"
"""A tag of two planes."""


@dataclass(frozen=True)
class Plane:
    """The operations, the models and the answers of errors of one plane."""

    paths: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    models: dict[str, Schema] = field(default_factory=dict[str, Schema])
    responses: dict[str, Schema] = field(default_factory=dict[str, Schema])

    def add(self, method: str, path: str, operation: Mapping[str, Any]) -> None:
        """Add an operation. The values in its path become parameters of it."""
        names = [part.partition("}")[0] for part in path.split("{")[1:]]
        parameters = [{"name": name, "in": "path", "required": True, "schema": TEXT} for name in names]
        self.paths.setdefault(path, {})[method] = {
            **operation,
            "parameters": [*parameters, *operation["parameters"]],
        }

    def model(self, name: str, description: str, required: str = "", /, **fields: Schema) -> Schema:
        """Add an object with ``fields``, of which those in ``required`` are always there; return a reference to it."""
        self.models[name] = {
            "title": name,
            "description": description,
            "type": "object",
            "properties": fields,
            **({"required": required.split()} if required else {}),
        }
        return {"$ref": f"#/components/schemas/{name}"}

    def open_model(self, name: str, description: str, required: str = "", /, **fields: Schema) -> Schema:
        """Add an object that may have more members than ``fields``; return a reference to it."""
        reference = self.model(name, description, required, **fields)
        self.models[name]["additionalProperties"] = True
        return reference

    def refusals(self, model: Schema, *statuses: HTTPStatus) -> dict[str, Schema]:
        """Return the answers of errors, all of one form; every operation can also refuse with 429."""
        answers: dict[str, Schema] = {}
        for status in sorted({*statuses, HTTPStatus.TOO_MANY_REQUESTS}):
            name = model["$ref"].rpartition("/")[2] + status.phrase.title().replace(" ", "")
            self.responses[name] = {"description": status.phrase, "content": {JSON: {"schema": model}}}
            answers[str(int(status))] = {"$ref": f"#/components/responses/{name}"}
        return answers


def said(schema: Schema, description: str) -> Schema:
    """Return ``schema`` with a description."""
    return {**schema, "description": description}


def several(schema: Schema) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": schema}


def maybe(schema: Schema) -> Schema:
    """Return the schema of a value that may be null."""
    return {"anyOf": [schema, {"type": "null"}]}


def one_of(*values: str) -> Schema:
    """Return the schema of an enumeration."""
    return {"type": "string", "enum": list(values)}


def query(name: str, meaning: str, schema: Schema = TEXT, *, required: bool = False) -> Schema:
    """Return a parameter of the query."""
    return {"name": name, "in": "query", "required": required, "schema": schema, "description": meaning}


def header(name: str, meaning: str) -> Schema:
    """Return an optional header of the request."""
    return {"name": name, "in": "header", "required": False, "schema": TEXT, "description": meaning}


def workspace_header() -> Schema:
    """Return the header that names the workspace of a call."""
    return header("x-org-id", "The workspace of a person's token. A key has its own workspace.")


def body(schema: Schema, *, example: Any = None, required: bool = True) -> Schema:
    """Return a JSON body of a request.

    Routes that also take forms say so in words: a generated Python module with two media types of one body does not
    compile (openapi-python-client 0.29.1).
    """
    content = {"schema": schema} if example is None else {"schema": schema, "example": example}
    return {"required": required, "content": {JSON: content}}


def answer(description: str, schema: Schema | None = None, *, example: Any = None, **others: str) -> Schema:
    """Return an answer: JSON of ``schema``, and ``others``: the meaning of more media types, by a short name."""
    content: dict[str, Any] = {}
    if schema is not None:
        content[JSON] = {"schema": schema} if example is None else {"schema": schema, "example": example}
    content |= {_MEDIA[name]: {"schema": said(TEXT, meaning)} for name, meaning in others.items()}
    return {"description": description, **({"content": content} if content else {})}


_MEDIA: Mapping[str, str] = {"events": EVENTS, "html": HTML, "markdown": "text/markdown"}


def service_fault(plane: Plane) -> Schema:
    """Return the form of errors that sharing and the clients' routes have."""
    return plane.model(
        "ServiceFault",
        "An error of sharing and of the clients' routes. `error` is a stable code; show `message` to people.",
        "error message correlation_id",
        error=TEXT,
        message=TEXT,
        correlation_id=TEXT,
    )


def operation(
    tag: str,
    summary: str,
    description: str,
    permission: str,
    security: Security,
    responses: Mapping[str, Schema],
    *,
    parameters: Iterable[Schema] = (),
    request: Schema | None = None,
    also_at: Iterable[str] = (),
) -> Schema:
    """Return an operation. ``permission`` is as in ``http/openapi.py``."""
    others = list(also_at)
    return {
        "tags": [tag],
        "summary": summary,
        "description": description,
        "parameters": list(parameters),
        **({"requestBody": request} if request else {}),
        "responses": dict(responses),
        PERMISSION: permission,
        "security": [dict(each) for each in security],
        **({ALSO_AT: others} if others else {}),
    }

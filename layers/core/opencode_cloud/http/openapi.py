"""The document of the API (OpenAPI 3.1): merge, complete and check the apps' schemas."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from opencode_cloud.http.requests import SESSION_COOKIE
from opencode_cloud.kit.marked_messages import gettext_noop

PREFIX = "/api/v1/"
METHODS = ("get", "post", "put", "patch", "delete")
PERMISSION = "x-permission"
"""Extension of each operation: its permission, or one of :data:`OTHER_NEEDS`."""

OTHER_NEEDS: Mapping[str, str] = {
    "none": gettext_noop("nothing"),
    "account": gettext_noop("a signed-in person"),
    "reader": gettext_noop("the right to read the share"),
    "secret": gettext_noop("the secret of the share"),
    "operator": gettext_noop("the operators' secret"),
}
"""The needs of operations that are no permissions, each in words."""

ALSO_AT = "x-also-at"
"""Extension of an operation: more addresses that do the same."""

PROBLEMS = "x-problems"
"""Extension of the document: every stable error code, with status and sentence."""

_SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"session": []}]
_SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An access token (`opencode console login`), or a key (`oc_sk_...`) for the workspace's routes.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": f"__Host-{SESSION_COOKIE}",
        "description": "The cookie of a signed-in browser; changes must come from a page of the same origin.",
    },
    "ticket": {
        "type": "apiKey",
        "in": "header",
        "name": "x-share-ticket",
        "description": "A ticket of one share, for its readers.",
    },
    "operator": {"type": "http", "scheme": "bearer", "description": "The operators' secret (`AdminSecretArn`)."},
    "api_key": {
        "type": "apiKey",
        "in": "header",
        "name": "x-api-key",
        "description": "The same key, as Anthropic's SDKs send it. For the model gateway.",
    },
    "google_key": {
        "type": "apiKey",
        "in": "header",
        "name": "x-goog-api-key",
        "description": "The same key, as Google's SDKs send it. For the model gateway.",
    },
    "azure_key": {
        "type": "apiKey",
        "in": "header",
        "name": "api-key",
        "description": "The same key, as Azure's SDKs send it. For the model gateway.",
    },
}
_PROBLEM: dict[str, Any] = {
    "type": "object",
    "title": "Problem",
    "description": "A problem document (RFC 9457). `code` is stable; `/api/docs/problems` lists all codes.",
    "required": ["type", "title", "status", "detail", "code", "correlation_id"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "correlation_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
                "required": ["field", "message"],
            },
        },
    },
}
_REPLACED = ("HTTPValidationError", "ValidationError", "ResponseValidationError")
"""Schemas of Powertools' own error answers, which our routes never send."""

_ARTICLES = frozenset({"a", "an", "the", "your"})
_TAGS: Mapping[str, str] = {
    "Audit": "Every change in a workspace and every refusal, with its author.",
    "Billing": "The ledger of money: balance, movements and statements.",
    "Budgets": "Limits on cost, requests and tokens; their present usage, alerts and webhook.",
    "Clients": "Requests of opencode after its login: the person, configurations, models.",
    "Comments": "Remarks of members on shared sessions.",
    "Domains": "Mail domains whose people can join without an invitation.",
    "Groups": "Groups of members, with rules for their models; their budgets are under Budgets.",
    "Invitations": "Invitations of people by e-mail, and their answers.",
    "Keys": "Keys of members and service accounts, for model calls and for this API.",
    "Logins of clients": "The authorization server: device logins, tokens, metadata (OAuth 2.1).",
    "Members": "People of a workspace and their roles.",
    "Model gateway": "Model calls in the formats of vendors, embeddings, counts, lists of models.",
    "Models": "The models that the caller may use, with prices and limits.",
    "Operators": "Routes of the people who run the deployment.",
    "Payments": "Top-ups by card, automatic reloads, invoices.",
    "Policies and configuration": "Versioned rules for members, and the configuration of their clients.",
    "Providers": "The workspace's own keys of model providers.",
    "Publishing": "Sharing of sessions by clients, with an account or without.",
    "Reading shares": "Shared sessions for their readers, by documents and by a socket.",
    "Service accounts": "Members that are no people, for CI and bots.",
    "Shares": "Shared sessions: their readers and their end.",
    "Usage": "Model calls and sums over them, exports, retention.",
    "Workspaces": "Workspaces: create, rename, transfer, delete and restore them.",
}
"""The subject of each tag."""

_INFO = {
    "title": "Opencode Cloud",
    "version": "1",
    "description": "Workspaces, members, keys, policies, shares, audit; the model gateway; logins of clients.",
}
_IDEMPOTENCY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 8, "maxLength": 255},
    "description": "Repeating a request with the same key within a day gets the first answer and changes nothing.",
}

_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": True,
    "schema": {"type": "string"},
    "description": "The `ETag` of the version that you have read; a change of a later one is refused.",
}

_MAY_MATCH = {
    **_IF_MATCH,
    "required": False,
    "description": "The `ETag` of the state that you have read; a change of another one is refused. Without it, any.",
}

_REFUSALS = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.CONFLICT,
    HTTPStatus.PRECONDITION_FAILED,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.PRECONDITION_REQUIRED,
    HTTPStatus.TOO_MANY_REQUESTS,
)


class Undocumented(Exception):
    """A route lacks a declaration that the document needs; the message names both."""


def document(
    schemas: Sequence[Mapping[str, Any]],
    problems: Mapping[str, Mapping[str, Any]],
    versioned: Collection[str] = (),
    conditional: Collection[str] = (),
) -> dict[str, Any]:
    """Merge the schemas of the functions' apps into the one document of the API.

    ``versioned`` are the operations (``PUT /api/v1/...``) that must name the version they change, ``conditional`` those
    that may name the state.

    Raises:
        Undocumented: an operation lacks summary, tag or permission, two apps define one name differently, or no
            operation has a name in ``versioned`` or ``conditional``.
    """
    merged, models = _merge(schemas)
    paths = {_public(path): _named(item) for path, item in merged.items()}
    operations = {f"{method.upper()} {path}": (method, item[method]) for path, item in paths.items() for method in item}
    if unknown := {*versioned, *conditional} - operations.keys():
        raise Undocumented(f"no operation has the name {min(unknown)}")
    ids: dict[str, str] = {}
    for name, (method, operation) in operations.items():
        _complete(name, method, operation)
        operation["operationId"] = _operation_id(operation["summary"])
        if (other := ids.setdefault(operation["operationId"], name)) != name:
            raise Undocumented(f"{other} and {name} have the same summary")
        if name in versioned:
            _compare(operation, _IF_MATCH, HTTPStatus.PRECONDITION_FAILED, HTTPStatus.PRECONDITION_REQUIRED)
        if name in conditional:
            _compare(operation, _MAY_MATCH, HTTPStatus.PRECONDITION_FAILED)
    return {
        "openapi": "3.1.0",
        "info": _INFO,
        "servers": [{"url": "/"}],
        "security": _SECURITY,
        "tags": _tags_of(paths),
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted(models.items())),
            "responses": {_name(status): _refusal(status) for status in _REFUSALS},
            "securitySchemes": _SCHEMES,
        },
        PROBLEMS: dict(sorted(problems.items())),
    }


def _compare(operation: dict[str, Any], parameter: Mapping[str, Any], *statuses: HTTPStatus) -> None:
    """Add the header that names the state to change, and the refusals."""
    operation.setdefault("parameters", []).append(parameter)
    for status in statuses:
        operation["responses"][str(int(status))] = _reference(status)


def extend(
    document: dict[str, Any], paths: Mapping[str, Any], models: Mapping[str, Any], responses: Mapping[str, Any]
) -> None:
    """Add operations, models and common answers that no app of ``/api/v1`` describes.

    Raises:
        Undocumented: a name is in ``document`` already, an operation lacks a declaration, or its tag is not described.
    """
    known = {operation["operationId"] for item in document["paths"].values() for operation in item.values()}
    for path, item in paths.items():
        _add(document["paths"], path, item)
        for method, operation in item.items():
            name = f"{method.upper()} {path}"
            _check(name, operation)
            operation["operationId"] = _operation_id(operation["summary"])
            if operation["operationId"] in known:
                raise Undocumented(f"{name} has the summary of another operation")
            known.add(operation["operationId"])
    for kind, added in (("schemas", models), ("responses", responses)):
        for name, part in added.items():
            _add(document["components"][kind], name, part)
    document["tags"] = _tags_of(document["paths"])
    document["paths"] = dict(sorted(document["paths"].items()))
    document["components"]["schemas"] = dict(sorted(document["components"]["schemas"].items()))


def _tags_of(paths: Mapping[str, Any]) -> list[dict[str, str]]:
    used = sorted({operation["tags"][0] for item in paths.values() for operation in item.values()})
    if unknown := set(used) - _TAGS.keys():
        raise Undocumented(f"the tag {min(unknown)} has no description")
    return [{"name": tag, "description": _TAGS[tag]} for tag in used]


def _public(path: str) -> str:
    """Return a path with the API's names of its parameters: ``{workspace}``. Handlers call the same ``workspace_id``.

    Clients generate arguments from these names, so they stay whatever the handlers' arguments are called.
    """
    return path.replace("_id}", "}")


def _named(item: dict[str, Any]) -> dict[str, Any]:
    for operation in item.values():
        for parameter in operation.get("parameters", []):
            if parameter["in"] == "path":
                parameter["name"] = parameter["name"].removesuffix("_id")
    return item


def _merge(schemas: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the API's paths and models, each once."""
    paths: dict[str, Any] = {}
    models: dict[str, Any] = {"Problem": _PROBLEM}
    for schema in schemas:
        for path, item in schema["paths"].items():
            if path.startswith(PREFIX):
                _add(paths, path, {method: item[method] for method in METHODS if method in item})
        for name, model in schema.get("components", {}).get("schemas", {}).items():
            if name not in _REPLACED:
                _add(models, name, model)
    return paths, models


def _add(definitions: dict[str, Any], name: str, value: Any) -> None:
    if name.startswith("/") and name in definitions and not definitions[name].keys() & value.keys():
        definitions[name] = {**definitions[name], **value}
        return
    if definitions.setdefault(name, value) != value:
        raise Undocumented(f"{name} means two things")


def _check(name: str, operation: Mapping[str, Any]) -> None:
    for needed in ("summary", "tags", PERMISSION):
        if not operation.get(needed):
            raise Undocumented(f"{name} has no {needed}")


def _complete(name: str, method: str, operation: dict[str, Any]) -> None:
    _check(name, operation)
    permission = operation[PERMISSION]
    operation["security"] = [] if permission == "none" else _SECURITY
    if method == "post":
        operation.setdefault("parameters", []).append(_IDEMPOTENCY)
    responses = {
        status: response for status, response in operation["responses"].items() if status not in ("422", "500")
    }
    for response in responses.values():
        _set_media(name, response)
    for status in _refusals(method, name, operation):
        responses.setdefault(str(int(status)), _reference(status))
    operation["responses"] = dict(sorted(responses.items()))


def _set_media(name: str, response: dict[str, Any]) -> None:
    """Correct the media type of an answer: handlers that return nothing or a text are taken for JSON."""
    schema = response.get("content", {}).get("application/json", {}).get("schema", {})
    match schema.get("type"):
        case "null":
            del response["content"]
        case "string" if name.endswith(".pdf"):
            response["content"] = {"application/pdf": {"schema": {"type": "string", "format": "binary"}}}
        case "string":
            text = {"schema": {"type": "string"}}
            response["content"] = {"text/csv": text}
            if not name.endswith(".csv"):  # it also exports JSON, by a parameter
                response["content"]["application/json"] = {"schema": {}}
        case _:
            pass


def _operation_id(summary: str) -> str:
    """Return the name of an operation in generated clients: ``create_key`` for "Create a key"."""
    words = re.findall(r"[a-z0-9]+", summary.lower().replace("'s", ""))
    return "_".join(word for word in words if word not in _ARTICLES)


def _refusals(method: str, name: str, operation: Mapping[str, Any]) -> list[HTTPStatus]:
    statuses = [HTTPStatus.BAD_REQUEST, HTTPStatus.TOO_MANY_REQUESTS]
    permission = operation[PERMISSION]
    if permission != "none":
        statuses += [HTTPStatus.UNAUTHORIZED]
    if method != "get" or permission not in ("none", "account"):
        statuses += [HTTPStatus.FORBIDDEN]
    if "{" in name:
        statuses += [HTTPStatus.NOT_FOUND]
    if method != "get":
        statuses += [HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY]
    if "requestBody" in operation:
        statuses += [HTTPStatus.UNSUPPORTED_MEDIA_TYPE]
    return statuses


def _name(status: HTTPStatus) -> str:
    return status.phrase.title().replace(" ", "")


def _reference(status: HTTPStatus) -> dict[str, str]:
    return {"$ref": f"#/components/responses/{_name(status)}"}


def _refusal(status: HTTPStatus) -> dict[str, Any]:
    return {
        "description": status.phrase,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }

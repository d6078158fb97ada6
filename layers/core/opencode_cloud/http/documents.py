"""Serve the API's documentation: `/api/openapi.json`, and pages for people. A script adds a form for each operation."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from opencode_cloud.contracts.permissions import GRANTS, Role
from opencode_cloud.http.openapi import ALSO_AT, METHODS, OTHER_NEEDS, PERMISSION, PROBLEMS
from opencode_cloud.http.reader_language import headers_of, language_of, switch
from opencode_cloud.kit import http_events, languages, web_assets
from opencode_cloud.kit.http_app import response_of

if TYPE_CHECKING:
    from jinja2 import Template

KEPT = {"Cache-Control": "public, max-age=300"}
LONGEST_QUERY = 200
_POLICY = web_assets.content_security_policy(scripts="'self'", connect="'self'", forms="'self'")
"""The page's script calls this origin only."""


class DocumentRoutes:
    """The routes of the API's documentation."""

    def mount(self, app: APIGatewayHttpResolver) -> None:
        """Add every route to ``app``."""
        router = APIGatewayHttpRouter()
        self._event: Callable[[], dict[str, Any]] = lambda: app.current_event.raw_event
        router.get("/api/openapi.json", include_in_schema=False)(self.document)
        router.get("/api/docs", include_in_schema=False)(self.reference)
        router.get("/api/docs/problems", include_in_schema=False)(self.problems)
        app.include_router(router)

    def document(self) -> Response[str]:
        """Answer ``GET /api/openapi.json``."""
        return response_of(http_events.reply(self._event(), source(), headers=KEPT))

    def reference(self) -> Response[str]:
        """Answer ``GET /api/docs``; ``?q=`` shows the operations that have all its words."""
        query = http_events.query(self._event(), "q").strip()[:LONGEST_QUERY]
        return self._page(lambda: reference_page(query) if query else self._whole())

    def problems(self) -> Response[str]:
        """Answer ``GET /api/docs/problems``."""
        return self._page(problems_page)

    def _whole(self) -> str:
        """Return the page of all operations, which is kept for its one address."""
        return reference_page() if self._event().get("rawQueryString") else _kept_page(languages.present().tag)

    def _page(self, write: Callable[[], str]) -> Response[str]:
        event = self._event()
        if chosen := switch(event):
            return response_of(chosen)
        language = language_of(event)
        with languages.speaking(language):
            html = write()
        headers = {**web_assets.headers(_POLICY), "Cache-Control": "private, max-age=300", **headers_of(language)}
        kind = headers.pop("Content-Type")
        return response_of(http_events.reply(event, html.encode(), kind, headers=headers))


@lru_cache(maxsize=1)
def source() -> bytes:
    """Return the committed document, from the built package or else from the repository."""
    packaged = Path(__file__).parents[1] / "_web" / "openapi.json"
    return (packaged if packaged.exists() else Path(__file__).parents[4] / "docs" / "openapi.json").read_bytes()


@lru_cache(maxsize=len(languages.LANGUAGES))
def _kept_page(_tag: str) -> str:
    """Return the page of all operations in the present language, ``_tag``."""
    return reference_page()


def reference_page(query: str = "") -> str:
    """Render the page that describes operations: all, with all models, or those with all words of ``query``."""
    schema_document = _document()
    wanted = query.lower().split()
    operations = [each for each in _operations() if all(word in each["words"] for word in wanted)]
    groups = [
        {
            "name": tag["name"],
            "description": tag["description"],
            "anchor": _anchor("tag", tag["name"]),
            "operations": [operation for operation in operations if operation["tag"] == tag["name"]],
        }
        for tag in schema_document["tags"]
    ]
    schemas = schema_document["components"]["schemas"]
    models = [] if wanted else [_model(name, model) for name, model in schemas.items()]
    tags = [group for group in groups if group["operations"]]
    return _template("docs/api.html").render(query=query, count=len(operations), tags=tags, models=models)


def problems_page() -> str:
    """Render the page that lists the stable error codes."""
    listed = [{"code": code, **problem} for code, problem in _document()[PROBLEMS].items()]
    return _template("docs/problems.html").render(problems=listed)


@lru_cache(maxsize=1)
def _document() -> dict[str, Any]:
    return msgspec.json.decode(source())


@lru_cache(maxsize=2)
def _template(name: str) -> Template:
    return web_assets.environment().get_template(name)


@lru_cache(maxsize=1)
def _operations() -> list[dict[str, Any]]:
    known = _document()
    return [
        _operation(method, path, item[method], known["components"]["responses"])
        for path, item in known["paths"].items()
        for method in METHODS
        if method in item
    ]


def _operation(method: str, path: str, operation: Mapping[str, Any], responses: Mapping[str, Any]) -> dict[str, Any]:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    name = operation["operationId"]
    said = (name, operation["summary"], method, path, *operation.get(ALSO_AT, ()), *operation["tags"])
    permission = operation[PERMISSION]
    return {
        "id": name,
        "words": " ".join((*said, operation.get("description", ""))).lower(),
        "roles": [role for role in Role if permission in GRANTS[role]],
        "tag": operation["tags"][0],
        "method": method.upper(),
        "path": path,
        "anchor": _anchor(method, path),
        "summary": operation["summary"],
        "description": operation.get("description", ""),
        "permission": permission,
        "needs": OTHER_NEEDS.get(permission, ""),
        "also_at": operation.get(ALSO_AT, ()),
        "parameters": [
            {
                "name": parameter["name"],
                "place": parameter["in"],
                "required": parameter.get("required", False),
                "type": type_of(parameter.get("schema", {})),
                "meaning": parameter.get("description") or parameter.get("schema", {}).get("description", ""),
            }
            for parameter in operation.get("parameters", [])
        ],
        "body": _named(body) if body else None,
        "examples": list(_examples(operation)),
        "answers": [
            {"status": status, **_named(_content(answer, responses))}
            for status, answer in sorted(operation["responses"].items())
        ],
    }


def _examples(operation: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    answers = [(status, answer) for status, answer in operation["responses"].items() if status.startswith("2")]
    for name, holder in [("body", operation.get("requestBody", {})), *answers]:
        content = holder.get("content", {}).get("application/json", {})
        if "example" in content:
            text = msgspec.json.format(msgspec.json.encode(content["example"]), indent=2).decode()
            yield {"name": name, "text": text}


def _content(answer: Mapping[str, Any], responses: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" in answer:
        answer = responses[answer["$ref"].rpartition("/")[2]]
    contents: list[dict[str, Any]] = list(answer.get("content", {}).values())
    return contents[0].get("schema", {}) if contents else {}


def _named(schema: Mapping[str, Any]) -> dict[str, str]:
    name = schema.get("$ref", "").rpartition("/")[2]
    return {
        "name": readable(name) or type_of(schema),
        "anchor": _anchor("model", name) if name and name != "Problem" else "",
    }


def _model(name: str, model: Mapping[str, Any]) -> dict[str, Any]:
    required = model.get("required", [])
    return {
        "name": readable(name),
        "anchor": _anchor("model", name),
        "description": model.get("description", ""),
        "values": model.get("enum", []),
        "fields": [
            {
                "name": field,
                "required": field in required,
                "type": type_of(property_schema),
                "meaning": property_schema.get("description", ""),
            }
            for field, property_schema in model.get("properties", {}).items()
        ],
    }


def type_of(schema: Mapping[str, Any]) -> str:
    """Describe the type of a schema in one or two words."""
    if "$ref" in schema:
        return readable(schema["$ref"].rpartition("/")[2])
    if "const" in schema:
        return repr(schema["const"])
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            return " | ".join(dict.fromkeys(type_of(option) for option in schema[choice]))
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {type_of(schema.get('items', {}))}"
    return f"{kind} ({schema['format']})" if "format" in schema else kind


def readable(name: str) -> str:
    """Return a readable name of a model. Pydantic's name of a page of keys is ``Page_Key_``."""
    return re.sub(r"^([A-Za-z]+)_(\w+)_$", r"\1 of \2", name)


def _anchor(kind: str, name: str) -> str:
    return f"{kind}-{re.sub(r'[^A-Za-z0-9]+', '-', name).strip('-').lower()}"

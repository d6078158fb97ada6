"""Serve the API's documentation: `/api/openapi.json`, and pages for people, which work without scripts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from opencode_cloud.http.openapi import ALSO_AT, METHODS, OTHER_NEEDS, PERMISSION, PROBLEMS
from opencode_cloud.kit import http_events, web_assets
from opencode_cloud.kit.http_app import response_of

KEPT = {"Cache-Control": "public, max-age=300"}
_POLICY = web_assets.content_security_policy(scripts="'self'")


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
        """Answer ``GET /api/docs``."""
        return self._page(reference_page())

    def problems(self) -> Response[str]:
        """Answer ``GET /api/docs/problems``."""
        return self._page(problems_page())

    def _page(self, html: str) -> Response[str]:
        headers = {**web_assets.headers(_POLICY), **KEPT}
        kind = headers.pop("Content-Type")
        return response_of(http_events.reply(self._event(), html.encode(), kind, headers=headers))


@lru_cache(maxsize=1)
def source() -> bytes:
    """Return the committed document, from the built package or else from the repository."""
    packaged = Path(__file__).parents[1] / "_web" / "openapi.json"
    return (packaged if packaged.exists() else Path(__file__).parents[4] / "docs" / "openapi.json").read_bytes()


@lru_cache(maxsize=1)
def reference_page() -> str:
    """Render the page that describes every operation and model."""
    schema_document = msgspec.json.decode(source())
    operations = [
        _operation(method, path, item[method], schema_document["components"]["responses"])
        for path, item in schema_document["paths"].items()
        for method in METHODS
        if method in item
    ]
    tags = [
        {
            "name": tag["name"],
            "anchor": _anchor("tag", tag["name"]),
            "operations": [operation for operation in operations if operation["tag"] == tag["name"]],
        }
        for tag in schema_document["tags"]
    ]
    models = [_model(name, model) for name, model in schema_document["components"]["schemas"].items()]
    template = web_assets.environment().get_template("docs/api.html")
    return template.render(description=schema_document["info"]["description"], tags=tags, models=models)


@lru_cache(maxsize=1)
def problems_page() -> str:
    """Render the page that lists the stable error codes."""
    problems = msgspec.json.decode(source())[PROBLEMS]
    listed = [{"code": code, **problem} for code, problem in problems.items()]
    return web_assets.environment().get_template("docs/problems.html").render(problems=listed)


def _operation(method: str, path: str, operation: Mapping[str, Any], responses: Mapping[str, Any]) -> dict[str, Any]:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    return {
        "tag": operation["tags"][0],
        "method": method.upper(),
        "path": path,
        "anchor": _anchor(method, path),
        "summary": operation["summary"],
        "description": operation.get("description", ""),
        "permission": operation[PERMISSION],
        "needs": OTHER_NEEDS.get(operation[PERMISSION], ""),
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

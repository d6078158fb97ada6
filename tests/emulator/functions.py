"""Functions in the test's process: their handlers are loaded and called as API Gateway calls them."""

import importlib.util
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

from opencode_cloud.kit.lambda_handlers import Handler
from tests.ministack import ROOT

HOST = "cloud.example"


@dataclass
class Reply:
    status: int
    headers: Mapping[str, str]
    body: str
    cookies: list[str] = field(default_factory=list[str])

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def location(self) -> str:
        return self.headers.get("Location", "")

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.location).query).items()}


def event(method: str, path: str, body: str, headers: Mapping[str, str]) -> dict[str, Any]:
    parts = urlsplit(path)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": parts.path,
        "rawQueryString": parts.query,
        "queryStringParameters": {name: values[0] for name, values in parse_qs(parts.query).items()},
        "headers": {"host": HOST, "user-agent": "test", **named},
        "cookies": named.pop("cookie", "").split("; ") if "cookie" in named else [],
        "requestContext": {
            "http": {"method": method, "path": parts.path, "sourceIp": "198.51.100.7"},
            "requestId": secrets.token_hex(8),
            "timeEpoch": time.time_ns() // 1_000_000,
            "domainName": HOST,
            "stage": "$default",
        },
        "body": body,
        "isBase64Encoded": False,
    }


def invoke(handler: Handler, asked: dict[str, Any]) -> Reply:
    answer = handler(asked, SimpleNamespace(aws_request_id="request"))
    body = answer.get("body") or ""
    headers = {**answer.get("headers", {}), **{k: v[-1] for k, v in answer.get("multiValueHeaders", {}).items()}}
    return Reply(answer["statusCode"], headers, body, answer.get("cookies") or [])


def load(name: str) -> ModuleType:
    path = ROOT / "functions" / name / "handler.py"
    spec = importlib.util.spec_from_file_location(f"handler_of_{name}", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

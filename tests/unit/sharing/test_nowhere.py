"""Addresses without a page: browsers get a page, and programs an error."""

from __future__ import annotations

import json
from typing import Any

from opencode_cloud.kit.http_routes import HttpRoutes
from opencode_cloud.kit.release import VERSION
from opencode_cloud.sharing.routes.readers import ReaderRoutes

BROWSER = "text/html,application/xhtml+xml,*/*;q=0.8"


def ask(path: str, accept: str, method: str = "GET") -> dict[str, Any]:
    nothing: Any = None
    app = HttpRoutes()
    ReaderRoutes(nothing, nothing, nothing, nothing, public_url="https://cloud.example").mount(app)
    event = {
        "rawPath": path,
        "headers": {"accept": accept},
        "requestContext": {"http": {"method": method, "path": path, "sourceIp": "203.0.113.7"}, "stage": "$default"},
    }
    return app.answer(event, None)


def test_a_browser_gets_a_page_with_a_way_on() -> None:
    found = ask("/nowhere", BROWSER)
    assert (found["statusCode"], found["headers"]["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert 'href="/"' in found["body"]
    assert "<title>Page not found" in found["body"]
    assert "default-src 'none'" in found["headers"]["Content-Security-Policy"]


def test_programs_get_an_error_with_a_code() -> None:
    for accept, method in (("*/*", "GET"), ("", "GET"), ("application/json", "GET"), (BROWSER, "POST")):
        found = ask("/nowhere", accept, method)
        assert (found["statusCode"], json.loads(found["body"])["error"]) == (404, "route_not_found")


def test_the_health_check_tells_the_version() -> None:
    assert json.loads(ask("/health", "*/*")["body"]) == {"status": "ok", "version": VERSION}

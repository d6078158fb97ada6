"""Error frames: every surface answers an unexpected error in the same way, without its cause."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from opencode_cloud.http.api import api_app
from opencode_cloud.http.pages import pages_app
from opencode_cloud.kit.http_routes import HttpRoutes

APPS: dict[str, Callable[[], Any]] = {"http": HttpRoutes, "api": api_app, "pages": pages_app}


def answer(app: Any, path: str, method: str = "GET") -> dict[str, Any]:
    event = {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"host": "cloud.example"},
        "requestContext": {
            "domainName": "cloud.example",
            "requestId": "r",
            "http": {"method": method, "path": path, "sourceIp": "192.0.2.1"},
            "stage": "$default",
        },
        "isBase64Encoded": False,
    }
    return app.answer(event, None) if isinstance(app, HttpRoutes) else app.resolve(event, None)


@pytest.mark.parametrize("name", APPS)
def test_an_unexpected_error_is_a_500_that_hides_its_cause(name: str) -> None:
    app = APPS[name]()

    def broken() -> None:
        raise RuntimeError("the password is 12345")

    app.get("/broken")(broken)
    found = answer(app, "/broken")
    assert found["statusCode"] == 500
    assert "12345" not in found["body"]
    assert "Something failed on our side." in found["body"]
    if name != "pages":
        document = json.loads(found["body"])
        assert document.get("code", document.get("error")) == "internal_error"


@pytest.mark.parametrize("name", ["http", "api"])
def test_programs_get_a_404_and_a_preflight_where_no_route_matches(name: str) -> None:
    found = answer(APPS[name](), "/nowhere")
    document = json.loads(found["body"])
    assert (found["statusCode"], document.get("code", document.get("error"))) == (404, "route_not_found")
    assert answer(APPS[name](), "/nowhere", "OPTIONS")["statusCode"] == 204

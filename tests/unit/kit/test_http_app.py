"""A resolver that several threads use at one time, as in a process that serves more than one request."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from opencode_cloud.http.api import api_app
from opencode_cloud.http.pages import pages_app
from opencode_cloud.kit import http_events
from opencode_cloud.kit.errors import BadRequest
from opencode_cloud.kit.http_app import HttpApp, answer


def event(number: int, method: str = "POST") -> dict[str, Any]:
    return {
        "version": "2.0",
        "rawPath": f"/things/{number}",
        "rawQueryString": "",
        "headers": {"host": "x", "content-type": "application/json", "x-number": str(number)},
        "requestContext": {
            "http": {"method": method, "path": f"/things/{number}", "sourceIp": "1"},
            "stage": "$default",
        },
        "body": json.dumps({"number": number}),
        "isBase64Encoded": False,
    }


def mount(app: HttpApp) -> None:
    """Add a route that reads its request before and after other threads have had a turn."""

    def pass_on(app: Any, next_middleware: Any) -> Any:
        app.append_context(number=http_events.header(app.current_event.raw_event, "x-number"))
        time.sleep(0.001)
        return next_middleware(app)

    @app.post("/things/<thing_id>", middlewares=[pass_on])
    def echo(thing_id: str) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        before = json.loads(http_events.raw_body(app.current_event.raw_event))["number"]
        time.sleep(0.001)
        after = json.loads(http_events.raw_body(app.current_event.raw_event))["number"]
        if before % 5 == 0:
            raise BadRequest("fifth", f"number {after}")
        return {"seen": [thing_id, before, after, app.context["number"], app.lambda_context.aws_request_id]}


@pytest.mark.parametrize("make", [pages_app, api_app])
def test_each_thread_sees_its_own_request(make: Any) -> None:
    app: HttpApp = make()
    mount(app)

    def ask(number: int) -> dict[str, Any]:
        return answer(app, event(number), SimpleNamespace(aws_request_id=str(number)))

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, range(400)))
    for number, answered in enumerate(answers):
        if number % 5:
            assert json.loads(answered["body"]) == {"seen": [str(number), number, number, str(number), str(number)]}
        else:
            assert (answered["statusCode"], f"number {number}" in answered["body"]) == (400, True)


def test_outside_a_request_there_is_none() -> None:
    app = HttpApp()
    mount(app)
    answer(app, event(1), SimpleNamespace(aws_request_id="1"))
    assert app.current_event is None
    assert app.context == {}

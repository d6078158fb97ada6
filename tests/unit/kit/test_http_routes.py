"""The table of routes answers every request as Powertools' resolver does."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from aws_lambda_powertools.event_handler import Response
from hypothesis import given, settings
from hypothesis import strategies as st

from opencode_cloud.kit import http_events
from opencode_cloud.kit.errors import BadRequest, ServiceError, TooManyRequests, Unauthorized
from opencode_cloud.kit.http_app import HttpApp, answer, answer_errors, answer_unknown_routes, response_of
from opencode_cloud.kit.http_events import HttpReply
from opencode_cloud.kit.http_routes import HttpRoutes
from opencode_cloud.kit.log import logger

LONG = b"x" * (2 * http_events.PACK_FROM_BYTES)


class Things:
    """Routes of every shape, for both kinds of application."""

    def __init__(self, event: Any) -> None:
        self.event = event

    def echo(self, **values: str) -> HttpReply:
        document = {**values, "body": http_events.raw_body(self.event()).decode("utf-8", "replace")}
        return http_events.reply(self.event(), json.dumps(document).encode())

    def long(self) -> HttpReply:
        return http_events.reply(self.event(), LONG, "text/plain")

    def nothing(self) -> HttpReply:
        return http_events.reply(self.event(), b"", status=204)

    def refuse(self, kind: str) -> HttpReply:
        errors: dict[str, Exception] = {
            "a": BadRequest("bad", "This is bad."),
            "b": Unauthorized("unknown", "Sign in."),
            "c": TooManyRequests("slow", "Too fast.", 7),
            "d": RuntimeError("no"),
        }
        raise errors.get(kind, KeyError(kind))

    def move(self) -> HttpReply:
        reply = http_events.redirect("/things")
        reply.headers["Set-Cookie"] = "a=b"
        return reply

    def mount(self, app: Any, wrap: Any) -> None:
        app.get("/things/<name>")(wrap(self.echo))
        app.get("/things/first")(wrap(self.long))
        app.get("/things")(wrap(self.echo))
        app.post("/things")(wrap(self.echo))
        app.delete("/things/<name>")(wrap(self.nothing_named))
        app.get("/things/<name>/<other>")(wrap(self.echo))
        app.get("/nothing")(wrap(self.nothing))
        app.post("/refused/<kind>")(wrap(self.refuse))
        app.get("/refused/<kind>")(wrap(self.refuse))
        app.get("/moved")(wrap(self.move))

    def nothing_named(self, name: str) -> HttpReply:
        assert name
        return self.nothing()


def ours() -> HttpRoutes:
    app = HttpRoutes()
    Things(app.event).mount(app, lambda route: route)
    return app


def theirs() -> HttpApp:
    app = HttpApp()

    def reply(error: ServiceError) -> Response[str]:
        return response_of(http_events.error_reply(app.current_event.raw_event, error, logger.get_correlation_id()))

    answer_errors(app, reply)
    answer_unknown_routes(app, reply)
    wrap = lambda route: lambda **values: response_of(route(**values))  # noqa: E731
    Things(lambda: app.current_event.raw_event).mount(app, wrap)
    return app


OURS, THEIRS = ours(), theirs()
SEGMENT = st.sampled_from(["things", "first", "refused", "nothing", "moved", "a", "b", "c", "d", "", "é", "%2F", "a b"])
ANY_SEGMENT = SEGMENT | st.text(st.characters(exclude_characters="/\n", exclude_categories=["Cs"]), max_size=4)
EVENTS = st.fixed_dictionaries(
    {
        "rawPath": st.lists(ANY_SEGMENT, min_size=1, max_size=4).map(lambda segments: "/" + "/".join(segments)),
        "headers": st.dictionaries(
            st.sampled_from(["accept-encoding", "origin", "content-type"]), st.sampled_from(["gzip", "br", "x"])
        ),
        "method": st.sampled_from(["GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT"]),
        "stage": st.sampled_from(["$default", "prod"]),
        "body": st.sampled_from([(None, False), ('{"a": 1}', False), ("eyJhIjogMX0=", True)]),
    }
)


def event_of(drawn: dict[str, Any]) -> dict[str, Any]:
    stage, path = drawn["stage"], drawn["rawPath"]
    body, encoded = drawn["body"]
    return {
        "version": "2.0",
        "rawPath": path if stage == "$default" else f"/{stage}{path}",
        "rawQueryString": "",
        "headers": drawn["headers"],
        "requestContext": {
            "http": {"method": drawn["method"], "path": path, "sourceIp": "192.0.2.1"},
            "stage": stage,
            "requestId": "r",
        },
        "body": body,
        "isBase64Encoded": encoded,
    }


@settings(max_examples=400)
@given(EVENTS)
def test_both_give_the_same_answer_to_every_request(drawn: dict[str, Any]) -> None:
    event = event_of(drawn)
    assert OURS.answer(event, None) == answer(THEIRS, event, None)


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/things/first", "GET"),
        ("/refused/c", "GET"),
        ("/refused/d", "POST"),
        ("/moved", "HEAD"),
        ("/nowhere", "OPTIONS"),
    ],
)
def test_both_answer_the_rare_cases_alike(path: str, method: str) -> None:
    drawn = {"rawPath": path, "headers": {"accept-encoding": "gzip"}, "method": method, "stage": "$default"}
    event = event_of({**drawn, "body": (None, False)})
    found = OURS.answer(event, None)
    assert found == answer(THEIRS, event, None)
    assert found["statusCode"] != 404


def test_an_error_page_answers_errors_that_it_wants_and_leaves_others_to_json() -> None:
    app = ours()

    def page(event: http_events.Event, error: ServiceError, correlation_id: str) -> HttpReply | None:
        if "text/html" not in event["headers"].get("accept", ""):
            return None
        return http_events.reply(event, f"{error.code} {correlation_id}".encode(), "text/html", status=error.status)

    app.errors_by(page)
    drawn = {"rawPath": "/nowhere", "method": "GET", "stage": "$default", "body": (None, False)}
    found = app.answer(event_of({**drawn, "headers": {"accept": "text/html"}}), None)
    assert found["statusCode"] == 404
    assert found["body"].startswith("route_not_found")
    for_programs = app.answer(event_of({**drawn, "headers": {"accept": "*/*"}}), None)
    assert json.loads(for_programs["body"])["error"] == "route_not_found"


def test_each_thread_sees_its_own_request() -> None:
    app = HttpRoutes()

    @app.get("/things/<name>")
    def slow(name: str) -> HttpReply:  # pyright: ignore[reportUnusedFunction]
        time.sleep(0.001)
        return http_events.reply(app.event(), f"{name} {app.event()['headers']['x']}".encode())

    def ask(number: int) -> str:
        drawn = {"rawPath": f"/things/{number}", "headers": {"x": str(number)}, "method": "GET", "stage": "$default"}
        return app.answer(event_of({**drawn, "body": (None, False)}), None)["body"]

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(ask, range(200))) == [f"{number} {number}" for number in range(200)]


def test_outside_a_request_there_is_no_event() -> None:
    with pytest.raises(LookupError):
        ours().event()


@pytest.mark.parametrize("template", ["/things/<name>.json", "/things/x<name>", "/things/<a b>"])
def test_a_value_in_a_path_is_a_whole_segment(template: str) -> None:
    with pytest.raises(ValueError, match="whole segment"):
        HttpRoutes().get(template)(lambda: http_events.redirect("/"))

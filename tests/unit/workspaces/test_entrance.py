"""The entrance of `/api/v1` authenticates a request before it looks at the form of the request."""

from __future__ import annotations

import json

import pytest

from tests.unit.workspaces.calls import Api
from tests.unit.workspaces.team import Place

NESTED = "[" * 1500 + "]" * 1500


@pytest.fixture
def api(place: Place) -> Api:
    return Api(place)


@pytest.mark.parametrize(
    ("route", "body", "content_type"),
    [
        ("POST /api/v1/workspaces", "{}", "application/json"),
        ("POST /api/v1/workspaces", "[[[[", "application/json"),
        ("POST /api/v1/workspaces", '{"name":5}', "application/json"),
        ("POST /api/v1/workspaces", NESTED, "application/json"),
        ("POST /api/v1/workspaces/wrk_x/keys", '{"scopes":"all"}', "application/json"),
        ("PATCH /api/v1/workspaces/wrk_x", "x", "text/plain"),
        ("GET /api/v1/workspaces/wrk_x/members", None, ""),
    ],
)
def test_an_anonymous_caller_learns_nothing_about_the_form(
    api: Api, route: str, body: str | None, content_type: str
) -> None:
    answer = api.send("nobody", route, body, {"limit": "abc"}, content_type=content_type)
    assert (answer.status, answer.body["code"]) == (401, "login_required")


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"],
)
def test_a_body_that_says_it_is_not_json_is_refused(api: Api, place: Place, content_type: str) -> None:
    answer = api.send(
        api.knows(place.person("ada@example.com")), "POST /api/v1/workspaces", '{"name":"a"}', content_type=content_type
    )
    assert (answer.status, answer.body["code"]) == (415, "unsupported_media_type")
    assert content_type.partition(";")[0] in answer.body["detail"]


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "application/vnd.acme+json", ""])
def test_every_kind_of_json_is_read(api: Api, place: Place, content_type: str) -> None:
    answer = api.send(
        api.knows(place.person("ada@example.com")), "POST /api/v1/workspaces", '{"name":"a"}', content_type=content_type
    )
    assert answer.status == 201


@pytest.mark.parametrize(
    "body", ["[[[[", json.dumps({"name": "x"})[:-1], f'{{"name":"x","y":{NESTED}}}', "\ud800", "NaN"]
)
def test_a_body_that_cannot_be_read_is_the_callers_fault(api: Api, place: Place, body: str) -> None:
    answer = api.send(api.knows(place.person("ada@example.com")), "POST /api/v1/workspaces", body)
    assert (answer.status, answer.body["code"]) == (400, "invalid_body")


@pytest.mark.parametrize("body", ["", "5", "[]", '{"name":5}', "null"])
def test_a_body_of_another_form_is_told_what_is_missing(api: Api, place: Place, body: str) -> None:
    answer = api.send(api.knows(place.person("ada@example.com")), "POST /api/v1/workspaces", body)
    assert (answer.status, answer.body["code"]) == (400, "invalid_request")

"""The language of a page: negotiated, chosen by a link, remembered, and told to caches."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import pytest

from opencode_cloud.http.reader_language import headers_of, language_of, switch


def request(path: str = "/", query: str = "", method: str = "GET", cookie: str = "", **headers: str) -> dict[str, Any]:
    return {
        "rawPath": path,
        "rawQueryString": query,
        "queryStringParameters": dict(parse_qsl(query)),
        "headers": {name.replace("_", "-"): value for name, value in headers.items()},
        "cookies": [cookie] if cookie else [],
        "requestContext": {"http": {"method": method, "path": path, "sourceIp": "203.0.113.7"}},
    }


def test_the_choice_precedes_the_header() -> None:
    assert language_of(request(accept_language="zh-CN")).tag == "zh-CN"
    chosen = request(accept_language="zh-CN", cookie="__Host-opencode_language=en")
    assert language_of(chosen).tag == "en"


def test_a_switch_keeps_the_query_of_the_page() -> None:
    event = request("/console/w/usage", "from=2026-11-01&language=en&model=a%26b")
    assert language_of(event).switches == {"zh-CN": "?from=2026-11-01&model=a%26b&language=zh-CN"}
    assert language_of(request(cookie="__Host-opencode_language=zh-CN")).switches == {"en": "?language=en"}


def test_the_answer_to_a_form_offers_no_switch() -> None:
    assert language_of(request("/share/x/unlock", method="POST")).switches == {}


def test_a_choice_is_remembered_and_leaves_the_address() -> None:
    answer = switch(request("/login/code", "challenge=c&language=zh-CN", sec_fetch_site="same-origin"))
    assert answer
    assert (answer.status, answer.headers["Location"]) == (303, "/login/code?challenge=c")
    assert answer.headers["Set-Cookie"] == (
        "__Host-opencode_language=zh-CN; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=31536000"
    )
    assert answer.headers["Cache-Control"] == "private, no-store"


def test_a_link_of_another_site_changes_nothing() -> None:
    for site in ("cross-site", "same-site"):
        answer = switch(request("/share/x", "language=zh-CN", sec_fetch_site=site))
        assert answer
        assert answer.headers["Location"] == "/share/x"
        assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("query", ["", "language=", "language=de", "language=zh-cn"])
def test_other_requests_choose_nothing(query: str) -> None:
    assert switch(request("/share/x", query)) is None
    assert switch(request("/share/x", "language=zh-CN", method="POST")) is None


@pytest.mark.parametrize("path", ["//evil.example", "/\\evil.example", "///evil.example/%2e"])
def test_a_choice_leads_to_this_host_only(path: str) -> None:
    answer = switch(request(path, "language=zh-CN"))
    assert answer
    assert answer.headers["Location"] == "/"


def test_caches_learn_on_which_headers_a_page_depends() -> None:
    headers = headers_of(language_of(request(accept_language="zh")))
    assert headers["Content-Language"] == "zh-CN"
    assert {"Accept-Language", "Cookie"} <= {name.strip() for name in headers["Vary"].split(",")}

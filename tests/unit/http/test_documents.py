"""The API reference: it searches without a script, speaks the reader's language, and calls no other origin."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from opencode_cloud.http.documents import DocumentRoutes, reference_page
from opencode_cloud.kit.http_app import HttpApp, answer
from opencode_cloud.kit.web_folder import web_folder
from tests.unit.http.test_reader_language import request


@pytest.fixture(scope="module")
def app() -> HttpApp:
    made = HttpApp()
    DocumentRoutes().mount(made)
    return made


def fetch(app: HttpApp, query: str = "", path: str = "/api/docs", **headers: str) -> dict[str, Any]:
    event = request(path, query, **headers)
    event["requestContext"]["stage"] = "$default"
    return answer(app, event, None)


def operations(page: str) -> set[str]:
    return set(re.findall(r'data-operation="(\w+)"', page))


def test_a_search_shows_the_operations_that_have_all_its_words(app: HttpApp) -> None:
    page = fetch(app, "q=rotate+KEY")["body"]
    assert operations(page) == {"rotate_key"}
    assert 'value="rotate KEY"' in page
    assert "1 operation" in page
    assert 'id="models"' not in page


def test_a_search_finds_paths_addresses_and_tags(app: HttpApp) -> None:
    assert "create_key" in operations(fetch(app, "q=/keys")["body"])
    assert operations(fetch(app, "q=/inference/openai/v1/chat")["body"]) == {"call_model_by_chat_completions"}
    assert "list_audit_trail" in operations(fetch(app, "q=audit")["body"])


def test_a_search_for_nothing_known_says_so(app: HttpApp) -> None:
    page = fetch(app, "q=%3Cscript%3E")["body"]
    assert operations(page) == set()
    assert "0 operations" in page
    assert "<script>" not in page


def test_links_of_a_found_operation_lead_to_parts_of_the_page(app: HttpApp) -> None:
    page = fetch(app, "q=create+key")["body"]
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(re.findall(r'id="([^"]+)"', page))


def test_the_page_speaks_the_language_of_its_reader(app: HttpApp) -> None:
    chinese = fetch(app, accept_language="zh-CN")
    assert 'lang="zh-CN"' in chinese["body"]
    assert "搜索操作" in chinese["body"]
    english = fetch(app, accept_language="en")
    assert "Search operations" in english["body"]
    assert chinese["headers"]["Content-Language"] == "zh-CN"
    assert "Accept-Language" in english["headers"]["Vary"]


def test_a_choice_of_a_language_keeps_the_search(app: HttpApp) -> None:
    page = fetch(app, "q=keys")["body"]
    assert 'href="?q=keys&amp;language=zh-CN"' in page
    chosen = fetch(app, "q=keys&language=zh-CN", sec_fetch_site="same-origin")
    assert chosen["statusCode"] == 303
    assert chosen["headers"]["Location"].endswith("/api/docs?q=keys")


def test_the_switches_of_one_reader_are_not_kept_for_others(app: HttpApp) -> None:
    assert "x=1" in fetch(app, "x=1")["body"]
    assert "x=1" not in fetch(app)["body"]


def test_the_page_calls_its_own_origin_only(app: HttpApp) -> None:
    reply = fetch(app)
    policy = reply["headers"]["Content-Security-Policy"]
    for part in ("default-src 'none'", "script-src 'self'", "connect-src 'self'", "form-action 'self'"):
        assert part in policy
    assert "unsafe" not in policy
    script = (web_folder() / "static" / "docs.js").read_text()
    assert not re.search(r"https?://|innerHTML|insertAdjacentHTML|eval\(|localStorage", script)


def test_each_operation_names_the_roles_that_may_call_it() -> None:
    page = reference_page()
    made = re.search(r'data-operation="delete_workspace"[^>]*data-roles="([^"]*)"', page)
    read = re.search(r'data-operation="read_workspace"[^>]*data-roles="([^"]*)"', page)
    assert made is not None
    assert made[1] == "owner"
    assert read is not None
    assert read[1] == "owner admin billing member viewer"


def test_each_data_path_is_a_path_of_the_document() -> None:
    paths = json.loads((Path(__file__).parents[3] / "docs" / "openapi.json").read_text())["paths"]
    found = re.findall(r'data-method="(\w+)" data-path="([^"]+)"', reference_page())
    assert {(method.lower(), path) for method, path in found} == {
        (method, path) for path, item in paths.items() for method in item
    }

"""A reader with a Chinese browser: the live page of a share, the switch that is remembered, and pages of errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.integration.publisher import new_session_id
from tests.unit.sharing.conversation import assistant, part, session, tool, user

from .test_page import PATIENCE, Reader, Shared, watch

pytestmark = pytest.mark.e2e


class Stack(Protocol):
    """The parts of the deployed local stage that these tests need."""

    @property
    def url(self) -> str: ...


@pytest.fixture
def reader(browser: Browser, stack: Stack) -> Iterator[Reader]:
    context = browser.new_context(locale="zh-CN")
    yield watch(context.new_page(), stack.url)
    context.close()


@pytest.fixture
def shared(stack: Stack) -> Iterator[Shared]:
    with httpx.Client(base_url=stack.url, timeout=60) as http:
        made = http.post("/api/share", json={"sessionID": new_session_id()})
        made.raise_for_status()
        yield Shared(http, made.json()["id"], made.json()["secret"])


def language(page: Page) -> str | None:
    return page.locator("html").get_attribute("lang")


def test_a_live_page_is_chinese_and_the_switch_is_remembered(shared: Shared, reader: Reader) -> None:
    page = reader.page
    page.goto(reader.origin + shared.path)
    reader.is_told("实时")
    assert language(page) == "zh-CN"
    shared.publish(session(title=""), user(), assistant(), tool(), part("msg_1", "prt_1", "text", text="a question"))
    reader.sees("a question")
    expect(page.locator("#title")).to_have_text("未命名会话", timeout=PATIENCE)
    expect(page.locator(".message .role").first).to_have_text("用户")
    expect(page.locator("details[data-status=completed]")).to_contain_text("0.2 秒")
    live = reader.outline()
    page.reload()
    reader.is_told("实时")
    assert reader.outline() == live
    page.locator("a.language").click()
    reader.is_told("Live")
    assert (language(page), page.url) == ("en", reader.origin + shared.path)
    page.reload()
    reader.is_told("Live")
    expect(page.locator("#title")).to_have_text("Untitled session")
    assert reader.complaints == []


def test_no_cache_gives_a_page_to_readers_of_another_language(shared: Shared, reader: Reader) -> None:
    shared.publish(session(title="kept"))
    shared.unshare()
    for path, chinese, english in ((shared.path, "不再分享", "No longer shared"), ("/nowhere", "找不到", "not found")):
        reader.page.goto(reader.origin + path)
        expect(reader.page.locator("h1")).to_contain_text(chinese)
        answer = shared.http.get(path, headers={"accept": "text/html", "accept-language": "en"})
        assert english in answer.text
        assert answer.headers["content-language"] == "en"


def test_pages_of_signing_in_are_chinese(reader: Reader) -> None:
    reader.page.goto(f"{reader.origin}/login")
    expect(reader.page.locator("h1")).to_have_text("登录")
    reader.page.locator("a.language").click()
    expect(reader.page.locator("h1")).to_have_text("Sign in")
    reader.page.goto(reader.origin)
    expect(reader.page.locator("h1")).to_contain_text("run by your team")
    assert reader.complaints == []

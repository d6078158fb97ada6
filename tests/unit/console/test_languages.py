"""The console in Chinese: every page, the switch, and what stays English."""

from __future__ import annotations

import json
import re

import pytest

from opencode_cloud.billing.models.errors import statement_not_found
from opencode_cloud.contracts.permissions import Role
from opencode_cloud.http.pages import problem, render
from opencode_cloud.kit.languages import PageLanguage, speaking
from tests.browsing import Page
from tests.foreign_words import english_in
from tests.menu import console_menu
from tests.unit.console.office import InProcessBrowser, Office

CHINESE = re.compile("[\u4e00-\u9fff]")
NAMES = ("Acme", "example.com", "x-cost-center", "default", "Anthropic", "OpenAI", "Google")
"""Names and examples that pages show in every language."""
MODEL = re.compile(r".+ \([a-z0-9.-]+\)")
"""The name and the id of a model."""


def in_chinese(office: Office, role: Role | None = Role.OWNER) -> InProcessBrowser:
    browser = office.browser(role)
    browser.accepts = "zh-CN,zh;q=0.9"
    return browser


def test_every_page_of_the_menu_is_in_the_language_of_the_reader(office: Office) -> None:
    browser = in_chinese(office)
    for each in console_menu():
        answer = browser.go(office.base + each.path)
        assert answer.status_code == 200, each.path
        assert '<html lang="zh-CN">' in answer.text
        assert answer.headers["content-language"] == "zh-CN"
        assert "Accept-Language" in answer.headers["vary"]
        assert answer.headers["cache-control"] == "private, no-store"
        title = re.search("<title>(.*?)</title>", answer.text)
        assert title
        assert CHINESE.search(title[1]) or not each.path, title[1]


def test_no_page_of_the_menu_has_a_text_in_english(office: Office) -> None:
    browser = in_chinese(office)
    for each in console_menu():
        found = english_in(browser.go(office.base + each.path).text, *NAMES)
        # A sentence in Chinese may name programs and examples.
        assert [text for text in found if not CHINESE.search(text) and not MODEL.fullmatch(text)] == [], each.path


def test_a_text_in_english_is_found() -> None:
    html = '<title>付款</title><p>Retry <code>code</code></p><br><input placeholder="Coupon"><p>已付款 INV-000001</p>'
    assert english_in(html) == ["Retry", "Coupon"]


def test_a_reader_of_another_language_gets_english(office: Office) -> None:
    answer = office.browser(Role.OWNER).go(f"{office.base}/usage")
    assert '<html lang="en">' in answer.text
    assert not CHINESE.search(answer.text.replace("简体中文", ""))


def test_the_switch_leads_to_the_same_page_in_the_other_language(office: Office) -> None:
    browser = office.browser(Role.OWNER)
    page = browser.open(f"{office.base}/usage?by=key")
    [link] = [link for link in page.links if "language=" in link]
    answer = browser.go(f"{office.base}/usage{link}")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{office.base}/usage?by=key")
    cookie = answer.headers["set-cookie"]
    assert "__Host-opencode_language=zh-CN" in cookie
    browser.language = "zh-CN"
    assert "用量" in browser.open(f"{office.base}/usage?by=key").text


def test_errors_of_pages_are_translated_and_those_of_the_api_are_not(office: Office) -> None:
    browser = in_chinese(office)
    assert "找不到页面" in Page(browser.go("/console/nowhere/at/all")).text  # pyright: ignore[reportArgumentType]
    refused = browser.go(f"/api/v1/workspaces/{office.workspace}/keys/key_none")
    assert refused.status_code == 404
    assert not CHINESE.search(refused.text)
    assert json.loads(refused.text)


def test_a_refused_form_is_answered_in_the_language_of_the_reader(office: Office) -> None:
    browser = in_chinese(office)
    action = f"{office.base}/budgets"
    shown = browser.submit(
        browser.open(action), action, subject="workspace:", limit="much", unit="cost", period="month"
    )
    assert "未作任何更改。请更正标出的内容。" in shown.text
    assert "请填写金额" in shown.text
    assert not [link for link in shown.links if "language=" in link]


def test_the_pages_of_signing_in_are_translated(office: Office) -> None:
    browser = in_chinese(office, None)
    assert "发送验证码" in browser.open("/login").text
    assert "欢迎" in browser.go("/").text


def test_an_error_is_translated_with_its_values_which_are_escaped() -> None:
    error = statement_not_found("<b>%(x)s")
    assert error.message.startswith("There is no statement for <b>%(x)s. ")
    with speaking(PageLanguage("zh-CN")):
        body = str(problem(error).body)
    assert "没有 &lt;b&gt;%(x)s 的对账单。" in body


@pytest.mark.parametrize("hostile", ["<img src=x>", '"><b>', "%(name)s", "{{ 1 }}"])
def test_values_in_messages_are_escaped(hostile: str) -> None:
    shown = render("identity/problem.html", title=hostile, words=hostile, correlation_id=hostile)
    assert "<img src=x>" not in shown
    assert '"><b>' not in shown
    assert hostile.startswith(("<", '"')) or hostile in shown

"""The API reference in a real browser: the search while one types, and requests with the reader's session."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from local.stack import LocalStack
from opencode_cloud.contracts.permissions import Role
from tests.integration.people import People, Person

from .judging import PICTURES, violations

pytestmark = pytest.mark.e2e


def reference(browser: Browser, stack: LocalStack, person: Person | None, **options: Any) -> Any:
    """Open the reference in a browser whose requests stay on the stage."""
    context = browser.new_context(locale="en-US", **options)
    if person:
        context.add_cookies([{"name": "opencode_session", "value": person.cookie, "url": stack.url}])
    page: Any = context.new_page()
    elsewhere: list[str] = []
    page.on("request", lambda request: None if request.url.startswith(stack.url) else elsewhere.append(request.url))
    page.elsewhere = elsewhere
    page.goto(f"{stack.url}/api/docs")
    return page


def article(page: Any, operation: str) -> Any:
    return page.locator(f'article[data-operation="{operation}"]')


def test_the_search_filters_while_one_types(browser: Browser, stack: LocalStack) -> None:
    page = reference(browser, stack, None)
    page.get_by_label("Search operations").fill("rotate key")
    expect(page.locator("#found")).to_have_text("1 operation")
    assert page.locator("article[data-operation]:visible").count() == 1
    page.get_by_label("Search operations").fill("")
    assert page.locator("article[data-operation]:visible").count() > 150
    assert page.elsewhere == []


def test_a_reader_without_scripts_searches_too(browser: Browser, stack: LocalStack) -> None:
    page = reference(browser, stack, None, java_script_enabled=False)
    page.get_by_label("Search operations").fill("rotate key")
    page.get_by_role("button", name="Search").click()
    assert page.locator("article[data-operation]").count() == 1
    assert page.get_by_role("button", name="Try it").count() == 0


def test_a_request_is_sent_with_the_session_and_changes_are_confirmed(browser: Browser, stack: LocalStack) -> None:
    people = People(stack)
    owner = people.somebody()
    workspace = owner.found("Tried")
    page = reference(browser, stack, owner)
    read = article(page, "read_workspace")
    read.get_by_role("button", name="Try it").click()
    read.get_by_label("workspace").select_option(workspace)
    assert "your role: owner" in read.get_by_label("workspace").inner_text()
    read.get_by_role("button", name="Send request").click()
    read.get_by_text(": 200 in").wait_for()
    assert json.loads(read.locator("pre").last.inner_text())["name"] == "Tried"

    create, questions = article(page, "create_key"), list[str]()
    create.get_by_role("button", name="Try it").click()
    create.get_by_label("workspace").select_option(workspace)
    create.get_by_label("Body (JSON)").fill('{"name": "from the docs"}')
    page.once("dialog", lambda dialog: (questions.append(dialog.message), dialog.dismiss()))
    create.get_by_role("button", name="Send request").click()
    assert "It changes real data" in questions[0]
    assert owner.http.get(f"/api/v1/workspaces/{workspace}/keys").json()["data"] == []
    page.once("dialog", lambda dialog: dialog.accept())
    create.get_by_role("button", name="Send request").click()
    create.get_by_text(": 201 in").wait_for()
    assert [key["name"] for key in owner.http.get(f"/api/v1/workspaces/{workspace}/keys").json()["data"]] == [
        "from the docs"
    ]
    assert page.elsewhere == []
    PICTURES.mkdir(parents=True, exist_ok=True)
    create.screenshot(path=str(PICTURES / "api-docs-try.png"))


@pytest.mark.slow
def test_a_role_without_the_permission_is_told_before(browser: Browser, stack: LocalStack) -> None:
    people = People(stack)
    owner = people.somebody()
    workspace = owner.found("Refused")
    viewer = people.joined(owner, workspace, Role.VIEWER)
    page = reference(browser, stack, viewer)
    change = article(page, "invite_somebody")
    change.get_by_role("button", name="Try it").click()
    change.get_by_label("workspace").select_option(workspace)
    change.get_by_text("Your role there has no permission for this").wait_for()
    page.once("dialog", lambda dialog: dialog.accept())
    change.get_by_role("button", name="Send request").click()
    change.get_by_text(": 403 in").wait_for()


@pytest.mark.slow
def test_a_visitor_can_sign_in_or_send_a_key(browser: Browser, stack: LocalStack) -> None:
    owner = People(stack).somebody()
    workspace = owner.found("Keyed")
    key = owner.key(workspace, scopes=["admin"])
    page = reference(browser, stack, None)
    read = article(page, "read_workspace")
    read.get_by_role("button", name="Try it").click()
    assert read.get_by_role("link", name="Sign in").get_attribute("href") == "/login?continue=%2Fapi%2Fdocs"
    read.get_by_label("Key or access token").fill(key)
    read.get_by_label("workspace").fill(workspace)
    read.get_by_role("button", name="Send request").click()
    read.get_by_text(": 200 in").wait_for()


@pytest.mark.slow
def test_the_reference_is_accessible_on_a_phone_in_both_themes(browser: Browser, stack: LocalStack) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    for theme in ("light", "dark"):
        page = reference(browser, stack, None, viewport={"width": 390, "height": 844}, color_scheme=theme)
        page.get_by_label("Search operations").fill("create key")
        article(page, "create_key").get_by_role("button", name="Try it").click()
        article(page, "create_key").get_by_role("button", name="Send request").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.screenshot(path=str(PICTURES / f"api-docs-{theme}.png"))
        assert violations(page) == []

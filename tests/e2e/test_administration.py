"""Manage a workspace in a real browser, without scripts."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from local.stack import LocalStack
from opencode_cloud.contracts.permissions import Role
from tests.integration.people import People, Person
from tests.waiting import until

pytestmark = pytest.mark.e2e


def at_browser(browser: Browser, stack: LocalStack, person: Person) -> Any:
    context = browser.new_context(java_script_enabled=False)
    context.add_cookies([{"name": "opencode_session", "value": person.cookie, "url": stack.url}])
    return context.new_page()


@pytest.mark.slow
def test_an_admin_invites_and_removes_a_person_by_clicking(browser: Browser, stack: LocalStack) -> None:
    people = People(stack)
    owner = people.somebody()
    workspace = owner.found("Clicked")
    admin = people.joined(owner, workspace, Role.ADMIN)
    bob = people.somebody(f"bob-{secrets.token_hex(4)}@example.com")

    page = at_browser(browser, stack, admin)
    page.goto(f"{stack.url}/console")
    page.get_by_role("navigation", name="Workspace").get_by_role("link", name="Members").click()
    page.get_by_label("E-mail addresses").fill(bob.email)
    page.get_by_role("button", name="Invite").click()
    assert page.get_by_role("status").inner_text() == "Invitation sent."

    theirs = at_browser(browser, stack, bob)
    theirs.goto(f"{stack.url}/invitations")
    theirs.get_by_role("link", name="Clicked").click()
    theirs.get_by_role("button", name="Join Clicked").click()
    theirs.goto(f"{stack.url}/console/{workspace}/members")
    assert theirs.get_by_text(admin.email).count()
    assert not theirs.get_by_role("link", name="Remove").count()
    assert not theirs.get_by_role("button", name="Invite").count()
    theirs.goto(f"{stack.url}/console/{workspace}/keys")
    theirs.get_by_label("Name", exact=True).fill("laptop")
    theirs.get_by_role("button", name="Create key").click()
    key = theirs.get_by_label("The key", exact=True).input_value()
    client = people.with_key(key)
    assert client.get("/api/config").status_code != 401

    page.goto(f"{stack.url}/console/{workspace}/members")
    page.get_by_role("link", name=f"Remove {bob.email}").click()
    assert "revoked, for good" in page.get_by_role("main").inner_text()
    page.get_by_role("button", name=f"Remove {bob.email}").click()
    assert page.get_by_role("status").inner_text().startswith("Member removed.")
    until(lambda: client.get("/api/config").status_code == 401)
    assert theirs.goto(f"{stack.url}/console/{workspace}").status == 404


@pytest.fixture
def scripted(browser: Browser, stack: LocalStack) -> Iterator[tuple[Any, Person, str]]:
    """Return a browser with scripts that fails on errors of pages, its person, and a workspace of theirs."""
    people = People(stack)
    owner = people.somebody()
    workspace = owner.found("Scripted")
    context = browser.new_context(timezone_id="Asia/Tokyo", locale="en-US")
    context.add_cookies([{"name": "opencode_session", "value": owner.cookie, "url": stack.url}])
    page, errors = context.new_page(), list[str]()
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page, owner, workspace
    assert errors == []
    context.close()


def test_every_page_is_reached_by_clicking_from_the_start_page(scripted: Any, stack: LocalStack) -> None:
    page, _, workspace = scripted
    page.goto(f"{stack.url}/")
    page.get_by_role("link", name="Scripted", exact=True).click()
    labels = page.get_by_role("navigation", name="Workspace").get_by_role("link").all_inner_texts()
    assert {"Usage", "Calls", "Shares", "Budgets", "Providers", "Settings"} <= {*labels}
    for label in labels:
        page.get_by_role("navigation", name="Workspace").get_by_role("link", name=label, exact=True).click()
        page.get_by_role("link", name=label, exact=True).and_(page.locator("[aria-current=page]")).wait_for()
        assert workspace in page.url


def test_a_page_is_found_by_its_name(scripted: Any, stack: LocalStack) -> None:
    page, _, workspace = scripted
    page.goto(f"{stack.url}/console/{workspace}")
    page.keyboard.press("Control+k")
    page.keyboard.type("provid")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/console/{workspace}/providers")


def test_times_are_in_the_readers_zone_with_utc_beside(scripted: Any, stack: LocalStack) -> None:
    page, _, workspace = scripted
    page.goto(f"{stack.url}/console/{workspace}/settings")
    shown = page.locator("time").first
    assert shown.get_attribute("title").endswith("UTC")
    in_tokyo = "at => new Date(at).toLocaleTimeString('en-US', {timeStyle: 'short', timeZone: 'Asia/Tokyo'})"
    assert page.evaluate(in_tokyo, shown.get_attribute("datetime")) in shown.inner_text()


def test_typed_text_survives_the_end_of_a_session(scripted: Any, stack: LocalStack) -> None:
    page, owner, workspace = scripted
    page.goto(f"{stack.url}/console/{workspace}/members")
    page.get_by_label("E-mail addresses").fill("bob@example.com\neve@example.com")
    page.context.clear_cookies()
    page.get_by_role("button", name="Invite").click()
    page.get_by_text("Your session ended before your form was sent").wait_for()
    page.context.add_cookies([{"name": "opencode_session", "value": owner.cookie, "url": stack.url}])
    page.goto(page.url)
    page.wait_for_url("**/members?unsent=1")
    assert page.get_by_label("E-mail addresses").input_value() == "bob@example.com\neve@example.com"
    page.get_by_role("button", name="Invite").click()
    assert page.get_by_role("status").inner_text() == "Invitations sent."

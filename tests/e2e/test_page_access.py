"""The page of a restricted share in a real browser: password, sign-in, and losing access."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from local.stack import LocalStack
from tests.integration.projected import OwnedShare, People, Person, share_as
from tests.integration.publisher import message, new_session_id, part, session

pytestmark = pytest.mark.e2e
PATIENCE = 30_000  # milliseconds; each step takes well under a second on an idle machine
PASSWORD = "correct horse"


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    opened = browser.new_context(viewport={"width": 1000, "height": 800})
    yield opened
    opened.close()


@pytest.fixture
def people(stack: LocalStack) -> People:
    return People(stack)


def shared(stack: LocalStack, owner: Person, workspace: str, **change: Any) -> OwnedShare:
    share = share_as(stack, owner, workspace, new_session_id())
    share.sync(session(share.session_id, "Fix the build"), message("1"), part("1", "first words"))
    assert share.change(owner, **change).status_code == 200
    return share


def sign_in(context: BrowserContext, stack: LocalStack, person: Person) -> None:
    context.add_cookies([{"name": "opencode_session", "value": person.cookie, "url": stack.url}])


def is_live(page: Page) -> None:
    expect(page.locator("#status")).to_have_text("Live", timeout=PATIENCE)


def sees(page: Page, words: str) -> None:
    expect(page.locator("#share")).to_contain_text(words, timeout=PATIENCE)


def test_the_password_opens_the_page_and_follows_the_session(
    stack: LocalStack, people: People, context: BrowserContext
) -> None:
    workspace = people.workspace()
    share = shared(stack, people.member(workspace), workspace, mode="password", password=PASSWORD)
    page = context.new_page()
    page.goto(f"{stack.url}/share/{share.id}")
    expect(page.locator("main")).not_to_contain_text("first words")
    page.fill("#password", "wrong")
    page.click("button[type=submit]")
    expect(page.locator("#problem")).to_have_text("This is not the password of the share.")
    page.fill("#password", PASSWORD)
    page.click("button[type=submit]")
    is_live(page)
    sees(page, "first words")
    share.sync(part("2", "second words"))
    sees(page, "second words")
    page.reload()
    is_live(page)
    share.change(share.owner, password="another password")
    sees(page, "Not shared with you any more")
    page.get_by_role("link", name="Try again").click()
    expect(page.locator("#password")).to_be_visible()


@pytest.mark.slow
def test_a_member_is_let_in_and_comes_back_by_itself_until_they_leave(
    stack: LocalStack, people: People, context: BrowserContext
) -> None:
    workspace = people.workspace()
    owner, reader = people.member(workspace), people.member(workspace, "viewer")
    share = shared(stack, owner, workspace, mode="workspace")
    page = context.new_page()
    page.goto(f"{stack.url}/share/{share.id}")
    way_in = page.get_by_role("link", name="Sign in")
    expect(way_in).to_have_attribute("href", f"/login?continue=%2Fshare%2F{share.id}")
    sign_in(context, stack, reader)
    page.reload()
    is_live(page)
    share.change(owner, mode="password", password=PASSWORD)
    share.sync(part("2", "second words"))
    sees(page, "second words")
    is_live(page)
    share.change(owner, mode="workspace")
    is_live(page)
    people.remove(reader, workspace)
    share.sync(part("3", "secret words"))
    expect(page.locator("#status")).to_have_text("No longer shared", timeout=PATIENCE)
    expect(page.locator("#share")).not_to_contain_text("secret words")
    page.reload()
    expect(page.locator("h1")).to_have_text("No session here")


def test_a_page_that_was_for_everybody_says_when_it_is_not_any_more(
    stack: LocalStack, people: People, context: BrowserContext
) -> None:
    workspace = people.workspace()
    share = shared(stack, people.member(workspace), workspace, mode="link")
    page = context.new_page()
    page.goto(f"{stack.url}/share/{share.id}")
    is_live(page)
    people.policy(workspace, share_mode="workspace")
    share.sync(part("2", "secret words"))
    sees(page, "Not shared with you any more")
    expect(page.locator("#share")).not_to_contain_text("secret words")

"""The page of a share in its owner's browser: secrets, the panel, and comments of members, in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect

from local.stack import LocalStack
from tests.integration.projected import People, Person, share_as
from tests.integration.publisher import message, new_session_id, part, session
from tests.unit.sharing.redaction.secrets import FORMATS, Draw
from tests.waiting import until

pytestmark = pytest.mark.e2e
PICTURES = Path(__file__).parents[2] / ".local" / "screenshots"
PATIENCE = 30_000  # milliseconds; each step takes well under a second on an idle machine
KEY = FORMATS["github-personal"](Draw(1))
MARK = "[redacted: github-pat]"


@pytest.fixture
def people(stack: LocalStack) -> People:
    return People(stack)


class Reader:
    """A person's browser with the page of a share, which reports every error of its console."""

    def __init__(self, browser: Browser, stack: LocalStack, person: Person | None, *, scripts: bool = True) -> None:
        self.context: BrowserContext = browser.new_context(
            viewport={"width": 1000, "height": 900}, java_script_enabled=scripts
        )
        if person is not None:
            self.context.add_cookies([{"name": "opencode_session", "value": person.cookie, "url": stack.url}])
        self.page: Page = self.context.new_page()
        self.errors: list[str] = []
        self.page.on("console", self._note)

    def _note(self, said: ConsoleMessage) -> None:
        if said.type == "error":
            self.errors.append(said.text)

    def open(self, url: str) -> Page:
        self.page.goto(url)
        return self.page

    def picture(self, name: str) -> None:
        """Keep a picture, for people who look at it."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=PICTURES / f"{name}.png", full_page=True)


def test_an_owner_sees_what_was_found_and_decides_about_the_share(
    stack: LocalStack, people: People, browser: Browser
) -> None:
    workspace = people.workspace()
    owner = people.member(workspace)
    share = share_as(stack, owner, workspace, new_session_id())
    share.sync(session(share.session_id, "Fix the build"), message("1"), part("1", f"the token is {KEY}, sadly"))
    url = f"{stack.url}/share/{share.id}"
    stranger = Reader(browser, stack, None)
    read = stranger.open(url)
    expect(read.locator("#share")).to_contain_text(f"the token is {MARK}, sadly")
    expect(read.locator("#owner")).to_have_count(0)

    mine = Reader(browser, stack, owner, scripts=False)
    page = mine.open(url)
    expect(page.locator("#owner summary")).to_contain_text("1 secret found")
    page.locator("#owner summary").click()
    expect(page.locator(".owner-place")).to_have_text("part/msg_1/prt_1 · text")
    mine.picture("owner-panel")
    page.get_by_label("Show github-pat/").check()
    page.get_by_role("button", name="Save").nth(1).click()
    expect(page.locator("#owner")).to_contain_text("It appears when the client shares its message again.")

    def shown() -> bool:
        # A function may still know the share as it was a second ago.
        share.sync(part("1", f"the token is {KEY}, sadly"))
        return KEY in read.request.get(f"{url}.json").text()

    until(shown)
    expect(read.locator("#share")).to_contain_text(KEY, timeout=PATIENCE)

    page.get_by_label("Who can read it").select_option("workspace")
    page.get_by_role("button", name="Save").first.click()
    expect(page.locator("#owner")).to_contain_text("Saved.")
    expect(read.locator("#share")).to_contain_text("Not shared with you any more", timeout=PATIENCE)

    page.get_by_role("button", name="Remove").click()
    expect(page.locator("#owner")).to_have_count(1)  # the browser asks for the tick first
    page.get_by_label("Remove this share").check()
    page.get_by_role("button", name="Remove").click()
    expect(page.locator("h1")).to_have_text("No longer shared")


@pytest.mark.slow
def test_members_talk_about_a_share_live(stack: LocalStack, people: People, browser: Browser) -> None:
    workspace = people.workspace()
    owner, colleague = people.member(workspace), people.member(workspace, "viewer")
    share = share_as(stack, owner, workspace, new_session_id())
    share.sync(session(share.session_id, "Fix the build"), message("1"), part("1", "first words"))
    assert share.change(owner, mode="workspace").status_code == 200
    url = f"{stack.url}/share/{share.id}"
    mine, theirs = Reader(browser, stack, owner), Reader(browser, stack, colleague, scripts=False)
    page, other = mine.open(url), theirs.open(url)
    expect(page.locator("#status")).to_have_text("Live", timeout=PATIENCE)
    other.get_by_label("About").select_option(index=1)
    other.get_by_label("Comment", exact=True).fill(f"Is this right? {KEY}")
    other.get_by_role("button", name="Comment").click()
    comment = page.locator(".comment-list > li")
    expect(comment).to_contain_text(f"Is this right? {MARK}", timeout=PATIENCE)
    comment.get_by_role("link").click()
    expect(page.locator("#messages .message").first).to_be_focused()
    page.get_by_label("Comment", exact=True).fill("Yes")
    page.get_by_role("button", name="Comment").click()
    expect(page.locator(".comment-list > li")).to_have_count(2)
    mine.picture("comments")
    page.locator(".comment-list > li").first.get_by_role("button", name="Resolve").click()
    expect(page.locator(".comment-list > li").first).to_contain_text("resolved")
    assert mine.errors == []

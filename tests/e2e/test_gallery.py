"""The gallery in a real browser: every kind of part in both themes on desktop and phone, and all ways through the page.

Pictures are kept in ``.local/screenshots``, for people who look at them.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from local.gallery import Gallery, publish
from local.stack import LocalStack
from tests.integration.publisher import new_session_id

from .judging import PICTURES, violations
from .test_page import OUTLINE

pytestmark = pytest.mark.e2e
PATIENCE = 60_000  # milliseconds; each step takes well under a second on an idle machine
DESKTOP, PHONE = (1280, 900), (390, 844)


@pytest.fixture(scope="module")
def address(stack: LocalStack) -> str:
    return publish(stack.url, new_session_id())


@dataclass
class View:
    """An open page. ``complaints`` holds its errors, and its requests to other hosts."""

    page: Page
    complaints: list[str]


def opened(context: BrowserContext, address: str, *, wait: bool = True) -> View:
    page = context.new_page()
    complaints: list[str] = []
    origin = address.partition("/share/")[0]
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))

    def ask(url: str) -> None:
        if not url.startswith((origin, "data:", "blob:")):
            complaints.append(f"request to {url}")

    page.on("request", lambda request: ask(request.url))
    page.goto(address)
    if wait:
        expect(page.locator("#status")).to_have_text("Live", timeout=PATIENCE)
    return View(page, complaints)


@pytest.fixture
def view(browser: Browser, address: str) -> Iterator[View]:
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, permissions=["clipboard-read", "clipboard-write"]
    )
    found = opened(context, address)
    yield found
    assert found.complaints == []
    context.close()


@pytest.mark.parametrize(
    ("size", "theme"),
    [
        pytest.param(DESKTOP, "light", id="desktop-light"),
        pytest.param(DESKTOP, "dark", id="desktop-dark", marks=pytest.mark.slow),
        pytest.param(PHONE, "light", id="phone-light", marks=pytest.mark.slow),
        pytest.param(PHONE, "dark", id="phone-dark"),
    ],
)
def test_the_gallery_can_be_read_by_everybody(
    browser: Browser, address: str, size: tuple[int, int], theme: Literal["light", "dark"]
) -> None:
    width, height = size
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme)
    view = opened(context, address)
    page = view.page
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"share-{width}-{theme}.png")
    page.evaluate("() => document.querySelectorAll('#share details').forEach((each) => (each.open = true))")
    page.evaluate(
        "() => document.querySelectorAll('.message').forEach((each) => (each.style.contentVisibility = 'visible'))"
    )
    expect(page.locator(".hljs-keyword").first).to_be_attached(timeout=PATIENCE)
    page.screenshot(path=PICTURES / f"gallery-{width}-{theme}.png", full_page=True)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    assert violations(page) == []
    assert view.complaints == []
    context.close()


SHIFTS = """() => new Promise((resolve) => {
  let sum = 0
  new PerformanceObserver((list) => list.getEntries().forEach((each) => (sum += each.value))).observe(
    { type: "layout-shift", buffered: true })
  setTimeout(() => resolve(sum), 500)
})"""


@pytest.mark.parametrize(("width", "height"), [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_messages_keep_their_place_when_the_script_starts(
    browser: Browser, address: str, width: int, height: int
) -> None:
    context = browser.new_context(viewport={"width": width, "height": height})
    view = opened(context, address)
    expect(view.page.locator("#tools")).to_be_visible()
    # The status in the bar at the top grows; up to 0.1 counts as good (Core Web Vitals).
    assert view.page.evaluate(SHIFTS) < 0.02
    assert view.complaints == []
    context.close()


def test_without_scripts_everything_is_there(browser: Browser, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = opened(context, address, wait=False).page
    for words in ("What was wrong", "1 of 4 done", "exit 1", "376 lines hidden", "undone", "Which currency?"):
        expect(page.locator("#share")).to_contain_text(words)
    assert page.locator("#share h3").first.text_content() == "What was wrong"
    assert page.locator("button:visible").count() == page.locator("button.zoom:visible").count()
    context.close()


def test_code_is_highlighted_and_keeps_its_size(view: View) -> None:
    code = view.page.locator("code.language-python").first
    code.scroll_into_view_if_needed()
    expect(code.locator(".hljs-keyword").first).to_have_text("def", timeout=PATIENCE)
    plain = view.page.evaluate(
        """(code) => {
      const before = code.getBoundingClientRect().height
      code.textContent = code.textContent
      return [before, code.getBoundingClientRect().height]
    }""",
        code.element_handle(),
    )
    assert plain[0] == plain[1]


def test_search_opens_what_is_folded(view: View) -> None:
    page = view.page
    page.keyboard.press("/")
    page.keyboard.type("line 200:")
    expect(page.locator("#search output")).to_have_text("1 of 1")
    expect(page.get_by_text("line 200: lorem").first).to_be_in_viewport()
    page.keyboard.press("Escape")
    expect(page.locator("#search")).to_be_hidden()


def test_keys_go_from_message_to_message_and_can_be_switched_off(view: View) -> None:
    page = view.page
    for _ in range(3):
        page.keyboard.press("j")
    assert page.evaluate("() => document.activeElement.id") == page.locator(".message").nth(2).get_attribute("id")
    page.keyboard.press("k")
    assert page.evaluate("() => document.activeElement.id") == page.locator(".message").nth(1).get_attribute("id")
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    page.locator("#help input").uncheck()
    page.locator("#help button").click()
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_hidden()


def test_a_link_to_a_part_opens_it_and_can_be_copied(view: View, address: str) -> None:
    page = view.page
    part = page.locator(".run .part").first
    anchor = part.get_attribute("id")
    page.goto(f"{address}#{anchor}")
    expect(part).to_be_in_viewport()
    expect(part).to_have_class(re.compile("is-target"))
    page.locator(".message > header > .anchor").first.focus()
    page.keyboard.press("Enter")
    copied = page.evaluate("() => navigator.clipboard.readText()")
    assert copied == f"{address}#{page.locator('.message').first.get_attribute('id')}"


def test_code_and_messages_are_copied_as_they_are(view: View) -> None:
    page = view.page
    page.locator(".prose .code .copy").first.click()
    assert page.evaluate("() => navigator.clipboard.readText()").startswith("def total(items: list[Item]) -> int:\n")


def test_changes_can_be_shown_side_by_side(view: View) -> None:
    page = view.page
    page.get_by_role("button", name="Split changes").click()
    expect(page.get_by_role("button", name="Split changes")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Expand all").click()
    sides = page.locator("#changes .sides").first
    sides.scroll_into_view_if_needed()
    left, right = sides.locator(".removed").first.bounding_box(), sides.locator(".added").first.bounding_box()
    assert left
    assert right
    assert left["x"] < right["x"]
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / "split.png")
    page.get_by_role("button", name="Split changes").click()
    expect(page.locator(".sides")).to_have_count(0)


def test_the_list_of_prompts_leads_to_each(view: View) -> None:
    page = view.page
    prompts = page.locator("#prompts li")
    assert prompts.count() == page.locator(".message[data-role=user]").count()
    expect(prompts.first).to_contain_text("tokens in")
    prompts.nth(4).locator("a").click()
    expect(page.locator(".message[data-role=user]").nth(4)).to_be_in_viewport()


def test_the_theme_is_kept(view: View) -> None:
    page = view.page
    for _ in range(2):
        page.locator("button.theme").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_a_picture_can_be_enlarged(view: View) -> None:
    view.page.locator("button.zoom").first.click()
    expect(view.page.locator("#lightbox img")).to_be_visible()
    view.page.keyboard.press("Escape")
    expect(view.page.locator("#lightbox")).to_be_hidden()


def test_on_paper_nothing_is_cut(view: View) -> None:
    page = view.page
    page.emulate_media(media="print")
    page.evaluate("() => dispatchEvent(new Event('beforeprint'))")
    cut = """() => [...document.querySelectorAll("#share pre, #share .document")]
      .filter((node) => node.scrollHeight > node.clientHeight + 1 || node.scrollWidth > node.clientWidth + 1)
      .map((node) => node.outerHTML.slice(0, 200))"""
    assert page.evaluate(cut) == []
    assert page.locator("#share details:not([open])").count() == 0
    page.evaluate("() => dispatchEvent(new Event('afterprint'))")
    assert page.locator("#share details:not([open])").count() > 10


def test_the_page_can_be_taken_along_as_one_file(view: View, tmp_path: Path) -> None:
    with view.page.expect_download() as started:
        view.page.get_by_role("button", name="Download HTML").click()
    saved = tmp_path / "session.html"
    started.value.save_as(saved)
    text = saved.read_text()
    assert "What was wrong" in text
    assert "<script" not in text
    assert "<link" not in text
    assert "<form" not in text


def test_what_was_followed_live_looks_like_what_is_loaded(stack: LocalStack, browser: Browser) -> None:
    items = Gallery().items()
    random.Random(11).shuffle(items)
    context = browser.new_context()
    with httpx.Client(base_url=stack.url, timeout=60) as http:
        share = http.post("/api/share", json={"sessionID": new_session_id()}).json()
        view = opened(context, f"{stack.url}/share/{share['id']}")
        for start in range(0, len(items), 12):
            body = {"secret": share["secret"], "data": items[start : start + 12]}
            http.post(f"/api/share/{share['id']}/sync", json=body).raise_for_status()
    parts = sum(item["type"] == "part" for item in items)
    expect(view.page.locator(".part")).to_have_count(parts, timeout=PATIENCE)
    expect(view.page.locator("#changes .change")).to_have_count(3, timeout=PATIENCE)
    while view.page.locator("[data-href]").count():  # a large part is fetched when a reader comes near
        # The last one may be fetched between the two questions.
        view.page.evaluate("() => document.querySelector('[data-href]')?.closest('.message').scrollIntoView()")
        view.page.wait_for_timeout(100)
    followed = view.page.evaluate(OUTLINE)
    view.page.reload()
    expect(view.page.locator("#status")).to_have_text("Live", timeout=PATIENCE)
    assert view.page.evaluate(OUTLINE) == followed
    assert view.complaints == []
    context.close()


def test_text_that_arrives_changes_only_its_end(stack: LocalStack, browser: Browser) -> None:
    with httpx.Client(base_url=stack.url) as http:
        share = http.post("/api/share", json={"sessionID": new_session_id()}).json()

        def say(words: str, *, done: bool = False) -> None:
            time = {"start": 1, **({"end": 2} if done else {})}
            message = {"id": "msg_1", "role": "assistant", "time": {"created": 1_795_903_200_000}}
            part = {"id": "prt_1", "messageID": "msg_1", "type": "text", "text": words, "time": time}
            data = [{"type": "message", "data": message}, {"type": "part", "data": part}]
            http.post(
                f"/api/share/{share['id']}/sync", json={"secret": share["secret"], "data": data}
            ).raise_for_status()

        say("## Head\n\nfirst **bo")
        context = browser.new_context()
        view = opened(context, f"{stack.url}/share/{share['id']}")
        expect(view.page.locator(".prose strong")).to_have_text("bo")
        view.page.evaluate("() => (document.querySelector('.prose h3').dataset.kept = 'yes')")
        heading = view.page.locator(".prose h3").element_handle()
        say("## Head\n\nfirst **bold** and\n\n- a\n- b", done=True)
        expect(view.page.locator(".prose li")).to_have_count(2, timeout=PATIENCE)
        assert heading.evaluate("(node) => node.isConnected")
        assert view.complaints == []
        context.close()


def test_what_is_said_of_a_turn_that_was_taken_back_is_said_everywhere(view: View, address: str) -> None:
    expect(view.page.locator(".message[data-undone] .state").first).to_have_text("undone")
    with httpx.Client() as http:
        assert "*Undone: the user took this message back.*" in http.get(f"{address}.md").text
        assert [each["undone"] for each in http.get(f"{address}.json").json()["messages"]].count(True) == 2


def test_a_link_in_a_chat_has_a_title_and_a_picture(stack: LocalStack, address: str) -> None:
    with httpx.Client() as http:
        page = http.get(address, headers={"accept": "text/html"}).text
        assert '<meta property="og:title" content="Wrong totals in the shopping cart">' in page
        picture = http.get(f"{address}/card.png")
        assert picture.headers["content-type"] == "image/png"
        assert picture.content.startswith(b"\x89PNG")
        PICTURES.mkdir(parents=True, exist_ok=True)
        (PICTURES / "card.png").write_bytes(picture.content)
        described = http.get(f"{stack.url}/share/oembed", params={"url": address}).json()
        assert described["title"] == "Wrong totals in the shopping cart"
        assert described["thumbnail_url"] == f"{address}/card.png"
        assert http.get(f"{stack.url}/share/oembed", params={"url": "https://example.com/"}).status_code == 404


def test_a_page_that_does_not_exist_is_a_page_for_people_and_json_for_programs(
    stack: LocalStack, browser: Browser
) -> None:
    with httpx.Client() as http:
        assert http.get(f"{stack.url}/nowhere").json()["error"] == "route_not_found"
    context = browser.new_context()
    page = context.new_page()
    for path, title in (("/nowhere", "Page not found"), (f"/share/{'x' * 22}", "No session here")):
        answer = page.goto(f"{stack.url}{path}")
        assert answer
        assert answer.status == 404
        expect(page.locator("h1")).to_have_text(title)
        expect(page.locator(".brand")).to_have_attribute("href", "/")
        assert violations(page) == []
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / "missing.png")
    context.close()


def test_the_gallery_has_every_kind_of_part() -> None:
    parts = [item["data"] for item in Gallery().items() if item["type"] == "part"]
    assert {"text", "reasoning", "tool", "file", "retry", "compaction", "agent", "subtask", "patch", "step-start"} <= {
        part["type"] for part in parts
    }
    states = {part["state"]["status"] for part in parts if part["type"] == "tool"}
    assert states == {"pending", "running", "completed", "error"}

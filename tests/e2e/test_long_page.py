"""The page of a long session in a real browser: windows of it come and go, and nothing of it is out of reach."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, expect

from local.stack import LocalStack
from tests.integration.publisher import new_session_id
from tests.unit.sharing.conversation import BEGIN, assistant, item, part, session, user

from .test_page import PATIENCE, Reader, Shared, watch

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
MESSAGES = 1_200


@pytest.fixture(scope="module")
def shared(stack: LocalStack) -> Iterator[Shared]:
    """Return a share of 1,200 messages with 1.5 MB of text, most of them in a snapshot."""
    with httpx.Client(base_url=stack.url, timeout=60) as http:
        made = http.post("/api/share", json={"sessionID": new_session_id()}).raise_for_status().json()
        share = Shared(http, made["id"], made["secret"])
        share.publish(session(title="A long session"))
        for start in range(0, MESSAGES, 300):
            numbers = range(start, start + 300)
            make = [user if number % 10 == 0 else assistant for number in numbers]
            share.publish(*(each(name(n), BEGIN + n) for each, n in zip(make, numbers, strict=True)))
            texts = [f"Message {n} holds mark{n}x.\n\n" + "word " * 250 for n in numbers]
            share.publish(*(part(name(n), "prt_1", "text", text=t) for n, t in zip(numbers, texts, strict=True)))
        yield share


def name(number: int) -> str:
    return f"msg_{0xABC00000 + number:012x}Aa"


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    opened = browser.new_context(viewport={"width": 1000, "height": 800})
    yield opened
    opened.close()


@pytest.fixture
def reader(context: BrowserContext, stack: LocalStack) -> Iterator[Reader]:
    made = watch(context.new_page(), stack.url)
    yield made
    assert made.complaints == []


def message(reader: Reader, number: int) -> Locator:
    return reader.page.locator(f"#m-{name(number)}")


def first(reader: Reader) -> int:
    """Return the number of the first message in the page."""
    shown = reader.page.locator(".message").first.get_attribute("data-id") or ""
    return int(shown.removeprefix("msg_")[:12], 16) - 0xABC00000


def test_the_page_begins_with_the_newest_messages_and_older_ones_come_by_scrolling(
    shared: Shared, reader: Reader
) -> None:
    reader.open(shared)
    begun = first(reader)
    assert 0 < begun < MESSAGES
    expect(message(reader, MESSAGES - 1)).to_be_attached()
    expect(reader.page.locator("#earlier")).to_contain_text(f"{begun:,} earlier messages are not on this page")
    reader.page.mouse.move(500, 400)
    for _ in range(600):
        reader.page.mouse.wheel(0, -2_000)
        if first(reader) == 0:
            break
        reader.page.wait_for_timeout(50)
    expect(message(reader, 0)).to_be_attached(timeout=PATIENCE)
    expect(reader.page.locator("#earlier")).to_be_hidden()
    numbers = reader.page.eval_on_selector_all(".message", "nodes => nodes.map(node => node.dataset.id)")
    assert numbers == [name(number) for number in range(len(numbers))]
    assert not any("/items" in address for address in reader.asked)


def test_a_link_into_an_old_turn_leads_there_and_on_to_the_newest(shared: Shared, reader: Reader) -> None:
    reader.page.goto(f"{reader.origin}{shared.path}#p-{name(300)}/prt_1")
    expect(reader.page.locator(".is-target")).to_contain_text("mark300x", timeout=PATIENCE)
    expect(reader.page.locator(".is-target")).to_be_in_viewport()
    reader.is_told("Live")
    shared.publish(part(name(300), "prt_2", "text", text="a late word here"))
    reader.sees("a late word here")
    shared.publish(part(name(MESSAGES - 1), "prt_2", "text", text="a late word at the end"))
    reader.page.locator("#latest").click(timeout=PATIENCE)
    reader.sees("a late word at the end")
    expect(reader.page.locator("#later")).to_be_hidden()


def test_the_search_finds_words_that_are_not_in_the_page(shared: Shared, reader: Reader) -> None:
    reader.open(shared)
    expect(message(reader, 77)).not_to_be_attached()
    reader.page.keyboard.press("/")
    reader.page.keyboard.type("mark77x")
    expect(reader.page.locator("#search output")).to_have_text("1 of 1", timeout=PATIENCE)
    expect(message(reader, 77)).to_be_in_viewport(timeout=PATIENCE)
    assert reader.page.evaluate("[...CSS.highlights.get('here')].map(String)") == ["mark77x"]


def test_the_list_of_prompts_is_of_the_whole_session(shared: Shared, reader: Reader) -> None:
    reader.open(shared)
    reader.page.get_by_role("button", name="Prompts").click()
    prompts = reader.page.locator("#prompts li")
    expect(prompts).to_have_count(MESSAGES // 10, timeout=PATIENCE)
    prompts.nth(40).get_by_role("link").click()
    expect(message(reader, 400)).to_be_in_viewport(timeout=PATIENCE)


def test_what_is_published_appears_at_the_end(shared: Shared, reader: Reader) -> None:
    reader.open(shared)
    reader.page.keyboard.press("G")
    expect(message(reader, MESSAGES - 1)).to_be_in_viewport(timeout=PATIENCE)
    begun = first(reader)
    shared.publish(
        part(name(5), "prt_3", "text", text="a late word at the beginning"),
        assistant(name(MESSAGES), BEGIN + MESSAGES),
        part(name(MESSAGES), "prt_1", "text", text="the very end"),
    )
    reader.sees("the very end")
    expect(message(reader, MESSAGES)).to_be_in_viewport(timeout=PATIENCE)
    assert first(reader) == begun
    expect(message(reader, 5)).not_to_be_attached()


def test_changes_of_the_whole_session_come_when_a_reader_comes_near(shared: Shared, reader: Reader) -> None:
    diff = {"file": "big.txt", "patch": "+x\n" * 30_000, "additions": 30_000, "deletions": 0}
    shared.publish(item("session_diff", [diff]))
    reader.open(shared)
    reader.page.wait_for_timeout(300)
    assert not any("/items/" in address for address in reader.asked)
    reader.page.get_by_role("link", name="Files changed").click()
    expect(reader.page.locator("#changes")).to_contain_text("big.txt", timeout=PATIENCE)


def test_a_print_says_what_is_not_in_it(shared: Shared, reader: Reader) -> None:
    reader.open(shared)
    reader.page.emulate_media(media="print")
    expect(reader.page.locator("#earlier .note")).to_be_visible()
    expect(reader.page.locator("#earlier .button")).to_be_hidden()
    expect(reader.page.locator("#tools")).to_be_hidden()


def test_after_a_long_absence_the_newest_messages_come_and_not_the_whole_session(
    shared: Shared, reader: Reader, context: BrowserContext
) -> None:
    reader.open(shared)
    context.set_offline(True)
    reader.is_told("Offline")
    numbers = range(MESSAGES, MESSAGES + 200)
    for start in (numbers[:100], numbers[100:]):
        shared.publish(*(assistant(name(n), BEGIN + n) for n in start))
        texts = [f"mark{n}x " + os.urandom(12_000).hex() for n in start]
        shared.publish(*(part(name(n), "prt_1", "text", text=t) for n, t in zip(start, texts, strict=True)))
    time.sleep(6)  # the snapshot follows within seconds
    context.set_offline(False)
    reader.is_told("Live")
    reader.page.keyboard.press("G")
    expect(message(reader, numbers[-1])).to_be_in_viewport(timeout=PATIENCE)
    shown = reader.page.eval_on_selector_all(".message", "nodes => nodes.map(node => node.dataset.id)")
    present = [int(each.removeprefix("msg_")[:12], 16) - 0xABC00000 for each in shown]
    assert present == list(range(present[0], numbers[-1] + 1)), "no message is missing between those in the page"
    assert len(present) < MESSAGES


def test_without_scripts_links_lead_through_the_session(shared: Shared, browser: Browser, stack: LocalStack) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(stack.url + shared.path)
    pages = 1
    while page.locator("#earlier a.button").is_visible():
        with page.expect_navigation():
            page.locator("#earlier a.button").click()
        pages += 1
        assert pages < 100
    assert "mark0x" in page.locator(".message").first.inner_text()
    page.locator("#later a.button").click()
    expect(page.locator("#earlier a.button")).to_be_visible()
    context.close()

"""A page that stays open for long: many updates, a tab that sleeps, and sockets that end after two hours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, WebSocketRoute, expect

from tests.integration.publisher import new_session_id
from tests.unit.sharing.conversation import Item, assistant, part, user

from .test_page import PATIENCE, Reader, Shared, watch

pytestmark = pytest.mark.e2e

UPDATES, AT_ONCE, PARTS = 10_000, 100, 50
MOST_MEMORY = 100_000_000
"""Bytes of the page's heap. It needs about ten million."""


class Stack(Protocol):
    """The parts of the deployed local stage that these tests need."""

    @property
    def url(self) -> str: ...


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    opened = browser.new_context(viewport={"width": 1000, "height": 800})
    yield opened
    opened.close()


@pytest.fixture
def reader(context: BrowserContext, stack: Stack) -> Reader:
    return watch(context.new_page(), stack.url)


@pytest.fixture
def shared(stack: Stack) -> Iterator[Shared]:
    with httpx.Client(base_url=stack.url, timeout=60) as http:
        made = http.post("/api/share", json={"sessionID": new_session_id()})
        made.raise_for_status()
        yield Shared(http, made.json()["id"], made.json()["secret"])


def growing(update: int) -> Item:
    """Return an update of one of the parts, whose text grows with each round."""
    name, rounds = update % PARTS, update // PARTS
    return part("msg_2", f"prt_{name:03}", "text", text=f"part {name}: " + " ".join(map(str, range(rounds + 1))))


@pytest.mark.slow
def test_ten_thousand_updates_leave_the_page_that_a_reload_shows(
    shared: Shared, reader: Reader, context: BrowserContext
) -> None:
    shared.publish(user(), assistant())
    reader.open(shared)
    for start in range(0, UPDATES, AT_ONCE):
        shared.publish(*[growing(update) for update in range(start, start + AT_ONCE)])
    last = UPDATES // PARTS - 1
    for name in (0, PARTS - 1):
        expect(reader.page.locator("#share")).to_contain_text(f"part {name}: 0 1 2", timeout=PATIENCE)
    expect(reader.page.get_by_text(f" {last - 1} {last}")).to_have_count(PARTS, timeout=PATIENCE)
    reader.is_told("Live")
    debugger = context.new_cdp_session(reader.page)
    debugger.send("HeapProfiler.collectGarbage")
    assert debugger.send("Runtime.getHeapUsage")["usedSize"] < MOST_MEMORY
    followed = reader.outline()
    reader.page.reload()
    reader.is_told("Live")
    assert reader.outline() == followed
    assert reader.complaints == []


def test_a_tab_that_slept_catches_up(shared: Shared, reader: Reader, context: BrowserContext) -> None:
    shared.publish(user(), part("msg_1", "prt_1", "text", text="before"))
    reader.open(shared)
    debugger = context.new_cdp_session(reader.page)
    debugger.send("Page.setWebLifecycleState", {"state": "frozen"})
    shared.publish(part("msg_1", "prt_2", "text", text="in the night"))
    debugger.send("Page.setWebLifecycleState", {"state": "active"})
    reader.sees("in the night")
    shared.publish(part("msg_1", "prt_3", "text", text="in the morning"))
    reader.sees("in the morning")
    reader.is_told("Live")
    assert reader.complaints == []


def test_a_socket_that_ends_after_two_hours_is_followed_by_another_one(shared: Shared, reader: Reader) -> None:
    sockets: list[WebSocketRoute] = []

    def carry(socket: WebSocketRoute) -> None:
        socket.connect_to_server()
        sockets.append(socket)

    reader.page.route_web_socket("**/live", carry)
    shared.publish(user(), part("msg_1", "prt_1", "text", text="before"))
    reader.open(shared)
    reader.page.locator("#share .part").first.evaluate("(node) => { node.dataset.seen = 'yes' }")
    # API Gateway ends each socket so, two hours after it began.
    sockets[-1].close(code=1001, reason="Going away")
    shared.publish(part("msg_1", "prt_2", "text", text="afterwards"))
    reader.sees("afterwards")
    reader.is_told("Live")
    assert len(sockets) == 2
    # The page keeps its elements, so nothing flickers and no reader loses a place.
    expect(reader.page.locator("#share .part[data-seen=yes]")).to_have_count(1)
    assert reader.complaints == []

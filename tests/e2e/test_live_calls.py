"""The live list of calls in a real browser: calls through the gateway appear by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.upstreams import Script
from tests.upstreams.world import REQUEST, Shop, World, model_of
from tests.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.xdist_group("gateway")]


@pytest.fixture
def shop(world: World) -> Shop:
    return world.shop()


@pytest.fixture
def page(browser: Browser, shop: Shop) -> Iterator[Any]:
    """Return the page of calls of a workspace, which fails on errors of its scripts."""
    url = shop.world.stack.url
    context = browser.new_context()
    context.add_cookies([{"name": "opencode_session", "value": shop.owner.cookie, "url": url}])
    page, errors = context.new_page(), list[str]()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{url}/console/{shop.workspace}/calls")
    yield page
    assert errors == []
    context.close()


def call(shop: Shop) -> str:
    """Make a model call; return the id of its event."""
    script = Script()
    body = {"model": model_of("chat"), "messages": [{"role": "user", "content": script.prompt()}]}
    sent = {"authorization": f"Bearer {shop.key}", REQUEST: script.tag}
    shop.post("/zen/v1/chat/completions", body, sent).raise_for_status()
    return shop.event(script).id


def rows(page: Any) -> Any:
    return page.locator("#calls tbody tr")


def test_a_call_and_a_refusal_appear_without_a_reload(page: Any, shop: Shop) -> None:
    assert page.get_by_text("No call from").is_visible()
    page.get_by_role("button", name="Live").click()
    page.get_by_text("Live. New calls appear by themselves.").wait_for()
    made = call(shop)
    page.locator(f'[data-key$="/{made}"]').wait_for(timeout=60_000)
    assert not page.get_by_text("No call from").is_visible()
    refused = {"model": "unknown", "messages": [{"role": "user", "content": "Hello"}]}
    assert shop.post("/zen/v1/chat/completions", refused).status_code >= 400
    until(lambda: rows(page).count() == 2)
    assert "refused" in rows(page).first.inner_text()
    assert "new call" in page.locator("[data-news]").text_content()


def test_a_paused_list_stays_as_it_is_and_catches_up_later(page: Any, shop: Shop) -> None:
    switch = page.get_by_role("button", name="Live")
    switch.click()
    first = call(shop)
    page.locator(f'[data-key$="/{first}"]').wait_for(timeout=60_000)
    switch.click()
    assert switch.get_attribute("aria-pressed") == "false"
    asked = list[str]()
    page.on("request", lambda request: asked.append(request.url))
    second = call(shop)
    until(lambda: shop.owner.http.get(f"{shop.path}/usage/events/{second}").is_success)
    assert (asked, rows(page).count()) == ([], 1)
    switch.click()
    page.locator(f'[data-key$="/{second}"]').wait_for(timeout=60_000)
    assert rows(page).count() == 2


def test_the_list_says_that_it_is_disconnected_goes_on_and_ends_with_the_session(page: Any, shop: Shop) -> None:
    page.get_by_role("button", name="Live").click()
    page.context.set_offline(True)
    page.get_by_text("Disconnected. Trying again.").wait_for(timeout=60_000)
    made = call(shop)
    page.context.set_offline(False)
    page.locator(f'[data-key$="/{made}"]').wait_for(timeout=60_000)
    page.get_by_text("Live. New calls appear by themselves.").wait_for()
    page.context.clear_cookies()
    page.get_by_text("You are signed out. Reload the page to sign in.").wait_for(timeout=60_000)
    assert page.get_by_role("button", name="Live").get_attribute("aria-pressed") == "false"


def test_without_scripts_there_is_no_switch(browser: Browser, shop: Shop) -> None:
    context = browser.new_context(java_script_enabled=False)
    url = shop.world.stack.url
    context.add_cookies([{"name": "opencode_session", "value": shop.owner.cookie, "url": url}])
    page = context.new_page()
    page.goto(f"{url}/console/{shop.workspace}/calls")
    assert page.get_by_text("No call from").is_visible()
    assert not page.locator("#live").is_visible()
    context.close()

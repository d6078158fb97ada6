"""Comments on lines, in real browsers: by keyboard and live, by touch on a phone, and without scripts."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from local.stack import LocalStack
from tests.integration.projected import People, share_as
from tests.integration.publisher import message, new_session_id, part, session

from .test_gallery import PHONE, PICTURES, violations
from .test_owner_page import PATIENCE, Reader

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
PATCH = """--- src/app.py
+++ src/app.py
@@ -38,4 +38,4 @@
 def total(items):
     result = 0
-    return 0
+    return result
 # end
"""


@pytest.fixture
def people(stack: LocalStack) -> People:
    return People(stack)


def edit(patch: str = PATCH) -> dict[str, Any]:
    state = {"status": "completed", "input": {"filePath": "src/app.py"}, "metadata": {"diff": patch}}
    return {
        "type": "part",
        "data": {"id": "prt_1", "messageID": "msg_1", "type": "tool", "tool": "edit", "state": state},
    }


def test_a_comment_on_a_line_is_live_lasts_and_becomes_outdated(
    stack: LocalStack, people: People, browser: Browser
) -> None:
    workspace = people.workspace()
    owner, colleague = people.member(workspace), people.member(workspace, "viewer")
    share = share_as(stack, owner, workspace, new_session_id())
    share.sync(session(share.session_id, "Fix the total"), message("1"), edit())
    assert share.change(owner, mode="workspace").status_code == 200
    url = f"{stack.url}/share/{share.id}"
    mine, theirs = Reader(browser, stack, owner), Reader(browser, stack, colleague)
    page, other = mine.open(url), theirs.open(url)
    for each in (page, other):
        expect(each.locator("#status")).to_have_text("Live", timeout=PATIENCE)
        each.locator(".tool > summary").click()

    other.get_by_role("button", name="Comment on line 38, new side").focus()
    for _ in range(2):
        other.keyboard.press("ArrowDown")
    expect(other.get_by_role("button", name="Comment on line 40, old side")).to_be_focused()
    other.keyboard.press("ArrowDown")
    other.keyboard.press("Enter")
    expect(other.locator(".line-form-place")).to_have_text("On line 40 of src/app.py")
    other.keyboard.type("Is this the sum?")
    other.locator(".line-form").get_by_role("button", name="Comment").click()
    expect(other.get_by_role("button", name="Comment on line 40, new side")).to_be_focused()
    expect(other.locator(".line.added + .line-row")).to_contain_text("Is this the sum?")
    expect(page.locator(".line.added + .line-row")).to_contain_text("Is this the sum?", timeout=PATIENCE)

    page.reload()
    expect(page.locator("#status")).to_have_text("Live", timeout=PATIENCE)
    page.locator(".comment-list").get_by_role("link", name="line 40 of src/app.py").click()
    expect(page.locator(".line-row article")).to_be_focused()
    address = re.compile(f"/share/{share.id}/comments/")
    page.route(address, lambda route: route.fulfill(status=503))
    page.locator(".line-row").get_by_role("button", name="Resolve").click()
    expect(page.locator(".line-row").get_by_role("alert")).to_have_text("The comment was not changed. Try again.")
    page.unroute(address)
    mine.errors.clear()  # the browser reports the status
    page.locator(".line-row").get_by_role("button", name="Resolve").click()
    expect(page.locator(".line-row").get_by_role("button", name="Open again")).to_be_focused()
    expect(other.locator(".line-row")).to_contain_text("resolved", timeout=PATIENCE)

    other.get_by_role("button", name="Comment on line 39, new side").click()
    other.get_by_role("button", name="Comment on line 41, new side").click(modifiers=["Shift"])
    other.locator(".line-form textarea").fill("A draft")
    share.sync(edit(PATCH.replace("return result", "return sum(items)")))
    expect(other.locator(".line.added")).to_contain_text("return sum(items)", timeout=PATIENCE)
    expect(other.locator(".line-row")).to_have_count(0)
    expect(other.locator(".comment-list > li")).to_have_class(re.compile("outdated"))
    expect(other.locator(".line-form textarea")).to_have_value("A draft")
    expect(other.locator(".line-form .problem")).to_contain_text("These lines have changed")
    assert mine.errors == []
    assert theirs.errors == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_line_is_commented_on_by_touch_on_a_phone(
    stack: LocalStack, people: People, browser: Browser, theme: Any
) -> None:
    workspace = people.workspace()
    owner = people.member(workspace)
    share = share_as(stack, owner, workspace, new_session_id())
    changed = {"file": "src/app.py", "patch": PATCH, "additions": 1, "deletions": 1}
    share.sync(session(share.session_id, "Fix the total"), message("1"), {"type": "session_diff", "data": [changed]})
    assert share.change(owner, mode="workspace").status_code == 200
    width, height = PHONE
    context = browser.new_context(
        viewport={"width": width, "height": height}, has_touch=True, is_mobile=True, color_scheme=theme
    )
    context.add_cookies([{"name": "opencode_session", "value": owner.cookie, "url": stack.url}])
    page = context.new_page()
    page.goto(f"{stack.url}/share/{share.id}")
    expect(page.locator("#status")).to_have_text("Live", timeout=PATIENCE)
    page.locator(".change > summary").tap()
    number = page.get_by_role("button", name="Comment on line 40, new side")
    box = number.bounding_box()
    assert box
    assert min(box["width"], box["height"]) >= 24
    number.tap()
    page.get_by_label("Last line", exact=True).fill("41")
    expect(page.locator(".line-form-place")).to_have_text("On lines 40 to 41 of src/app.py")
    page.locator(".line-form textarea").fill("Is this the sum?")
    assert violations(page) == []
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"line-form-{width}-{theme}.png")
    page.locator(".line-form").get_by_role("button", name="Comment").tap()
    expect(page.locator(".line-row")).to_contain_text("Is this the sum?")
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    assert violations(page) == []
    page.screenshot(path=PICTURES / f"line-row-{width}-{theme}.png", full_page=True)
    context.close()


def test_a_line_of_code_is_commented_on_without_scripts(stack: LocalStack, people: People, browser: Browser) -> None:
    workspace = people.workspace()
    owner = people.member(workspace)
    share = share_as(stack, owner, workspace, new_session_id())
    code = "Look:\n\n```python\nfor each in range(3):\n    print(each)\n```\n"
    share.sync(session(share.session_id, "Print"), message("1"), part("1", code))
    assert share.change(owner, mode="workspace").status_code == 200
    context = browser.new_context(java_script_enabled=False)
    context.add_cookies([{"name": "opencode_session", "value": owner.cookie, "url": stack.url}])
    page = context.new_page()
    page.goto(f"{stack.url}/share/{share.id}")
    page.get_by_text("Comment on lines of code, of an output or of a change").click()
    form = page.locator(".line-choices form")
    form.get_by_label("First line").fill("2")
    form.get_by_label("Comment", exact=True).fill("Why print?")
    with page.expect_navigation():
        form.get_by_role("button", name="Comment").click()
    comment = page.locator(".comment-list > li")
    expect(comment).to_contain_text("line 2 of block 1")
    expect(comment).to_contain_text("print(each)")
    expect(comment).to_contain_text("Why print?")
    context.close()

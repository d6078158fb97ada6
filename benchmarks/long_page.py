"""The page of a long session in Chromium: first byte, first paint, memory of the tab, scrolling, links, search."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, CDPSession, Page, async_playwright, expect

from benchmarks.loading import SETTLE_SECONDS
from benchmarks.prose import prose
from benchmarks.rooms import Share
from benchmarks.summary import percentile
from tests.e2e.browser import FLAGS, installed_browser

Json = dict[str, Any]
BATCH_BYTES = 3_000_000
TURN = 10
"""Messages of a turn: a prompt, and answers of five parts."""
BEGIN = 1_795_395_749_173
OPENINGS = 5
WHEEL, STEPS, STEP_MS = 600, 150, 30
"""Pixels of a turn of the wheel, their number, and the pause between two."""
PATIENCE_MS = 120_000
_WATCH = """() => {
  window.watched = { tasks: [], frames: [] }
  new PerformanceObserver((list) => list.getEntries().forEach((each) => watched.tasks.push(each.duration)))
    .observe({ type: "longtask" })
  let last = performance.now()
  const frame = (now) => { watched.frames.push(now - last); last = now; requestAnimationFrame(frame) }
  requestAnimationFrame(frame)
}"""
_TIMES = """() => {
  const [page] = performance.getEntriesByType("navigation")
  const [paint] = performance.getEntriesByName("first-contentful-paint")
  return { first_byte_ms: page.responseStart, first_paint_ms: paint?.startTime ?? 0, bytes: page.encodedBodySize }
}"""


def session_items(session: str, parts: int) -> Iterator[Json]:
    """Yield a session of about ``parts`` parts with 4 KB each: prose, code, commands, changes."""
    about = {"id": session, "title": f"A session of {parts:,} parts", "version": "1", "time": {"created": BEGIN}}
    yield {"type": "session", "data": about}
    number, made = 0, 0
    while made < parts:
        name = message_name(number)
        is_prompt = number % TURN == 0
        time_ = {"created": BEGIN + number * 1000, "completed": BEGIN + number * 1000 + 900}
        role = "user" if is_prompt else "assistant"
        yield {"type": "message", "data": {"id": name, "sessionID": session, "role": role, "time": time_}}
        for position, data in enumerate(
            [{"type": "text", "text": prose(300, number)}] if is_prompt else _answer(number)
        ):
            yield {
                "type": "part",
                "data": {"id": f"prt_{position:08}", "messageID": name, "sessionID": session, **data},
            }
            made += 1
        number += 1


def _answer(number: int) -> list[Json]:
    words = prose(6_000, number)
    lines = [words[at : at + 70] for at in range(0, len(words), 70)]
    changed = "\n".join((" +-"[position % 3]) + line for position, line in enumerate(lines[:60]))
    diff = f"Index: a.py\n--- a.py\n+++ a.py\n@@ -1,40 +1,40 @@\n{changed}\n"
    tools = [
        ("bash", {"input": {"command": "make test"}, "output": "\n".join(lines), "metadata": {"exit": 0}}),
        ("edit", {"input": {"filePath": "a.py"}, "output": "", "metadata": {"diff": diff}}),
        ("read", {"input": {"filePath": "b.py"}, "output": "\n".join(lines[:60])}),
    ]
    return [
        {
            "type": "text",
            "text": f"The mark of this answer is mark{number}x.\n\n{words[:2_500]}\n\n```python\n{words[:600]}\n```",
        },
        *({"type": "tool", "tool": name, "state": {"status": "completed", **state}} for name, state in tools),
        {"type": "step-finish", "reason": "stop"},
    ]


def message_name(number: int) -> str:
    """Return the id of a message."""
    return f"msg_{0xABC00000 + number:012x}Aa"


async def fill(share: Share, parts: int) -> int:
    """Publish a session and let its snapshot settle; return its bytes."""
    batch: list[Json] = []
    size = total = 0
    for item in session_items(share.session, parts):
        batch.append(item)
        size += len(str(item))
        if size > BATCH_BYTES:
            await share.sync(batch)
            batch, total, size = [], total + size, 0
    await share.sync(batch)
    await asyncio.sleep(4 * SETTLE_SECONDS)
    return total + size


async def measure(share: Share, parts: int) -> Json:
    """Open the page several times, then scroll up, follow a link into the middle, and search for words there."""
    address = f"{share.url}/share/{share.id}"
    middle = parts // 5 // 2
    async with _chromium() as browser:
        openings = [await _opening(browser, address) for _ in range(OPENINGS)]
        page, session = await _tab(browser)
        await page.goto(address)
        await expect(page.locator("#status")).to_have_text("Live", timeout=PATIENCE_MS)
        opened = await _memory(browser, session)
        scrolling = await _scroll(page)
        scrolled = await _memory(browser, session)
        await page.close()
        link_ms = await _link(browser, f"{address}#m-{message_name(middle)}")
        search_ms = await _search(browser, address, f"mark{middle - middle % TURN + 1}x")
    return {
        "parts": parts,
        **{name: round(percentile([each[name] for each in openings[1:]], 50), 1) for name in openings[0]},
        "cold_first_byte_ms": round(openings[0]["first_byte_ms"], 1),
        "tab_mb": max(opened["tab_mb"], scrolled["tab_mb"]),
        "opened": opened,
        "scrolled": scrolled,
        **scrolling,
        "link_ms": link_ms,
        "search_ms": search_ms,
    }


@asynccontextmanager
async def _chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        path = await asyncio.to_thread(installed_browser, Path(playwright.chromium.executable_path))
        browser = await playwright.chromium.launch(executable_path=path, args=FLAGS)
        try:
            yield browser
        finally:
            await browser.close()


async def _tab(browser: Browser) -> tuple[Page, CDPSession]:
    context = await browser.new_context(viewport={"width": 1280, "height": 900})
    page = await context.new_page()
    return page, await context.new_cdp_session(page)


async def _opening(browser: Browser, address: str) -> Json:
    page, _ = await _tab(browser)
    began = time.monotonic()
    await page.goto(address)
    await expect(page.locator("#status")).to_have_text("Live", timeout=PATIENCE_MS)
    live = (time.monotonic() - began) * 1000
    times = await page.evaluate(_TIMES)
    await page.close()
    return {**times, "live_ms": live}


async def _memory(browser: Browser, session: CDPSession) -> Json:
    """Return the private memory of the tab's process and its JavaScript heap, after a collection, and its nodes."""
    await session.send("HeapProfiler.collectGarbage")
    await session.send("Performance.enable")
    metrics = {each["name"]: each["value"] for each in (await session.send("Performance.getMetrics"))["metrics"]}
    processes = await (await browser.new_browser_cdp_session()).send("SystemInfo.getProcessInfo")
    tabs = [_private_mb(each["id"]) for each in processes["processInfo"] if each["type"] == "renderer"]
    return {"tab_mb": max(tabs), "heap_mb": round(metrics["JSHeapUsedSize"] / 1e6, 1), "nodes": int(metrics["Nodes"])}


def _private_mb(pid: int) -> float:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    kilobytes = sum(int(found) for found in re.findall(r"^Private_\w+:\s+(\d+) kB", text, re.MULTILINE))
    return round(kilobytes / 1000, 1)


async def _scroll(page: Page) -> Json:
    """Scroll up from the end of the page."""
    await page.keyboard.press("G")
    await page.wait_for_timeout(1_000)
    await page.evaluate(_WATCH)
    await page.mouse.move(640, 450)
    for _ in range(STEPS):
        await page.mouse.wheel(0, -WHEEL)
        await page.wait_for_timeout(STEP_MS)
    watched = await page.evaluate("watched")
    tasks, frames = watched["tasks"], watched["frames"]
    return {
        "long_tasks": len(tasks),
        "longest_task_ms": round(max(tasks, default=0)),
        "frame_p50_ms": round(percentile(frames, 50), 1),
        "frame_p99_ms": round(percentile(frames, 99), 1),
    }


async def _link(browser: Browser, address: str) -> float:
    page, _ = await _tab(browser)
    began = time.monotonic()
    await page.goto(address)
    await expect(page.locator(".is-target")).to_be_in_viewport(timeout=PATIENCE_MS)
    taken = (time.monotonic() - began) * 1000
    await page.close()
    return round(taken, 1)


async def _search(browser: Browser, address: str, words: str) -> float:
    page, _ = await _tab(browser)
    await page.goto(address)
    await expect(page.locator("#status")).to_have_text("Live", timeout=PATIENCE_MS)
    await page.keyboard.press("/")
    await page.keyboard.insert_text(words)
    began = time.monotonic()
    await expect(page.locator("#search output")).to_have_text("1 of 1", timeout=PATIENCE_MS)
    taken = (time.monotonic() - began) * 1000
    await page.close()
    return round(taken, 1)

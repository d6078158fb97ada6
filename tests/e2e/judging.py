"""Outside judges of a page: axe, the browser's own complaints, its width on a phone, and its weight."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Request, Response
from playwright.sync_api import Page as Tab

ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
PICTURES = ROOT / ".local" / "screenshots"
PATIENCE_MS = 60_000
HEAVIEST = 150_000
"""Bytes of a page with its files, as they are sent, without images."""
TALLEST = 6_000
"""Pixels of a picture. The picture of a longer page shows its beginning."""
_RUN_AXE = """async () => (await axe.run(document, {
  resultTypes: ["violations"],
  rules: {"target-size": {enabled: true}},
})).violations"""
_PREPARE = """() => {
  document.querySelectorAll("main details").forEach((each) => (each.open = true))
  for (const each of document.querySelectorAll("body *:not(dialog, dialog *)")) {
    const { contentVisibility, position } = getComputedStyle(each)
    if (["fixed", "sticky"].includes(position)) each.style.position = "static"
    if (contentVisibility === "auto") each.style.contentVisibility = "visible"
  }
}"""
"""Open what is folded. Let nothing stay on the screen: it covers targets until a reader scrolls.
Lay out what is not in view."""
_ID = re.compile(r"\b[a-z]+_[0-9A-Za-z]{16,}|(?<=/)[0-9A-Za-z_-]{22}\b|(?<=/)[A-Z]+-[0-9-]+|(?<=/)\d+\b")


@dataclass(frozen=True)
class Look:
    """The size of the window and the theme in which a page is looked at."""

    width: int
    height: int
    theme: Literal["light", "dark"]


LOOKS: Mapping[str, Look] = {
    "desktop-light": Look(1280, 900, "light"),
    "desktop-dark": Look(1280, 900, "dark"),
    "phone-light": Look(390, 844, "light"),
    "phone-dark": Look(390, 844, "dark"),
}


def violations(page: Tab) -> list[dict[str, Any]]:
    """Return the rules of axe that the page breaks, also that of WCAG 2.2 on the size of targets, with the elements."""
    page.evaluate(AXE.read_text())
    found: list[dict[str, Any]] = page.evaluate(_RUN_AXE)
    return [{"id": each["id"], "nodes": [node["html"][:200] for node in each["nodes"][:3]]} for each in found]


def kind(address: str) -> str:
    """Return an address with stars for ids and numbers, and only the names of its query: pages of one kind share it."""
    parts = urlsplit(address)
    names = "&".join(sorted({name for name, _ in parse_qsl(parts.query)}))
    return _ID.sub("*", parts.path) + (f"?{names}" if names else "")


class Judge:
    """Opens pages in a browser of one person, and collects their faults.

    A page is loaded once, and looked at in several sizes and themes.
    """

    def __init__(
        self,
        browser: Browser,
        origin: str,
        cookie: str = "",
        *,
        looks: Mapping[str, Look] = LOOKS,
        who: str = "visitor",
        language: str = "en-US",
        heaviest: int = HEAVIEST,
    ) -> None:
        """``cookie`` is that of the person's session; ``who`` names them in faults and pictures."""
        self.faults: list[str] = []
        self.weights: dict[str, int] = {}
        self.origin = origin
        self._who = who
        self._looks = looks
        self._heaviest = heaviest
        self._context = browser.new_context(locale=language)
        if cookie:
            self._context.add_cookies([{"name": "opencode_session", "value": cookie, "url": origin}])
        self.tab = self._context.new_page()
        self._cache = self._context.new_cdp_session(self.tab)
        # Each page is weighed as for a reader who comes for the first time.
        self._cache.send("Network.enable")
        self._cache.send("Network.setCacheDisabled", {"cacheDisabled": True})
        self._complaints: list[str] = []
        self._sent: list[Request] = []
        self._watch()

    def open(self, path: str, status: int = 200) -> list[str]:
        """Load a page, judge it, and return the addresses on the same site that it links to."""
        answer = self.tab.goto(self.origin + path, timeout=PATIENCE_MS)
        if answer is None or answer.status != status:
            self.faults.append(f"{self._who} {path}: status {answer.status if answer else 0}, not {status}")
        self.look(kind(path))
        found: list[str] = self.tab.evaluate("() => [...document.links].map((link) => link.href.split('#')[0])")
        return [each.removeprefix(self.origin) for each in found if each.startswith(f"{self.origin}/")]

    def look(self, name: str) -> None:
        """Judge the page that is open."""
        self.tab.wait_for_load_state("networkidle", timeout=PATIENCE_MS)
        self._weigh(name)
        self.tab.evaluate(_PREPARE)
        found: dict[str, list[str]] = {complaint: [] for complaint in self._complaints}
        for title, look in self._looks.items():
            for fault in self._faults_of(look, f"{self._who}{name}-{title}"):
                found.setdefault(fault, []).append(title)
        self.faults += [f"{self._who} {name} {', '.join(titles)}: {fault}" for fault, titles in found.items()]
        self._complaints.clear()

    def close(self) -> None:
        """Close the tab and its browser context."""
        self._context.close()

    def _faults_of(self, look: Look, picture: str) -> list[str]:
        self.tab.set_viewport_size({"width": look.width, "height": look.height})
        self.tab.emulate_media(color_scheme=look.theme)
        self._picture(picture)
        wide: int = self.tab.evaluate("() => document.documentElement.scrollWidth")
        found = [f"axe {each['id']}: {each['nodes']}" for each in violations(self.tab)]
        return found + ([f"{wide} pixels wide"] if wide > look.width else [])

    def _weigh(self, name: str) -> None:
        total = 0
        for request in self._sent:
            if request.resource_type != "image":
                sizes = request.sizes()
                total += sizes["responseBodySize"] + sizes["responseHeadersSize"]
        self.weights[name] = total
        if total > self._heaviest:
            self._complaints.append(f"{total:,} bytes without images")

    def _picture(self, name: str) -> None:
        folder = PICTURES / "pages"
        folder.mkdir(parents=True, exist_ok=True)
        tall: int = self.tab.evaluate("() => document.documentElement.scrollHeight")
        file = folder / f"{re.sub('[^a-z0-9]+', '-', name.replace('*', 'one').lower())}.png"
        self.tab.screenshot(path=file, full_page=tall <= TALLEST)

    def _watch(self) -> None:
        self.tab.on("console", self._hear)
        self.tab.on("pageerror", lambda error: self._complaints.append(str(error)))
        self.tab.on("request", self._begin)
        self.tab.on("requestfinished", lambda request: self._sent.append(request))
        self.tab.on("requestfailed", self._fail)
        self.tab.on("response", self._receive)

    def _hear(self, said: ConsoleMessage) -> None:
        # The status of an answer is judged where it arrives.
        if said.type == "error" and not said.text.startswith("Failed to load resource"):
            self._complaints.append(f"console: {said.text}")

    def _begin(self, request: Request) -> None:
        if request.is_navigation_request():
            self._sent.clear()
        if not request.url.startswith((self.origin, "data:", "blob:")):
            self._complaints.append(f"request to {request.url}")

    def _fail(self, request: Request) -> None:
        # A navigation ends requests of the page before.
        if request.failure != "net::ERR_ABORTED":
            self._complaints.append(f"{request.url}: {request.failure}")

    def _receive(self, response: Response) -> None:
        if response.status >= 400 and not response.request.is_navigation_request():
            self._complaints.append(f"{response.url}: status {response.status}")

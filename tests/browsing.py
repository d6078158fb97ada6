"""A browser without scripts. It keeps cookies, and sends forms with the headers of a browser."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

TIMEOUT = 90.0  # seconds; concurrent requests start environments of functions, which is slow on a busy machine


class Form:
    """One form of a page, with its initial values."""

    def __init__(self, attributes: Mapping[str, str]) -> None:
        self.action = attributes.get("action", "")
        self.method = attributes.get("method", "get").upper()
        self.fields: dict[str, str] = {}


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.links: list[str] = []
        self.text: list[str] = []
        self._typing = ""
        """The name of the text area or select that the parser is in."""
        self._chosen = False
        self._first = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(attributes))
        elif tag == "input" and self.forms and "name" in attributes:
            if attributes.get("type") != "checkbox" or "checked" in attributes:
                self.forms[-1].fields[attributes["name"]] = attributes.get("value", "")
        elif tag in {"select", "textarea"} and self.forms and "name" in attributes:
            self._typing, self._chosen = attributes["name"], tag == "textarea"
            self._first = True
            self.forms[-1].fields[self._typing] = ""
        elif tag == "option" and self._typing:
            wanted, self._first = self._first or "selected" in attributes, False
            self._chosen = wanted and "value" not in attributes
            if wanted and "value" in attributes:
                self.forms[-1].fields[self._typing] = attributes["value"]
        elif tag == "a" and "href" in attributes:
            self.links.append(attributes["href"])

    def handle_endtag(self, tag: str) -> None:
        if tag in {"select", "textarea"}:
            self._typing = ""

    def handle_data(self, data: str) -> None:
        if self._typing and self._chosen:
            self.forms[-1].fields[self._typing] = data.removeprefix("\n")
        self.text.append(data)


class Forms(dict[str, Form]):
    """The forms of a page by their action. One that is missing says which page was shown instead."""

    def __init__(self, forms: list[Form], page: str) -> None:
        super().__init__({form.action: form for form in forms})
        self._page = page

    def __missing__(self, action: str) -> Form:
        raise AssertionError(f"no form {action}, only {', '.join(self)}; the page: {self._page}")


class Page:
    """A page in the browser."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self.status = answer.status_code
        self.path = answer.url.raw_path.decode()
        reader = _Reader()
        if answer.headers.get("content-type", "").startswith("text/html"):
            reader.feed(answer.text)
        self.links = reader.links
        self.text = re.sub(r"\s+", " ", " ".join(reader.text)).strip()
        self.forms = Forms(reader.forms, f"{self.status} {self.path} {self.text[:1000]}")


class Browser:
    """One person's browser on ``url``. ``address`` is its loopback address."""

    def __init__(self, url: str, address: str = "127.0.0.1") -> None:
        transport = httpx.HTTPTransport(local_address=address)
        self.http = httpx.Client(base_url=url, transport=transport, timeout=TIMEOUT, follow_redirects=False)
        self.http.headers["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
        self.url = url

    def open(self, path: str, **options: Any) -> Page:
        """Open a page and follow redirects, also to other sites."""
        return self._follow(self.http.get(path, headers={"Sec-Fetch-Site": "none"}, **options))

    def go(self, path: str) -> httpx.Response:
        """Open a page without following redirects."""
        return self.http.get(path, headers={"Sec-Fetch-Site": "none"})

    def submit(self, page: Page, action: str, site: str = "same-origin", **fields: str) -> Page:
        """Fill in a form of ``page`` and send it."""
        form = page.forms[action]
        filled = {**form.fields, **fields}
        headers = {"Sec-Fetch-Site": site, "Origin": self.url if site == "same-origin" else "https://evil.example"}
        if form.method == "GET":
            return self._follow(self.http.get(action, params=filled, headers=headers))
        return self._follow(self.http.post(action, data=filled, headers=headers))

    def _follow(self, answer: httpx.Response) -> Page:
        for _ in range(8):
            if not answer.is_redirect:
                break
            target = urljoin(str(answer.url), answer.headers["location"])
            ours = urlsplit(target).netloc == urlsplit(self.url).netloc
            if not ours and "/callback" in target and not target.startswith("http://localhost"):
                break
            answer = self.http.get(target)
        return Page(answer)

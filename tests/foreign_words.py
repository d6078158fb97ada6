"""English words on a page in another language."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html.parser import HTMLParser

READ_ALOUD = ("alt", "aria-label", "data-label", "placeholder", "title")
"""Attributes with text for people."""
VERBATIM = frozenset({"code", "pre", "script", "style"})
"""Elements whose text is not prose, such as ids."""
EMPTY = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
)
SAME = frozenset(
    {
        *("API", "CSV", "CI", "ID", "IP", "JSON", "Markdown", "PDF", "Parquet", "UTC", "URL", "USD", "Webhook"),
        *("Opencode", "Cloud", "opencode", "English", "Stripe", "Visa", "token", "Token"),
    }
)
"""Words that pages show in every language: names, formats and currencies."""
_WORD = re.compile(r"[A-Za-z][a-z]+(?:[A-Z][a-z]+)*|[A-Z]{2,}")
_VALUE = re.compile(r"[\w.+-]*@[\w.-]+|[\w.:*-]*[/_][\w./:*-]*|[\w-]*[0-9][\w.-]*", re.ASCII)
"""Values in a text: addresses, paths, and words with a digit, such as ids and numbers of documents."""


class _Prose(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._within: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in EMPTY:
            self._within.append(tag)
        self.texts += [value for name, value in attrs if name in READ_ALOUD and value]

    def handle_endtag(self, tag: str) -> None:
        while self._within and self._within.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not VERBATIM.intersection(self._within):
            self.texts.append(data)


def english_in(html: str, *values: str) -> list[str]:
    """Return the texts of a page with an English word in them. ``values`` are texts of people and programs."""
    prose = _Prose()
    prose.feed(html)
    return [text.strip() for text in prose.texts if {*_words(text, values)} - SAME]


def _words(text: str, values: Iterable[str]) -> list[str]:
    text = _VALUE.sub(" ", text)
    for value in values:
        text = text.replace(value, " ")
    return _WORD.findall(text)

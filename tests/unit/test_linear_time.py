"""Foreign bytes are read in linear time: 64 KB of any metacharacter cost about as much as 64 KB of plain text."""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import pkgutil
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

import opencode_cloud
from opencode_cloud.catalogue.models import Format
from opencode_cloud.contracts.access import matches
from opencode_cloud.gateway.formats import read_request, sse, text_of, upstream_fault
from opencode_cloud.gateway.formats.final import final_json, final_text
from opencode_cloud.gateway.service import token_bounds
from opencode_cloud.http.agents import describe
from opencode_cloud.keys.limits import covers
from opencode_cloud.kit import foreign_json
from opencode_cloud.kit.web_assets import words
from opencode_cloud.sharing.models import Finding, Item
from opencode_cloud.sharing.redaction.redactor import Redactor
from opencode_cloud.sharing.rendering.lenient import plain
from opencode_cloud.sharing.rendering.nodes import html
from opencode_cloud.sharing.rendering.patches import files_of, patch_nodes
from opencode_cloud.sharing.rendering.prose import prose
from opencode_cloud.sharing.rendering.terminal import terminal

SIZE = 64 * 1024
ALLOWANCE_SECONDS = 0.15
"""Processor time beyond that of plain text. A quadratic search of 64 KB takes seconds."""
PIECES = (
    *"!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ \n\r\t\x1b0aA",
    *("<script ", "</script", "<>", '\\"', '"\\', "\\\\u00", "eyJ", "eyJ-", "eyJa.", "ses_", "oc_sk_", "sk-", "data:"),
    *("\x1b[0", "\x1b]0", "--- ", "-----BEGIN ", "a-", "a.", "/a", "?key=", "claude-", "9" * 300 + "a", "session/"),
)


def repeated(piece: str) -> str:
    return (piece * (SIZE // len(piece) + 1))[:SIZE]


HOSTILE = {piece[:12]: repeated(piece) for piece in PIECES}
PLAIN = repeated("plain text ")


def processor_time(read: Callable[[str], object], text: str) -> float:
    """Return the seconds of this thread, without those of a collection of the garbage of earlier tests."""
    gc.disable()
    try:
        began = time.thread_time()
        with suppress(ValueError):
            read(text)
        return time.thread_time() - began
    finally:
        gc.enable()


def too_slow(read: Callable[[str], object]) -> list[str]:
    """Return the pieces that take too long, each measured again before it counts.

    A slow machine needs more than the allowance for a long list of results. So four times the text must also take more
    than eight times as long: a quadratic search takes sixteen times.
    """
    bound = processor_time(read, PLAIN) + ALLOWANCE_SECONDS

    def is_slow(text: str) -> bool:
        taken = processor_time(read, text)
        return taken > bound and taken > 8 * processor_time(read, text[: SIZE // 4])

    return [name for name, text in HOSTILE.items() if all(is_slow(text) for _ in "ab")]


def modules() -> Iterator[Any]:
    for found in pkgutil.walk_packages(opencode_cloud.__path__, "opencode_cloud."):
        if not found.name.endswith("__main__"):
            yield importlib.import_module(found.name)


def test_no_pattern_of_the_library_is_quadratic() -> None:
    patterns = {
        f"{module.__name__}.{name}": value
        for module in modules()
        for name, value in vars(module).items()
        if isinstance(value, re.Pattern)
    }
    assert len(patterns) > 30
    slow: dict[str, list[str]] = {}
    for name, pattern in patterns.items():
        text_of: Callable[[str], Any] = str.encode if isinstance(pattern.pattern, bytes) else str
        if pieces := too_slow(lambda text, p=pattern, of=text_of: p.sub(of(""), of(text))):
            slow[name] = pieces
    assert slow == {}


def events(text: str) -> list[bytes | None]:
    splitter = sse.Splitter()
    found = [event for at in range(0, SIZE, 1000) for event in splitter.feed(text[at : at + 1000].encode())]
    return [sse.data_of(event) for event in [*found, splitter.rest()]]


def prompt(text: str) -> int:
    """Read a model call with this prompt, and count its tokens."""
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": text}]}).encode()
    counted = token_bounds.count(text_of(read_request(Format.CHAT, body)), token_bounds.DEFAULT_TOKENIZER)
    return asyncio.run(counted)


def published(text: str) -> list[Finding]:
    """Search a published item, as a whole and as JSON within a string, for secrets."""
    item = Item(key="part/m/p", type="part", data=json.dumps({"text": text, "input": json.dumps([text])}).encode())
    return list(Redactor(b"key").redact(item).findings)


READERS: dict[str, Callable[[str], object]] = {
    "an upstream's error": lambda text: upstream_fault(500, text.encode()),
    "an upstream's error in JSON": lambda text: upstream_fault(500, b'{"error": "' + text.encode()),
    "a message": final_text,
    "a document": lambda text: final_json(text.encode()),
    "an event stream": events,
    "a client's JSON": lambda text: foreign_json.decode(b"[" * 201 + text.encode(), object),
    "a client's text": lambda text: foreign_json.decode(b"[" * 201 + b'"' + text.encode(), object),
    "a prompt": prompt,
    "a user agent": describe,
    "a sentence of a page": words,
    "a published document": published,
    "a patch": lambda text: [patch_nodes(file.lines) for file in files_of(f"@@ -1 +1 @@\n-{text}\n+{text}")],
    "the output of a terminal": lambda text: html(terminal(text)),
    "a path": plain,
    "a tool's name": lambda text: matches("*a*a*a*a*b", text),
    "a limit of a key": lambda text: covers("*a*a*a*a*b", text),
}


@pytest.mark.parametrize("reader", READERS)
def test_no_reader_of_foreign_text_is_quadratic(reader: str) -> None:
    assert too_slow(READERS[reader]) == []


MARKUP = (
    *PIECES,
    "[a](b",
    "![",
    "*a",
    "**a ",
    "~~a",
    "`a",
    "> ",
    "- ",
    "\n- a",
    "|a",
    "|a\n",
    "[a]: b\n",
    "$a",
    "&a;",
    "https://a",
)


@pytest.mark.parametrize("finished", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_markdown_takes_time_in_proportion_to_its_length(finished: bool) -> None:
    """A parser of Markdown makes many objects, so it is compared with itself: four times the text, about four times."""
    quarter = {piece: repeated(piece)[: SIZE // 8] for piece in MARKUP}

    def read(text: str) -> object:
        return prose(text, finished=finished)

    def is_slow(piece: str) -> bool:
        return processor_time(read, quarter[piece] * 4) > 10 * processor_time(read, quarter[piece]) + ALLOWANCE_SECONDS

    assert [piece for piece in MARKUP if is_slow(piece) and is_slow(piece)] == []

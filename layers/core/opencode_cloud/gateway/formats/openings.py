"""The opening of a conversation: the texts of its system and of the user's first turn.

Each request of a conversation repeats it, so it tells conversations apart where a client names no session.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, cast

from opencode_cloud.gateway.formats.models import ParsedRequest
from opencode_cloud.gateway.formats.registry import wire_format

_SYSTEM = ("system", "instructions", "systemInstruction", "system_instruction")
_WORDS = ("text", "content", "parts")
"""Members that hold the texts of a turn, in all formats. Cache marks stand beside them, and move between requests."""


def opening_of(parsed: ParsedRequest) -> str:
    """Return a hash of the opening; empty: the request has no texts before the first answer."""
    digest = hashlib.blake2b(digest_size=16)
    found = False
    for text in _opening(parsed):
        digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
        found = True
    return digest.hexdigest() if found else ""


def _opening(parsed: ParsedRequest) -> Iterator[str]:
    document = parsed.document
    for name in _SYSTEM:
        yield from _words(document.get(name))
    turns: object = document.get(wire_format(parsed.format).prompt_member)
    if not isinstance(turns, list):
        yield from _words(turns)
        return
    for turn in cast("list[object]", turns):
        yield from _words(turn)
        if isinstance(turn, dict) and cast("dict[str, Any]", turn).get("role", "user") == "user":
            return


def _words(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for part in cast("list[object]", value):
            yield from _words(part)
    elif isinstance(value, dict):
        members = cast("dict[str, object]", value)
        for name in _WORDS:
            if name in members:
                yield from _words(members[name])

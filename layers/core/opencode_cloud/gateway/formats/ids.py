"""Ids of answers and tool calls, in forms that each format accepts."""

from __future__ import annotations

import hashlib
import re
import secrets

MAXIMUM = 40
"""Characters. The shortest limit that an upstream has for ids of tool calls (OpenAI's Chat Completions)."""

_SAFE = re.compile(rf"[A-Za-z0-9_-]{{1,{MAXIMUM}}}")


def new(prefix: str) -> str:
    """Return a new id: ``prefix`` and 96 random bits."""
    return prefix + secrets.token_hex(12)


def acceptable(call: str) -> str:
    """Return a tool call's id in letters that every upstream accepts; the same for the same id, wherever it stands."""
    if _SAFE.fullmatch(call):
        return call
    return "call_" + hashlib.sha256(call.encode("utf-8", "replace")).hexdigest()[:24]


def positional(turn: int, position: int, name: str) -> str:
    """Return the id of a call that has none: by its place in the conversation, so the same in every later request."""
    return acceptable(f"call_{turn}_{position}_{name}"[:MAXIMUM])


class Unique:
    """Tells ids of calls within an answer apart: servers have been seen to give two calls the same one, or none."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def of(self, call: str) -> str:
        """Return the id under which a call is passed on: its own, unless that is taken."""
        own = new("call_") if not call or call in self._seen else call
        self._seen.add(own)
        return own

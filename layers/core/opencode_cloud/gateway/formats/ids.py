"""Ids of answers and tool calls, in forms that each format accepts."""

from __future__ import annotations

import hashlib
import os
import re

MAXIMUM = 40
"""The shortest limit of an upstream for ids of tool calls, in characters (OpenAI's Chat Completions)."""

_SAFE = re.compile(rf"[A-Za-z0-9_-]{{1,{MAXIMUM}}}")


def new(prefix: str) -> str:
    """Return a new id: ``prefix`` and 96 random bits."""
    return prefix + os.urandom(12).hex()


def acceptable(call: str) -> str:
    """Return a tool call's id in letters that every upstream accepts. The same id always gives the same result."""
    if _SAFE.fullmatch(call):
        return call
    return "call_" + hashlib.sha256(call.encode("utf-8", "replace")).hexdigest()[:24]


def positional(turn: int, position: int, name: str) -> str:
    """Return an id for a call without one, by its place in the conversation, so it is the same in later requests."""
    return acceptable(f"call_{turn}_{position}_{name}"[:MAXIMUM])


class Unique:
    """Makes ids of calls unique within an answer: some servers give two calls the same id, or none."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def of(self, call: str) -> str:
        """Return the id for a call: its own, unless another call has it."""
        own = new("call_") if not call or call in self._seen else call
        self._seen.add(own)
        return own

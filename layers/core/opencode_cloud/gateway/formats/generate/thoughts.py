"""Requests of generateContent for an upstream that cannot verify their signatures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opencode_cloud.gateway.formats.editing import edited, with_edited
from opencode_cloud.gateway.formats.generate.writing import EARLIER
from opencode_cloud.gateway.formats.sealing import UNSIGNED

_SIGNATURES = ("thoughtSignature", "thought_signature")
_CALLS = ("functionCall", "function_call")


def without_thoughts(document: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Return the members that change; empty: the conversation has no thoughts.

    From Gemini 3 on, the first call of a turn needs a signature. It gets the value that Google documents for calls of
    other models.
    """
    needed = EARLIER.search(model) is None
    given: Any = document.get("contents")
    contents = edited(given, lambda content: _unthought(content, needed=needed))
    return {} if contents == given else {"contents": contents}


def _unthought(content: dict[str, Any], *, needed: bool) -> dict[str, Any] | None:
    if content.get("role") != "model":
        return content
    left = with_edited(content, "parts", _unsigned)
    if left is None or not needed or not isinstance(left.get("parts"), list):
        return left
    parts = list(left["parts"])
    for position, part in enumerate(parts):
        if isinstance(part, dict) and any(name in part for name in _CALLS):
            parts[position] = {**part, "thoughtSignature": UNSIGNED}
            break
    return {**left, "parts": parts}


def _unsigned(part: dict[str, Any]) -> dict[str, Any] | None:
    if part.get("thought") is True:
        return None
    return {name: value for name, value in part.items() if name not in _SIGNATURES}

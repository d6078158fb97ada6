"""Requests of Responses for an upstream that cannot decrypt their reasoning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opencode_cloud.gateway.formats.editing import edited


def without_thoughts(document: Mapping[str, Any], _model: str) -> dict[str, Any]:
    """Return the members that change; empty: the input has no encrypted reasoning.

    A compaction stays, although it is encrypted too: without it the conversation would be lost.
    """
    given: Any = document.get("input")
    items = edited(given, lambda item: None if _is_encrypted(item) else item)
    return {} if items == given else {"input": items}


def _is_encrypted(item: dict[str, Any]) -> bool:
    return item.get("type") == "reasoning" and bool(item.get("encrypted_content"))

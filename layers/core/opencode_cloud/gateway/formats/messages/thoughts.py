"""Requests of Messages for an upstream that cannot verify their thoughts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from opencode_cloud.gateway.formats.editing import edited, members_of, with_edited
from opencode_cloud.gateway.formats.messages.requests import is_adaptive

_THOUGHTS = ("thinking", "redacted_thinking")
_CLEARING = "clear_thinking"
"""The beginning of the name of an edit that Anthropic takes only while the model thinks."""


def without_thoughts(document: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Return the members that change; empty: the conversation has no thoughts.

    Claude before 4.6 refuses to think while a call of a tool without its thoughts is answered. It does not think then.
    """
    given: Any = document.get("messages")
    messages = edited(given, _unthought)
    if messages == given:
        return {}
    budgeted = members_of(document.get("thinking")).get("type") == "enabled"
    quiet = budgeted and not is_adaptive(model) and _answers_a_call(messages)
    return {"messages": messages, **(_not_thinking(document) if quiet else {})}


def _unthought(message: dict[str, Any]) -> dict[str, Any] | None:
    return with_edited(message, "content", lambda block: None if block.get("type") in _THOUGHTS else block)


def _answers_a_call(messages: list[Any]) -> bool:
    blocks: object = members_of(messages[-1] if messages else None).get("content")
    each = cast("list[object]", blocks) if isinstance(blocks, list) else []
    return any(members_of(block).get("type") == "tool_result" for block in each)


def _not_thinking(document: Mapping[str, Any]) -> dict[str, Any]:
    changes: dict[str, Any] = {"thinking": None}
    if management := members_of(document.get("context_management")):
        changes["context_management"] = with_edited(
            management, "edits", lambda edit: None if str(edit.get("type")).startswith(_CLEARING) else edit
        )
    return changes

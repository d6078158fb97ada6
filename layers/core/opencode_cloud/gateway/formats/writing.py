"""Common parts of the writers of requests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from opencode_cloud.gateway.formats.models import (
    Block,
    FileBlock,
    ImageBlock,
    Malformed,
    ModelRequest,
    TextBlock,
    Thinking,
    ToolResult,
    Turn,
)
from opencode_cloud.gateway.formats.reading import Node

_EFFORTS = ((0, "none"), (4096, "low"), (16_384, "medium"))
_BUDGETS = {"minimal": 1024, "low": 4096, "medium": 10_000, "high": 24_000, "xhigh": 32_000, "max": 64_000}


def cannot_carry(node: Node, what: str = "") -> Malformed:
    """Return the error that names the part that the upstream's format cannot express."""
    subject = f"({what}) " if what else ""
    return node.wrong(f"{subject}cannot be carried over to the format of this model's upstream")


def split_results(blocks: Iterable[Block]) -> tuple[list[ToolResult], list[Block]]:
    """Return the tools' results of a turn, and its other blocks. Results come first in every format."""
    blocks = tuple(blocks)
    results = [block for block in blocks if isinstance(block, ToolResult)]
    return results, [block for block in blocks if not isinstance(block, ToolResult)]


def result_text(result: ToolResult) -> tuple[str, list[ImageBlock | FileBlock]]:
    """Return a result as text, and its pictures and files. The text marks an error, for formats that have no mark."""
    text = "\n".join(block.text for block in result.content if isinstance(block, TextBlock))
    media = [block for block in result.content if not isinstance(block, TextBlock)]
    if result.error and not text.lower().startswith("error"):
        text = f"Error: {text}"
    return text or ("(see below)" if media else ""), media


def effort_of(thinking: Thinking) -> str:
    """Return the effort nearest to a budget; empty: the model's own."""
    if thinking.effort or thinking.budget is None:
        return thinking.effort
    if thinking.budget < 0:
        return ""
    return next((effort for most, effort in _EFFORTS if thinking.budget <= most), "high")


def budget_of(thinking: Thinking) -> int | None:
    """Return the budget nearest to an effort, in tokens; None: the model's own."""
    if thinking.budget is not None:
        return thinking.budget
    return 0 if thinking.effort == "none" else _BUDGETS.get(thinking.effort)


def write_cache(members: dict[str, Any], cache: str) -> dict[str, Any]:
    """Add a cache mark to the members of a block, if its lifetime ``cache`` is not empty."""
    if cache:
        members["cache_control"] = {"type": "ephemeral"} if cache == "5m" else {"type": "ephemeral", "ttl": cache}
    return members


def in_place(request: ModelRequest) -> tuple[list[TextBlock], list[Turn]]:
    """Return the texts of the system and the other turns, for formats without a system's turn in a conversation.

    Texts before the first answer go to the front. Later ones stay where they are, as a text of the user: at the front
    they would change the beginning of the prompt, which its cache depends on.
    """
    system, turns = list(request.system), list[Turn]()
    answered = False
    for turn in request.messages:
        answered = answered or turn.role == "assistant"
        if turn.role != "system":
            turns.append(turn)
            continue
        texts = [block for block in turn.blocks if isinstance(block, TextBlock) and block.text.strip()]
        if answered:
            turns.append(Turn("user", tuple(_reminder(text) for text in texts)))
        else:
            system += texts
    return system, turns


def _reminder(text: TextBlock) -> TextBlock:
    return msgspec.structs.replace(text, text=f"<system-reminder>\n{text.text}\n</system-reminder>")


def merged(messages: Iterable[Turn]) -> list[Turn]:
    """Return messages of alternating roles: neighbours of one role become one, so that results stand together."""
    merged: list[Turn] = []
    for message in messages:
        if merged and merged[-1].role == message.role:
            merged[-1] = Turn(message.role, merged[-1].blocks + message.blocks)
        else:
            merged.append(message)
    return merged

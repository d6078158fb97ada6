"""Conversations that are made from items, as the server makes those of short sessions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from opencode_cloud.sharing.service.windows import Conversation


def whole_conversation(items: Sequence[Any], share: Any = None, ticket: str = "", seq: int = 1) -> Conversation:
    """Return the conversation of items that are not in a snapshot."""
    return Conversation(share, seq, ticket, None, cast("Any", items), lambda _chunks: [])

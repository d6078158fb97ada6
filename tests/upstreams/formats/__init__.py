"""The same answer in each format, streamed or not."""

from __future__ import annotations

from . import bedrock, chat, generate, messages, responses
from .wire import Reply, Wire

WIRES: tuple[Wire, ...] = (chat.WIRE, responses.WIRE, messages.WIRE, generate.WIRE, bedrock.WIRE)

__all__ = ["WIRES", "Reply", "Wire"]

"""Cache marks in a request. Upstreams take a few of them, each with a lifetime."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import cast

import msgspec

from opencode_cloud.gateway.formats.models import Block, ModelRequest, TextBlock, ToolDefinition, ToolResult, Turn


def with_marks(request: ModelRequest, most: int) -> ModelRequest:
    """Return a request with at most ``most`` marks, the last ones in the order of the prompt: tools, system, turns."""
    marked = [*request.tools, *request.system, *chain.from_iterable(turn.blocks for turn in request.messages)]
    over = sum(map(_marks, marked)) - most
    if over <= 0:
        return request
    budget = _Budget(over)
    return msgspec.structs.replace(
        request,
        tools=tuple(map(budget.tool, request.tools)),
        system=tuple(map(budget.text, request.system)),
        messages=tuple(Turn(turn.role, tuple(map(budget.block, turn.blocks))) for turn in request.messages),
    )


def _marks(part: Block | ToolDefinition) -> int:
    inner = sum(map(_marks, part.content)) if isinstance(part, ToolResult) else 0
    return inner + bool(getattr(part, "cache", ""))


def lifetimes(value: object) -> Iterator[str]:
    """Yield the lifetime of each mark in a body, ``5m`` or ``1h``."""
    if isinstance(value, list):
        for part in cast("list[object]", value):
            yield from lifetimes(part)
    elif isinstance(value, dict):
        members = cast("dict[str, object]", value)
        mark = members.get("cache_control")
        if isinstance(mark, dict):
            yield str(cast("dict[str, object]", mark).get("ttl") or "5m")
        for name, part in members.items():
            if name != "cache_control":
                yield from lifetimes(part)


class _Budget:
    """Removes the first marks."""

    def __init__(self, over: int) -> None:
        self._over = over

    def tool(self, tool: ToolDefinition) -> ToolDefinition:
        """Return a tool without its mark, while there are too many."""
        return msgspec.structs.replace(tool, cache="") if self._takes(tool.cache) else tool

    def text(self, text: TextBlock) -> TextBlock:
        """Return a text without its mark, while there are too many."""
        return msgspec.structs.replace(text, cache="") if self._takes(text.cache) else text

    def block(self, block: Block) -> Block:
        """Return a block without its marks, while there are too many."""
        if isinstance(block, ToolResult):
            content = tuple(
                msgspec.structs.replace(part, cache="") if self._takes(part.cache) else part for part in block.content
            )
            block = msgspec.structs.replace(block, content=content)
        return msgspec.structs.replace(block, cache="") if self._takes(getattr(block, "cache", "")) else block

    def _takes(self, mark: str) -> bool:
        taken = bool(mark) and self._over > 0
        self._over -= taken
        return taken

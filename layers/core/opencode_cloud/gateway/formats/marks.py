"""Cache marks in a request. Upstreams take a few of them, each with a lifetime."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TypeVar, cast

import msgspec

from opencode_cloud.gateway.formats.models import (
    Block,
    Choice,
    ModelRequest,
    ReasoningBlock,
    TextBlock,
    ToolCall,
    ToolDefinition,
    ToolResult,
    Turn,
)

MarkedBlock = TypeVar("MarkedBlock", bound=Block)
OWN = "5m"
"""The lifetime of the gateway's own marks: the shortest, which costs least."""


def with_own_marks(request: ModelRequest) -> ModelRequest:
    """Return a request of a client without cache marks, whose own vendor caches by itself, with marks.

    They stand at the end of the system and of the user's last two turns, so each request reads the cache that the one
    before it wrote.
    """
    if any(map(_marks, _parts(request))):
        return request
    users = [number for number, turn in enumerate(request.messages) if turn.role == "user"][-2:]
    messages = [
        Turn(turn.role, _marked_at_end(turn.blocks)) if number in users else turn
        for number, turn in enumerate(request.messages)
    ]
    system = [number for number, text in enumerate(request.system) if text.text.strip()][-1:]
    texts = [
        msgspec.structs.replace(text, cache=OWN) if number in system else text
        for number, text in enumerate(request.system)
    ]
    tools = request.tools
    if tools and not system:
        tools = (*tools[:-1], msgspec.structs.replace(tools[-1], cache=OWN))
    return msgspec.structs.replace(request, messages=tuple(messages), system=tuple(texts), tools=tools)


def is_repeated(request: ModelRequest) -> bool:
    """Tell whether other requests will repeat the prompt: those of a conversation, or of an agent that begins one.

    Tokens that are written to a cache cost more than others, so a single request must not write any.
    """
    choice = request.tool_choice
    forced = choice is not None and choice.choice in (Choice.REQUIRED, Choice.NAMED)
    answered = any(turn.role == "assistant" for turn in request.messages)
    return answered or bool(request.cache_key) or (bool(request.tools) and not forced)


def marked(blocks: tuple[MarkedBlock, ...], cache: str) -> tuple[MarkedBlock, ...]:
    """Return blocks of which the last that can have a mark has one of the lifetime ``cache``; empty: no mark."""
    places = [number for number, block in enumerate(blocks) if not isinstance(block, ReasoningBlock)]
    if not cache or not places or getattr(blocks[places[-1]], "cache", ""):
        return blocks
    last = places[-1]
    return (*blocks[:last], msgspec.structs.replace(blocks[last], cache=cache), *blocks[last + 1 :])


def _marked_at_end(blocks: tuple[Block, ...]) -> tuple[Block, ...]:
    """Return the blocks of a user's turn with a mark on the last one as it is written: results come first."""
    for results in (False, True):
        for number in reversed(range(len(blocks))):
            block = blocks[number]
            if isinstance(block, ToolResult) is not results or isinstance(block, (ToolCall, ReasoningBlock)):
                continue
            if not isinstance(block, TextBlock) or block.text.strip():
                return (*blocks[:number], msgspec.structs.replace(block, cache=OWN), *blocks[number + 1 :])
    return blocks


def _parts(request: ModelRequest) -> Iterator[Block | ToolDefinition]:
    """Yield all parts that can have a mark, in the order of the prompt."""
    yield from request.tools
    yield from request.system
    yield from chain.from_iterable(turn.blocks for turn in request.messages)


def with_marks(request: ModelRequest, most: int) -> ModelRequest:
    """Return a request with at most ``most`` marks, the last ones in the order of the prompt: tools, system, turns."""
    over = sum(map(_marks, _parts(request))) - most
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

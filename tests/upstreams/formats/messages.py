"""Anthropic's Messages."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from ..conversations import of_messages
from ..scripts import Usage
from .wire import SIGNATURE, Json, Reply, Wire, compact, named, pieces

STOPS = {"end": "end_turn", "calls": "tool_use", "length": "max_tokens", "filter": "refusal"}


def whole(reply: Reply) -> Json:
    """Write the answer in one piece."""
    content: list[Json] = []
    if reply.think:
        content.append({"type": "thinking", "thinking": reply.thought, "signature": SIGNATURE})
    if reply.words:
        content.append({"type": "text", "text": reply.text})
    for index, call in enumerate(reply.calls):
        used = {"type": "tool_use", "id": reply.call_id(index), "name": call.name, "input": call.arguments}
        content.append(used)
    told = {**usage(reply.usage), "output_tokens": reply.usage.output if reply.usage else 0}
    return {**_head(reply), "content": content, "stop_reason": STOPS[reply.stop], "usage": told}


def events(reply: Reply) -> Iterator[bytes]:
    """Write the answer piece by piece."""
    return map(named, documents(reply))


def documents(reply: Reply) -> Iterator[Json]:
    """Yield the events without framing."""
    places = itertools.count()
    told = {**usage(reply.usage), "output_tokens": 1 if reply.usage else 0}
    head = {**_head(reply), "content": [], "stop_reason": None, "usage": told}
    yield {"type": "message_start", "message": head}
    if reply.think:
        deltas = [{"type": "thinking_delta", "thinking": word} for word in reply.think]
        deltas.append({"type": "signature_delta", "signature": SIGNATURE})
        yield from _block(next(places), {"type": "thinking", "thinking": "", "signature": ""}, deltas)
    yield {"type": "ping"}
    if reply.words:
        deltas = [{"type": "text_delta", "text": word} for word in reply.words]
        yield from _block(next(places), {"type": "text", "text": ""}, deltas)
    for index, call in enumerate(reply.calls):
        begun = {"type": "tool_use", "id": reply.call_id(index), "name": call.name, "input": {}}
        parts = ["", *pieces(compact(call.arguments))]
        deltas = [{"type": "input_json_delta", "partial_json": part} for part in parts]
        yield from _block(next(places), begun, deltas)
    told = {"output_tokens": reply.usage.output if reply.usage else 0}
    stop = {"stop_reason": STOPS[reply.stop], "stop_sequence": None}
    yield {"type": "message_delta", "delta": stop, "usage": told}
    yield {"type": "message_stop"}


def usage(used: Usage | None) -> Json:
    """Write the usage of the prompt. Unknown usage is written as zero, because clients require numbers."""
    used = used or Usage(input=0, output=0)
    return {
        "input_tokens": used.input,
        "cache_creation_input_tokens": used.cache_write,
        "cache_read_input_tokens": used.cache_read,
        "cache_creation": {"ephemeral_5m_input_tokens": used.cache_write, "ephemeral_1h_input_tokens": 0},
        "service_tier": "standard",
    }


def error(status: int, message: str) -> Json:
    """Write the error."""
    names = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 413: "request_too_large"}
    names |= {429: "rate_limit_error", 400: "invalid_request_error", 529: "overloaded_error"}
    what = {"type": names.get(status, "api_error"), "message": message}
    return {"type": "error", "error": what, "request_id": "req_scripted"}


def error_event() -> bytes:
    """Break off."""
    return named({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})


def too_long() -> Json:
    """Write the error for a prompt that is too long."""
    return error(400, "prompt is too long: 250000 tokens > 200000 maximum")


def _head(reply: Reply) -> Json:
    head = {"id": f"msg_{reply.id}", "type": "message", "role": "assistant", "model": reply.model}
    return {**head, "stop_sequence": None}


def _block(place: int, begun: Json, deltas: list[Json]) -> Iterator[Json]:
    yield {"type": "content_block_start", "index": place, "content_block": begun}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": place, "delta": delta}
    yield {"type": "content_block_stop", "index": place}


WIRE = Wire("messages", re.compile(r"/messages$"), of_messages, whole, events, error, error_event, too_long)

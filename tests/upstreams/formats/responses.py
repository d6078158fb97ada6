"""OpenAI's Responses."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from ..conversations import of_responses
from ..scripts import Usage
from .wire import SIGNATURE, Json, Reply, Wire, compact, named, pieces


def whole(reply: Reply) -> Json:
    """Write the answer in one piece."""
    return _response(reply, [_reasoning(reply)] * bool(reply.think) + _outputs(reply))


def events(reply: Reply) -> Iterator[bytes]:
    """Write the answer piece by piece. Each event has the next sequence number."""
    for number, event in enumerate(_events(reply)):
        yield named({"type": event["type"], "sequence_number": number, **event})


def _events(reply: Reply) -> Iterator[Json]:
    begun = {**_response(reply, []), "status": "in_progress", "usage": None, "incomplete_details": None}
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    places = itertools.count()
    if reply.think:
        yield from _reasoning_events(reply, next(places))
    for item in _outputs(reply):
        yield from (
            _message_events(reply, item, next(places))
            if item["type"] == "message"
            else _call_events(item, next(places))
        )
    final = whole(reply)
    yield {"type": f"response.{final['status']}", "response": final}


def _reasoning_events(reply: Reply, place: int) -> Iterator[Json]:
    item = _reasoning(reply)
    where = {"item_id": item["id"], "output_index": place, "summary_index": 0}
    empty = {"type": "summary_text", "text": ""}
    begun = {**item, "summary": [], "encrypted_content": ""}
    yield {"type": "response.output_item.added", "output_index": place, "item": begun}
    yield {"type": "response.reasoning_summary_part.added", **where, "part": empty}
    for word in reply.think:
        yield {"type": "response.reasoning_summary_text.delta", **where, "delta": word}
    yield {"type": "response.reasoning_summary_text.done", **where, "text": reply.thought}
    yield {"type": "response.reasoning_summary_part.done", **where, "part": item["summary"][0]}
    yield {"type": "response.output_item.done", "output_index": place, "item": item}


def _message_events(reply: Reply, item: Json, place: int) -> Iterator[Json]:
    where = {"item_id": item["id"], "output_index": place, "content_index": 0}
    empty = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    begun = {**item, "status": "in_progress", "content": []}
    yield {"type": "response.output_item.added", "output_index": place, "item": begun}
    yield {"type": "response.content_part.added", **where, "part": empty}
    for word in reply.words:
        yield {"type": "response.output_text.delta", **where, "delta": word, "logprobs": []}
    yield {"type": "response.output_text.done", **where, "text": reply.text, "logprobs": []}
    yield {"type": "response.content_part.done", **where, "part": item["content"][0]}
    yield {"type": "response.output_item.done", "output_index": place, "item": item}


def _call_events(item: Json, place: int) -> Iterator[Json]:
    where = {"item_id": item["id"], "output_index": place}
    begun = {**item, "status": "in_progress", "arguments": ""}
    yield {"type": "response.output_item.added", "output_index": place, "item": begun}
    for piece in pieces(item["arguments"]):
        yield {"type": "response.function_call_arguments.delta", **where, "delta": piece}
    done = {"name": item["name"], "arguments": item["arguments"]}
    yield {"type": "response.function_call_arguments.done", **where, **done}
    yield {"type": "response.output_item.done", "output_index": place, "item": item}


def _reasoning(reply: Reply) -> Json:
    summary = [{"type": "summary_text", "text": reply.thought}]
    return {"id": f"rs_{reply.id}", "type": "reasoning", "summary": summary, "encrypted_content": SIGNATURE}


def _outputs(reply: Reply) -> list[Json]:
    found: list[Json] = []
    if reply.words:
        part = {"type": "output_text", "text": reply.text, "annotations": [], "logprobs": []}
        status = "completed" if reply.stop in ("end", "calls") else "incomplete"
        message = {"id": f"msg_{reply.id}", "type": "message", "status": status, "role": "assistant"}
        found.append({**message, "content": [part]})
    for index, call in enumerate(reply.calls):
        head = {"id": f"fc_{reply.id}_{index}", "type": "function_call", "status": "completed"}
        head |= {"namespace": call.namespace} if call.namespace else {}
        called = {"call_id": reply.call_id(index), "name": call.tool, "arguments": compact(call.arguments)}
        found.append({**head, **called})
    return found


def _response(reply: Reply, output: list[Json]) -> Json:
    reason = {"length": "max_output_tokens", "filter": "content_filter"}.get(reply.stop)
    return {
        "id": f"resp_{reply.id}",
        "object": "response",
        "created_at": 1_764_000_000,
        "status": "incomplete" if reason else "completed",
        "background": False,
        "error": None,
        "incomplete_details": {"reason": reason} if reason else None,
        "instructions": None,
        "metadata": {},
        "model": reply.model,
        "output": output,
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": usage(reply.usage) if reply.usage else None,
    }


def usage(used: Usage) -> Json:
    """Write the usage."""
    heard = {"audio_tokens": used.audio} if used.audio else {}
    said = {"audio_tokens": used.output_audio} if used.output_audio else {}
    return {
        "input_tokens": used.prompt,
        "input_tokens_details": {"cached_tokens": used.cache_read, **heard},
        "output_tokens": used.output,
        "output_tokens_details": {"reasoning_tokens": used.reasoning, **said},
        "total_tokens": used.prompt + used.output,
    }


def error(status: int, message: str) -> Json:
    """Write the error."""
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": f"scripted_{status}"}}


def error_event() -> bytes:
    """Break off."""
    what = {"code": "server_is_overloaded", "message": "The server is overloaded", "param": None}
    return named({"type": "error", "sequence_number": 99, **what})


def too_long() -> Json:
    """Write the error for a prompt that is too long."""
    message = "Your input exceeds the context window of this model. Please adjust your input and try again."
    param = "input"
    what = {"message": message, "type": "invalid_request_error", "param": param, "code": "context_length_exceeded"}
    return {"error": what}


WIRE = Wire("responses", re.compile(r"/responses$"), of_responses, whole, events, error, error_event, too_long)

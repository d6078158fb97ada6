"""OpenAI's Chat Completions."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..conversations import of_chat
from ..scripts import Usage
from .wire import Json, Reply, Wire, compact, data, pieces

STOPS = {"end": "stop", "calls": "tool_calls", "length": "length", "filter": "content_filter"}


def whole(reply: Reply) -> Json:
    """Write the answer in one piece."""
    message: Json = {"role": "assistant", "content": reply.text or None, "refusal": None}
    if reply.think:
        message["reasoning_content"] = reply.thought
    if reply.calls:
        message["tool_calls"] = [_call(reply, index) for index in range(len(reply.calls))]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": STOPS[reply.stop]}
    head = {"id": f"chatcmpl-{reply.id}", "object": "chat.completion", "created": 1_764_000_000, "model": reply.model}
    return {**head, "choices": [choice], **({"usage": usage(reply.usage)} if reply.usage else {})}


def events(reply: Reply) -> Iterator[bytes]:
    """Write the answer piece by piece."""
    yield _chunk(reply, {"role": "assistant", "content": ""})
    for word in reply.think:
        yield _chunk(reply, {"reasoning_content": word})
    for word in reply.words:
        yield _chunk(reply, {"content": word})
    for index, call in enumerate(reply.calls):
        begun = _call(reply, index)
        yield _chunk(
            reply, {"tool_calls": [{"index": index, **begun, "function": {"name": call.name, "arguments": ""}}]}
        )
        for piece in pieces(compact(call.arguments)):
            yield _chunk(reply, {"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    yield _chunk(reply, {}, STOPS[reply.stop])
    if reply.usage and reply.usage_asked:
        yield data({**_head(reply), "choices": [], "usage": usage(reply.usage)})
    yield b"data: [DONE]\n\n"


def usage(used: Usage) -> Json:
    """Write the usage."""
    return {
        "prompt_tokens": used.prompt,
        "completion_tokens": used.output,
        "total_tokens": used.prompt + used.output,
        "prompt_tokens_details": {"cached_tokens": used.cache_read, "audio_tokens": used.audio},
        "completion_tokens_details": {"reasoning_tokens": used.reasoning, "audio_tokens": used.output_audio},
    }


def error(status: int, message: str) -> Json:
    """Write the error."""
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": f"scripted_{status}"}}


def error_event() -> bytes:
    """Write an error within a stream, as vLLM and OpenRouter do."""
    return data({"error": {"message": "The engine is overloaded", "type": "server_error", "code": 503}})


def too_long() -> Json:
    """Write the error for a prompt that is too long."""
    message = "This model's maximum context length is 200000 tokens. However, your messages resulted in 250000 tokens."
    param = "messages"
    what = {"message": message, "type": "invalid_request_error", "param": param, "code": "context_length_exceeded"}
    return {"error": what}


def _head(reply: Reply) -> Json:
    head = {"id": f"chatcmpl-{reply.id}", "object": "chat.completion.chunk", "created": 1_764_000_000}
    return {**head, "model": reply.model}


def _chunk(reply: Reply, delta: Json, finish: str | None = None) -> bytes:
    return data({**_head(reply), "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]})


def _call(reply: Reply, index: int) -> Json:
    call = reply.calls[index]
    function = {"name": call.name, "arguments": compact(call.arguments)}
    return {"id": reply.call_id(index), "type": "function", "function": function}


WIRE = Wire("chat", re.compile(r"/chat/completions$"), of_chat, whole, events, error, error_event, too_long)

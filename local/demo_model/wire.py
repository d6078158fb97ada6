"""Answers in the form of Chat Completions, whole and as a stream."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from local.demo_model.answers import ScriptedAnswer, ToolCall
from local.demo_model.conversations import BYTES_PER_TOKEN, Heard, Json, tokens_of

CALL_BYTES = 24
"""Bytes of a call's arguments in one event of a stream."""
DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class Completion:
    """An answer to a request, cut to the request's limit."""

    id: str
    created: int
    """Seconds since the epoch."""
    model: str
    text: str
    call: ToolCall | None
    finish: str
    usage: Json

    def whole(self) -> Json:
        """Return the answer in one piece."""
        message: Json = {"role": "assistant", "content": self.text or None}
        if self.call:
            message["tool_calls"] = [_call(self.id, self.call.tool, _arguments(self.call))]
        choice = {"index": 0, "message": message, "finish_reason": self.finish, "logprobs": None}
        return {**self._head("chat.completion"), "choices": [choice], "usage": self.usage}

    def events(self, *, usage: bool) -> Iterator[bytes]:
        """Yield the events of a stream; with `usage`, the last one has it."""
        yield self._delta({"role": "assistant", "content": ""})
        for word in re.findall(r"\s*\S+|\s+$", self.text):
            yield self._delta({"content": word})
        if self.call:
            yield self._delta({"tool_calls": [{"index": 0, **_call(self.id, self.call.tool, "")}]})
            arguments = _arguments(self.call)
            for start in range(0, len(arguments), CALL_BYTES):
                function = {"arguments": arguments[start : start + CALL_BYTES]}
                yield self._delta({"tool_calls": [{"index": 0, "function": function}]})
        yield self._delta({}, self.finish)
        if usage:
            yield _event({**self._head("chat.completion.chunk"), "choices": [], "usage": self.usage})
        yield DONE

    def _delta(self, delta: Json, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        return _event({**self._head("chat.completion.chunk"), "choices": [choice]})

    def _head(self, kind: str) -> Json:
        return {"id": f"chatcmpl-{self.id}", "object": kind, "created": self.created, "model": self.model}


def completion(heard: Heard, answer: ScriptedAnswer, id_: str, created: int) -> Completion:
    """Return the completion of a request, with usage that adds up."""
    text, finish = answer.text, "tool_calls" if answer.call else "stop"
    if heard.limit is not None and tokens_of(text) > heard.limit:
        text = text.encode()[: heard.limit * BYTES_PER_TOKEN].decode(errors="ignore")
        finish = "length"
    said = tokens_of(answer.call.tool + _arguments(answer.call)) if answer.call else tokens_of(text)
    usage = {
        "prompt_tokens": heard.prompt_tokens,
        "completion_tokens": said,
        "total_tokens": heard.prompt_tokens + said,
        "prompt_tokens_details": {"cached_tokens": heard.cached_tokens},
    }
    return Completion(id_, created, heard.model, text, answer.call, finish, usage)


def error(message: str, code: str) -> Json:
    """Return an error in OpenAI's form."""
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}


def _call(id_: str, tool: str, arguments: str) -> Json:
    return {"id": f"call_{id_}", "type": "function", "function": {"name": tool, "arguments": arguments}}


def _arguments(call: ToolCall) -> str:
    return json.dumps(call.arguments, ensure_ascii=False)


def _event(data: Any) -> bytes:
    return b"data: " + json.dumps(data, ensure_ascii=False).encode() + b"\n\n"

"""Sessions of 50 calls as coding agents make them, a client of each format, and how each kind of upstream caches them.

The sessions have what was recorded of real agents: tools in namespaces and with free text (Codex), reminders of the
system in the middle and marks that move (Claude Code), contents by chunk (Gemini CLI), signed thoughts sent back.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any, NamedTuple

from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway.formats.models import ReasoningBlock
from opencode_cloud.gateway.formats.sealing import seal

CALLS = 50
PROMPTS_AT = frozenset({0, 13, 29})
"""The calls that a new prompt of the user begins. The others send the results of tools."""
REMINDERS_AT = frozenset({0, 21, 37})
"""The calls before which the agent tells the model something in the system's name."""
PARALLEL_AT = frozenset({8, 33})
"""The answers that call many tools at once: more blocks than an upstream looks back from a cache mark."""
_MANY = 14
MOST_MARKS = 4
"""The cache marks that Anthropic takes."""
_MARK = {"cache_control": {"type": "ephemeral"}}
_WORDS = ("read", "the", "file", "and", "then", "change", "function", "tests", "import", "value", "return", "of")


def words(seed: str, count: int) -> str:
    """Return text that is the same for the same seed."""
    digest = hashlib.sha256(seed.encode()).digest()
    return " ".join(_WORDS[digest[n % 32] % len(_WORDS)] + str(n % 7) for n in range(count))


SYSTEM = words("system", 900)
TOOLS = {f"tool_{n}": words(f"tool {n}", 60) for n in range(20)}
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}


class Called(NamedTuple):
    """A call of a tool, and its result."""

    id: str
    name: str
    path: str
    result: str


class Answer(NamedTuple):
    """An answer of the model; without calls it ends the agent's work on a prompt."""

    thought: str
    text: str
    calls: list[Called]


def answer(number: int) -> Answer:
    """Return the answer to a call of the session."""
    if number + 1 in PROMPTS_AT:
        return Answer(words(f"thought {number}", 30), words(f"summary {number}", 80), [])
    count = _MANY if number in PARALLEL_AT else 1 + number % 2
    calls = [
        Called(f"call_{number}_{n}", f"tool_{(number + n) % 20}", f"src/{number}_{n}.py", words(f"{number} {n}", 90))
        for n in range(count)
    ]
    return Answer(words(f"thought {number}", 30), words(f"text {number}", 12) if number % 3 else "", calls)


def prompt(number: int) -> str:
    """Return the user's prompt before a call."""
    return words(f"prompt {number}", 90)


def reminder(number: int) -> str:
    """Return what the agent tells the model in the system's name before a call."""
    return words(f"reminder {number}", 40)


def signature(client: Format, upstream: Format, thought: str) -> str:
    """Return what the client got as the opaque part of a thought: the upstream's own, or sealed by the gateway."""
    own = {Format.CHAT: "", Format.MESSAGES: "U0lH", Format.RESPONSES: "RU5D", Format.GENERATE: "R1NJRw=="}[upstream]
    if client is upstream:
        return own
    return seal(ReasoningBlock(text=thought, origin=upstream.value, signature=own))


def session(client: Format, upstream: Format) -> Iterator[dict[str, Any]]:
    """Yield the requests of a session, as a client of one format sends them after answers of an upstream of another."""
    turns: list[Any] = []
    build = _CLIENTS[client]
    for number in range(CALLS):
        if number in PROMPTS_AT:
            turns.append(("prompt", prompt(number)))
        if number in REMINDERS_AT:
            turns.append(("reminder", reminder(number)))
        yield json.loads(json.dumps(build(turns, upstream)))
        answered = answer(number)
        turns.append(("answer", answered))
        if answered.calls:
            turns.append(("results", answered.calls))


def _chat(turns: list[Any], upstream: Format) -> dict[str, Any]:
    messages: list[dict[str, Any]] = [{"role": "system", "content": SYSTEM}]
    for kind, content in turns:
        if kind == "results":
            messages += [{"role": "tool", "tool_call_id": call.id, "content": call.result} for call in content]
        elif kind == "answer":
            calls = [
                {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": _arguments(call)}}
                for call in content.calls
            ]
            message = {"role": "assistant", "content": content.text or None, "reasoning_content": content.thought}
            if upstream is not Format.CHAT:
                data = signature(Format.CHAT, upstream, content.thought)
                message["reasoning_details"] = [{"type": "reasoning.encrypted", "data": data}]
            messages.append({**message, **({"tool_calls": calls} if calls else {})})
        else:
            messages.append({"role": "user" if kind == "prompt" else "system", "content": content})
    functions = [{"name": name, "description": text, "parameters": SCHEMA} for name, text in TOOLS.items()]
    return {
        "model": "m",
        "messages": messages,
        "tools": [{"type": "function", "function": function} for function in functions],
        "tool_choice": "auto",
        "reasoning_effort": "high",
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def _messages(turns: list[Any], upstream: Format) -> dict[str, Any]:
    messages: list[dict[str, Any]] = []
    for kind, content in turns:
        if kind == "answer":
            signed = signature(Format.MESSAGES, upstream, content.thought)
            blocks: list[dict[str, Any]] = [{"type": "thinking", "thinking": content.thought, "signature": signed}]
            blocks += [{"type": "text", "text": content.text}] if content.text else []
            blocks += [
                {"type": "tool_use", "id": call.id, "name": call.name, "input": {"path": call.path}}
                for call in content.calls
            ]
            messages.append({"role": "assistant", "content": blocks})
        elif kind == "results":
            results = [{"type": "tool_result", "tool_use_id": call.id, "content": call.result} for call in content]
            messages.append({"role": "user", "content": results})
        else:
            text = {"type": "text", "text": content}
            messages.append({"role": "user" if kind == "prompt" else "system", "content": [text]})
    for message in [message for message in messages if message["role"] == "user"][-2:]:
        message["content"] = [*message["content"][:-1], {**message["content"][-1], **_MARK}]
    return {
        "model": "m",
        "max_tokens": 32_000,
        "system": [{"type": "text", "text": "billing: 1"}, {"type": "text", "text": SYSTEM, **_MARK}],
        "messages": messages,
        "tools": [{"name": name, "description": text, "input_schema": SCHEMA} for name, text in TOOLS.items()],
        "thinking": {"type": "adaptive", "display": "omitted"},
        "output_config": {"effort": "high"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "metadata": {"user_id": json.dumps({"session_id": "s-1"})},
        "stream": True,
    }


def _responses(turns: list[Any], upstream: Format) -> dict[str, Any]:
    items: list[dict[str, Any]] = []
    for kind, content in turns:
        if kind == "results":
            items += [{"type": "function_call_output", "call_id": call.id, "output": call.result} for call in content]
        elif kind == "answer":
            summary = [{"type": "summary_text", "text": content.thought}]
            sealed = signature(Format.RESPONSES, upstream, content.thought)
            items.append({"type": "reasoning", "id": "rs_1", "summary": summary, "encrypted_content": sealed})
            if content.text:
                part = {"type": "output_text", "text": content.text}
                items.append({"type": "message", "role": "assistant", "content": [part]})
            items += [
                {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": _arguments(call)}
                for call in content.calls
            ]
        else:
            role = "user" if kind == "prompt" else "developer"
            items.append({"type": "message", "role": role, "content": [{"type": "input_text", "text": content}]})
    functions = [
        {"type": "function", "name": name, "description": text, "parameters": SCHEMA, "strict": False}
        for name, text in TOOLS.items()
    ]
    return {
        "model": "m",
        "instructions": SYSTEM,
        "input": items,
        "tools": [
            *functions,
            {"type": "namespace", "name": "agents", "description": "d", "tools": [{**functions[0], "name": "spawn"}]},
            {"type": "custom", "name": "apply_patch", "description": words("patch", 90)},
            {"type": "web_search"},
        ],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "reasoning": {"effort": "high", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "store": False,
        "prompt_cache_key": "s-1",
        "stream": True,
    }


def _generate(turns: list[Any], upstream: Format) -> dict[str, Any]:
    contents: list[dict[str, Any]] = []
    for kind, content in turns:
        if kind == "results":
            parts = [
                {"functionResponse": {"id": call.id, "name": call.name, "response": {"output": call.result}}}
                for call in content
            ]
            contents.append({"role": "user", "parts": parts})
        elif kind == "answer":
            signed = signature(Format.GENERATE, upstream, content.thought)
            parts = [{"text": content.text}] if content.text else []
            parts += [
                {"functionCall": {"id": call.id, "name": call.name, "args": {"path": call.path}}}
                for call in content.calls
            ]
            parts[0]["thoughtSignature"] = signed
            contents += [{"role": "model", "parts": [part]} for part in parts]
        else:
            contents.append({"role": "user", "parts": [{"text": content}]})
    declared = [{"name": name, "description": text, "parametersJsonSchema": SCHEMA} for name, text in TOOLS.items()]
    return {
        "contents": contents,
        "systemInstruction": {"parts": [{"text": SYSTEM}]},
        "tools": [{"functionDeclarations": declared}],
        "generationConfig": {"temperature": 1, "topP": 0.95, "topK": 64, "thinkingConfig": {"includeThoughts": True}},
    }


def _arguments(call: Called) -> str:
    return json.dumps({"path": call.path})


_CLIENTS: dict[Format, Callable[[list[Any], Format], dict[str, Any]]] = {
    Format.CHAT: _chat,
    Format.MESSAGES: _messages,
    Format.RESPONSES: _responses,
    Format.GENERATE: _generate,
}


class Cache:
    """The prompt cache of an upstream. It prices by prefix, in the order in which its vendor reads a prompt.

    OpenAI and Google find the longest known beginning by themselves. Anthropic writes and reads at marks, and looks
    back 20 blocks from each.
    """

    SHORTEST = 4096
    """The shortest beginning that is cached, in characters: 1024 tokens."""
    STEP = 512
    """The unit of the beginnings that vendors find by themselves: 128 tokens."""
    LOOK_BACK = 20

    def __init__(self, upstream: Format) -> None:
        self._upstream = upstream
        self._known: set[bytes] = set()
        self.prompt = 0
        """Characters of all prompts."""
        self.read = 0
        """Characters that came from the cache."""

    @property
    def hit_rate(self) -> float:
        """The part of all prompts that came from the cache."""
        return self.read / self.prompt

    def take(self, body: dict[str, Any]) -> int:
        """Price a request; return the characters that came from the cache."""
        blocks, marks = _blocks(self._upstream, body)
        ends = list(accumulate(map(len, blocks)))
        text = "".join(blocks)
        if self._upstream is Format.MESSAGES:
            assert len(marks) <= MOST_MARKS
            near = {place for mark in marks for place in range(max(0, mark - self.LOOK_BACK), mark + 1)}
            searched, written = {ends[place] for place in near}, {ends[mark] for mark in marks}
        else:
            searched = written = set(range(self.STEP, len(text) + 1, self.STEP))
        digests = _beginnings(text, searched)
        read = max((end for end in searched if digests[end] in self._known), default=0)
        self._known |= {digests[end] for end in written if end >= self.SHORTEST}
        self.prompt += len(text)
        self.read += read
        return read


def _beginnings(text: str, ends: set[int]) -> dict[int, bytes]:
    """Return the digests of the beginnings of a text, by their ends."""
    digest, start, found = hashlib.sha256(), 0, dict[int, bytes]()
    for end in sorted(ends):
        digest.update(text[start:end].encode())
        found[end], start = digest.copy().digest(), end
    return found


def _blocks(upstream: Format, body: dict[str, Any]) -> tuple[list[str], list[int]]:
    """Return the blocks of a prompt in the vendor's order, and the numbers of those with a cache mark."""
    parts: list[Any] = list(body.get("tools") or [])
    match upstream:
        case Format.CHAT:
            parts += body["messages"]
        case Format.RESPONSES:
            parts += [body.get("instructions"), *body["input"]]
        case Format.GENERATE:
            parts += [body.get("systemInstruction"), *body["contents"]]
        case Format.MESSAGES:
            parts += body["system"]
            # A change of these loses the cache of the conversation.
            parts.append({"thinking": body.get("thinking"), "tool_choice": body.get("tool_choice")})
            for message in body["messages"]:
                content = message["content"]
                blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
                parts += [{"role": message["role"], **block} for block in blocks]
    marks = [number for number, part in enumerate(parts) if isinstance(part, dict) and "cache_control" in part]
    return [json.dumps(_without_mark(part)) for part in parts], marks


def _without_mark(part: Any) -> Any:
    return {name: value for name, value in part.items() if name != "cache_control"} if isinstance(part, dict) else part

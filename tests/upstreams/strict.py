"""Rules of the real APIs, a function for each format. Each yields reasons to refuse; none means a valid request.

The rules are those of the vendors' references: known members, pairs of calls and results, names of tools, schemas, and
marks of caches.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Json = dict[str, Any]
OPENAI_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
ANTHROPIC_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
GOOGLE_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}")
MOST_MARKS = 4


def _members(names: str) -> frozenset[str]:
    return frozenset(names.split())


CHAT = _members(
    """
    audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens
    max_tokens messages metadata modalities model n parallel_tool_calls prediction presence_penalty
    prompt_cache_key prompt_cache_retention reasoning_effort response_format safety_identifier seed
    service_tier stop store stream stream_options temperature tool_choice tools top_logprobs top_p
    user verbosity web_search_options
    """
)
RESPONSES = _members(
    """
    background client_metadata context_management conversation include input instructions max_output_tokens
    max_tool_calls metadata model parallel_tool_calls previous_response_id prompt prompt_cache_key
    prompt_cache_retention reasoning safety_identifier service_tier store stream stream_options
    temperature text tool_choice tools top_logprobs top_p truncation user
    """
)
MESSAGES = _members(
    """
    cache_control container context_management inference_geo max_tokens mcp_servers messages
    metadata model output_config output_format service_tier speed stop_sequences stream system
    temperature thinking tool_choice tools top_k top_p
    """
)
GENERATE = _members(
    """
    cachedContent contents generationConfig labels model safetySettings serviceTier store
    systemInstruction toolConfig tools
    """
)
GENERATION = _members(
    """
    audioTimestamp candidateCount enableEnhancedCivicAnswers frequencyPenalty imageConfig logprobs
    maxOutputTokens mediaResolution presencePenalty responseJsonSchema responseLogprobs
    responseMimeType responseModalities responseSchema seed speechConfig stopSequences temperature
    thinkingConfig topK topP
    """
)
SCHEMA = _members(
    """
    anyOf default description enum example format items maxItems maxLength maxProperties maximum
    minItems minLength minProperties minimum nullable pattern properties propertyOrdering required
    title type
    """
)
"""The members of Google's `Schema`."""


def of_chat(body: Json) -> Iterator[str]:
    """Check a request of OpenAI's Chat Completions."""
    yield from _unknown(body, CHAT)
    tools: list[Json] = body.get("tools") or []
    yield from _openai_tools([tool["function"] for tool in tools])
    yield from _without_tools(body, tools)
    if "stream_options" in body and not body.get("stream"):
        yield "stream_options is allowed with stream only"
    if len(str(body.get("user", ""))) > 64:
        yield "user is longer than 64"
    if isinstance(body.get("stop"), list) and len(body["stop"]) > 4:
        yield "more than four stop sequences"
    yield from _chat_turns(body["messages"])


def _chat_turns(messages: list[Json]) -> Iterator[str]:
    waiting = list[str]()
    for index, message in enumerate(messages):
        if message["role"] == "tool":
            if message.get("tool_call_id") not in waiting:
                yield f"messages[{index}]: a result without its call"
            else:
                waiting.remove(message["tool_call_id"])
            continue
        if waiting:
            yield f"messages[{index}]: calls without results: {waiting}"
        waiting = [call["id"] for call in message.get("tool_calls") or ()]
        if message.get("tool_calls") == []:
            yield f"messages[{index}]: tool_calls is empty"
        if message["role"] != "assistant" and not message.get("content"):
            yield f"messages[{index}]: no content"
        for call in message.get("tool_calls") or ():
            if not isinstance(call["function"]["arguments"], str):
                yield f"messages[{index}]: arguments are no text"
    if waiting:
        yield f"calls without results at the end: {waiting}"


def of_responses(body: Json) -> Iterator[str]:
    """Check a request of OpenAI's Responses."""
    yield from _unknown(body, RESPONSES)
    tools: list[Json] = body.get("tools") or []
    for tool in tools:
        if tool["type"] not in ("function", "custom", "namespace"):
            yield f"the hosted tool {tool['type']} is billed apart"
    yield from _openai_tools([tool for tool in tools if tool["type"] == "function"])
    if body.get("max_output_tokens") is not None and body["max_output_tokens"] < 16:
        yield "max_output_tokens is below 16"
    if body.get("store") is not False or body.get("previous_response_id") or body.get("conversation"):
        yield "contents would be stored at the provider"
    items = body["input"] if isinstance(body["input"], list) else []
    called = {item["call_id"] for item in items if item.get("type") in ("function_call", "custom_tool_call")}
    answered = [item["call_id"] for item in items if str(item.get("type")).endswith("_call_output")]
    if called != set(answered) or len(set(answered)) != len(answered):
        yield f"calls {sorted(called)} and results {sorted(answered)} are no pairs"
    for index, item in enumerate(items):
        if item.get("type") == "reasoning" and not item.get("encrypted_content"):
            yield f"input[{index}]: reasoning without encrypted_content is not found where nothing is stored"
        if item.get("type", "message") == "message" and not item.get("content"):
            yield f"input[{index}]: no content"


def of_messages(body: Json) -> Iterator[str]:
    """Check a request of Anthropic's Messages."""
    yield from _unknown(body, MESSAGES)
    tools: list[Json] = body.get("tools") or []
    yield from _names([tool["name"] for tool in tools], ANTHROPIC_NAME)
    yield from _without_tools(body, tools)
    thinking = body.get("thinking") or {}
    if thinking.get("type") == "enabled" and not 1024 <= thinking["budget_tokens"] < body["max_tokens"]:
        yield "budget_tokens is below 1024 or not below max_tokens"
    if thinking.get("type") == "enabled" and body.get("temperature", 1) != 1:
        yield "temperature must be 1 with thinking"
    if _marks(body) > MOST_MARKS:
        yield f"{_marks(body)} blocks with cache_control"
    if "@" in str((body.get("metadata") or {}).get("user_id", "")):
        yield "user_id is an e-mail address"
    if any(not text.strip() for text in body.get("stop_sequences") or ()):
        yield "a blank stop sequence"
    yield from _turns(body["messages"])


def _turns(messages: list[Json]) -> Iterator[str]:
    if messages[0]["role"] == "assistant":
        yield "the first message is the assistant's"
    waiting = set[str]()
    for index, message in enumerate(messages):
        blocks = _blocks(message["content"])
        results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        if message["role"] == "user":
            if waiting - set(results):
                yield f"messages[{index}]: calls without results right behind them: {sorted(waiting - set(results))}"
            if set(results) - waiting:
                yield f"messages[{index}]: results without their calls: {sorted(set(results) - waiting)}"
            waiting = set()
        if message["role"] == "assistant":
            waiting = {block["id"] for block in blocks if block["type"] == "tool_use"}
        yield from (f"messages[{index}]: {reason}" for block in blocks for reason in _block(block))
    last = messages[-1]
    text = _blocks(last["content"])[-1].get("text", "") if last["role"] == "assistant" else ""
    if text != text.rstrip():
        yield "the last text of the assistant ends in white space"
    if waiting:
        yield f"calls without results at the end: {sorted(waiting)}"


def _block(block: Json) -> Iterator[str]:
    if block["type"] == "text" and not block["text"].strip():
        yield "a blank text"
    if block["type"] == "thinking" and not block.get("signature"):
        yield "thinking without a signature"


def of_generate(body: Json) -> Iterator[str]:
    """Check a request of Google's generateContent."""
    yield from _unknown(body, GENERATE)
    yield from _unknown(body.get("generationConfig") or {}, GENERATION)
    declared = [each for tool in body.get("tools") or () for each in tool.get("functionDeclarations") or ()]
    yield from _names([each["name"] for each in declared], GOOGLE_NAME)
    for each in declared:
        yield from _schema(each.get("parameters") or {}, each["name"])
    if (body.get("toolConfig") or {}).get("functionCallingConfig") and not declared:
        yield "functionCallingConfig without functions"
    yield from _schema((body.get("generationConfig") or {}).get("responseSchema") or {}, "responseSchema")
    calls = 0
    for index, content in enumerate(body["contents"]):
        answers = sum("functionResponse" in part for part in content["parts"])
        if calls != answers:
            yield f"contents[{index}]: {answers} results behind {calls} calls"
        calls = sum("functionCall" in part for part in content["parts"])
        if not content["parts"]:
            yield f"contents[{index}]: no parts"
    if calls:
        yield "calls without results at the end"


def _schema(schema: Json, where: str) -> Iterator[str]:
    yield from (f"{where}: {name} is no member of a schema" for name in schema.keys() - SCHEMA)
    for name, each in (schema.get("properties") or {}).items():
        yield from _schema(each, f"{where}.{name}")
    if isinstance(schema.get("items"), dict):
        yield from _schema(schema["items"], f"{where}[]")
    if schema.get("type") == "OBJECT" and not schema.get("properties") and "properties" in schema:
        yield f"{where}: properties of an object must not be empty"


def _unknown(body: Json, known: frozenset[str]) -> Iterator[str]:
    yield from (f"{name} is an unknown member" for name in sorted(body.keys() - known))


def _openai_tools(functions: list[Json]) -> Iterator[str]:
    yield from _names([function["name"] for function in functions], OPENAI_NAME)
    for function in functions:
        parameters = function.get("parameters")
        if parameters is not None and (parameters.get("type") != "object" or "properties" not in parameters):
            yield f"{function['name']}: parameters are no object with properties"


def _names(names: list[str], pattern: re.Pattern[str]) -> Iterator[str]:
    yield from (f"{name} is no name of a tool" for name in names if not pattern.fullmatch(name))
    if len(set(names)) != len(names):
        yield "two tools have one name"


def _without_tools(body: Json, tools: list[Json]) -> Iterator[str]:
    if not tools:
        members = ("tool_choice", "parallel_tool_calls")
        yield from (f"{name} is allowed with tools only" for name in members if body.get(name) is not None)


def _blocks(content: Any) -> list[Json]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _marks(value: Any) -> int:
    if isinstance(value, Mapping):
        return sum(name == "cache_control" for name in value) + sum(map(_marks, value.values()))
    return sum(map(_marks, value)) if isinstance(value, list) else 0


RULES: Mapping[str, Callable[[Json], Iterator[str]]] = {
    "chat": of_chat,
    "responses": of_responses,
    "messages": of_messages,
    "generate": of_generate,
}
"""The rules by the names of the formats."""

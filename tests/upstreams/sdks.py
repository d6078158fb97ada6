"""The providers' own Python SDKs behind one interface, so that one test covers all of them.

Each is used as its documentation shows; what it hands back is reduced to what all formats have in common.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import anthropic
import httpx
import openai
from google import genai
from google.genai import types as google

SECONDS = 90.0
MIME = "image/png"
FINAL = ("response.completed", "response.incomplete")
INCLUDE_USAGE = {"stream_options": {"include_usage": True}}


@dataclass(frozen=True)
class Question:
    """The prompt."""

    prompt: str
    system: str = ""
    image: bytes = b""
    tools: Sequence[str] = ()
    """Names of tools. Each tool has one argument, `place`."""
    max_output: int = 500
    reasoning: bool = False
    history: tuple[Any, ...] = ()
    """The messages since the prompt, in the SDK's own types."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass
class Answer:
    """The answer. Stop reasons: end, calls, length, filter."""

    text: str = ""
    thought: str = ""
    calls: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list[tuple[str, str, dict[str, Any]]])
    """Id, tool and arguments of each call."""
    stop: str = ""
    prompt_tokens: int = 0
    """Prompt tokens of all kinds."""
    cached_tokens: int = 0
    """Prompt tokens that were read from a cache."""
    output_tokens: int = 0
    """Tokens of the answer, including reasoning."""
    turn: tuple[Any, ...] = ()
    """The answer in the form in which the SDK sends it in the next request."""


class BrokenStream(Exception):
    """The stream reported an interruption that the SDK leaves to its caller."""


class SilentEnd(Exception):
    """The stream ended without its final event."""


class Sdk(Protocol):
    """One SDK, connected to one server."""

    def ask(self, model: str, question: Question, *, stream: bool) -> Answer:
        """Send a prompt and return the whole answer; raises the SDK's own errors."""
        ...

    def results(self, answer: Answer, results: Sequence[str]) -> tuple[Any, ...]:
        """Return the messages after the prompt in the next request: the answer's calls and their results."""
        ...


def _url(image: bytes) -> str:
    return f"data:{MIME};base64,{base64.b64encode(image).decode()}"


def _schema() -> dict[str, Any]:
    place = {"type": "string", "description": "Where"}
    return {"type": "object", "properties": {"place": place}, "required": ["place"]}


class OpenAIChat:
    """Chat Completions."""

    STOPS: ClassVar = {
        "stop": "end",
        "tool_calls": "calls",
        "length": "length",
        "content_filter": "filter",
    }

    def __init__(self, url: str, key: str, **headers: str) -> None:
        self.client = openai.OpenAI(
            base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=SECONDS, default_headers=headers
        )

    def ask(self, model: str, question: Question, *, stream: bool) -> Answer:
        parts: list[Any] = [{"type": "text", "text": question.prompt}]
        if question.image:
            parts.append({"type": "image_url", "image_url": {"url": _url(question.image)}})
        messages: list[Any] = [{"role": "user", "content": parts}, *question.history]
        if question.system:
            messages.insert(0, {"role": "system", "content": question.system})
        wish: dict[str, Any] = {"model": model, "messages": messages, "max_tokens": question.max_output}
        wish["extra_headers"] = question.headers
        if question.tools:
            functions = [{"name": name, "parameters": _schema()} for name in question.tools]
            wish["tools"] = [{"type": "function", "function": function} for function in functions]
        if question.reasoning:
            wish["reasoning_effort"] = "medium"
        if not stream:
            return self._answer(self.client.chat.completions.create(**wish))
        return self._gathered(self.client.chat.completions.create(**wish, **{"stream": True, **INCLUDE_USAGE}))

    def _gathered(self, chunks: Any) -> Answer:
        """Join the pieces. The SDK's own method raises an error for an answer that was cut at its limit."""
        answer, calls = Answer(), dict[int, list[str]]()
        for chunk in chunks:
            self._use(answer, chunk.usage)
            for choice in chunk.choices:
                answer.text += choice.delta.content or ""
                answer.thought += getattr(choice.delta, "reasoning_content", None) or ""
                answer.stop = self.STOPS[choice.finish_reason] if choice.finish_reason else answer.stop
                for call in choice.delta.tool_calls or ():
                    begun = calls.setdefault(call.index, [call.id or "", call.function.name or "", ""])
                    begun[2] += call.function.arguments or ""
        if not answer.stop:
            raise SilentEnd
        answer.calls = [(call, tool, json.loads(arguments)) for call, tool, arguments in calls.values()]
        return answer

    def _answer(self, completion: Any) -> Answer:
        choice = completion.choices[0]
        answer = Answer(choice.message.content or "", getattr(choice.message, "reasoning_content", None) or "")
        for call in choice.message.tool_calls or ():
            answer.calls.append((call.id, call.function.name, json.loads(call.function.arguments)))
        answer.stop = self.STOPS[choice.finish_reason]
        self._use(answer, completion.usage)
        return answer

    @staticmethod
    def _use(answer: Answer, usage: Any) -> None:
        if usage:
            answer.prompt_tokens, answer.output_tokens = usage.prompt_tokens, usage.completion_tokens
            details = usage.prompt_tokens_details
            answer.cached_tokens = (details.cached_tokens or 0) if details else 0

    def results(self, answer: Answer, results: Sequence[str]) -> tuple[Any, ...]:
        calls = [
            {"id": call, "type": "function", "function": {"name": tool, "arguments": json.dumps(arguments)}}
            for call, tool, arguments in answer.calls
        ]
        told = [
            {"role": "tool", "tool_call_id": call[0], "content": result}
            for call, result in zip(answer.calls, results, strict=True)
        ]
        return ({"role": "assistant", "content": answer.text or None, "tool_calls": calls}, *told)


class OpenAIResponses:
    """Responses."""

    REASONS: ClassVar = {"max_output_tokens": "length", "content_filter": "filter"}

    def __init__(self, url: str, key: str, **headers: str) -> None:
        self.client = openai.OpenAI(
            base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=SECONDS, default_headers=headers
        )

    def ask(self, model: str, question: Question, *, stream: bool) -> Answer:
        parts: list[Any] = [{"type": "input_text", "text": question.prompt}]
        if question.image:
            parts.append({"type": "input_image", "image_url": _url(question.image), "detail": "auto"})
        items: list[Any] = [{"role": "user", "content": parts}, *question.history]
        wish: dict[str, Any] = {
            "model": model,
            "input": items,
            "max_output_tokens": question.max_output,
            "store": False,
        }
        wish["extra_headers"] = question.headers
        if question.system:
            wish["instructions"] = question.system
        if question.tools:
            wish["tools"] = [
                {"type": "function", "name": name, "parameters": _schema(), "strict": False} for name in question.tools
            ]
        if question.reasoning:
            wish |= {"reasoning": {"effort": "medium", "summary": "auto"}, "include": ["reasoning.encrypted_content"]}
        if not stream:
            return self._answer(self.client.responses.create(**wish))
        with self.client.responses.stream(**wish) as events:
            return self._answer(self._final(events))

    @staticmethod
    def _final(events: Any) -> Any:
        """Return the whole answer. The SDK's own method supports completed answers only."""
        final = None
        for event in events:
            if event.type == "error":
                raise BrokenStream(event.message)
            if event.type == "response.failed":
                raise BrokenStream(event.response.error.message)
            final = event.response if event.type in FINAL else final
        if final is None:
            raise SilentEnd
        return final

    def _answer(self, response: Any) -> Answer:
        answer = Answer(response.output_text)
        for item in response.output:
            if item.type == "function_call":
                answer.calls.append((item.call_id, item.name, json.loads(item.arguments)))
            elif item.type == "reasoning":
                answer.thought += "".join(part.text for part in item.summary)
        reason = response.incomplete_details.reason if response.incomplete_details else ""
        answer.stop = self.REASONS[reason] if reason else "calls" if answer.calls else "end"
        if response.usage:
            answer.prompt_tokens, answer.output_tokens = response.usage.input_tokens, response.usage.output_tokens
            answer.cached_tokens = response.usage.input_tokens_details.cached_tokens
        answer.turn = tuple(
            item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in response.output
        )
        return answer

    def results(self, answer: Answer, results: Sequence[str]) -> tuple[Any, ...]:
        told = [
            {"type": "function_call_output", "call_id": call[0], "output": result}
            for call, result in zip(answer.calls, results, strict=True)
        ]
        return (*answer.turn, *told)


class Anthropic:
    """Messages."""

    STOPS: ClassVar = {
        "end_turn": "end",
        "tool_use": "calls",
        "max_tokens": "length",
        "refusal": "filter",
    }

    def __init__(self, url: str, key: str, **headers: str) -> None:
        self.client = anthropic.Anthropic(
            base_url=url, api_key=key, max_retries=0, timeout=SECONDS, default_headers=headers
        )

    def ask(self, model: str, question: Question, *, stream: bool) -> Answer:
        parts: list[Any] = [{"type": "text", "text": question.prompt}]
        if question.image:
            source = {"type": "base64", "media_type": MIME, "data": base64.b64encode(question.image).decode()}
            parts.append({"type": "image", "source": source})
        wish: dict[str, Any] = {"model": model, "max_tokens": question.max_output}
        wish["extra_headers"] = question.headers
        wish["messages"] = [{"role": "user", "content": parts}, *question.history]
        if question.system:
            wish["system"] = question.system
        if question.tools:
            wish["tools"] = [{"name": name, "input_schema": _schema()} for name in question.tools]
        if question.reasoning:
            wish |= {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": question.max_output + 1024}
        if not stream:
            return self._answer(self.client.messages.create(**wish))
        with self.client.messages.stream(**wish) as events:
            return self._answer(events.get_final_message())

    def _answer(self, message: Any) -> Answer:
        if message.stop_reason is None:
            raise SilentEnd
        answer = Answer(stop=self.STOPS[message.stop_reason])
        for block in message.content:
            match block.type:
                case "text":
                    answer.text += block.text
                case "thinking":
                    answer.thought += block.thinking
                case "tool_use":
                    answer.calls.append((block.id, block.name, block.input))
                case _:
                    pass
        usage = message.usage
        answer.cached_tokens = usage.cache_read_input_tokens or 0
        answer.prompt_tokens = usage.input_tokens + answer.cached_tokens + (usage.cache_creation_input_tokens or 0)
        answer.output_tokens = usage.output_tokens
        content = [block.model_dump(exclude_none=True, exclude={"parsed_output"}) for block in message.content]
        answer.turn = ({"role": "assistant", "content": content},)
        return answer

    def results(self, answer: Answer, results: Sequence[str]) -> tuple[Any, ...]:
        told = [
            {"type": "tool_result", "tool_use_id": call[0], "content": result}
            for call, result in zip(answer.calls, results, strict=True)
        ]
        return (*answer.turn, {"role": "user", "content": told})


class Google:
    """generateContent."""

    STOPS: ClassVar = {"STOP": "end", "MAX_TOKENS": "length", "SAFETY": "filter"}

    def __init__(self, url: str, key: str, **headers: str) -> None:
        options = google.HttpOptions(
            base_url=url, api_version="v1", timeout=int(SECONDS * 1000), headers=headers, httpx_client=httpx.Client()
        )
        self.client = genai.Client(api_key=key, http_options=options)

    def ask(self, model: str, question: Question, *, stream: bool) -> Answer:
        parts = [google.Part(text=question.prompt)]
        if question.image:
            parts.append(google.Part.from_bytes(data=question.image, mime_type=MIME))
        contents: list[Any] = [google.Content(role="user", parts=parts), *question.history]
        config = google.GenerateContentConfig(max_output_tokens=question.max_output)
        config.http_options = google.HttpOptions(headers=dict(question.headers))
        config.automatic_function_calling = google.AutomaticFunctionCallingConfig(disable=True)
        if question.system:
            config.system_instruction = question.system
        if question.tools:
            functions = [google.FunctionDeclaration(name=n, parameters_json_schema=_schema()) for n in question.tools]
            config.tools = [google.Tool(function_declarations=functions)]
        if question.reasoning:
            config.thinking_config = google.ThinkingConfig(include_thoughts=True, thinking_budget=1024)
        if stream:
            return self._answer(
                self.client.models.generate_content_stream(model=model, contents=contents, config=config)
            )
        return self._answer([self.client.models.generate_content(model=model, contents=contents, config=config)])

    def _answer(self, chunks: Any) -> Answer:
        answer, parts = Answer(), list[google.Part]()
        for chunk in chunks:
            for candidate in chunk.candidates or ():
                answer.stop = self.STOPS[candidate.finish_reason.value] if candidate.finish_reason else answer.stop
                parts += (candidate.content and candidate.content.parts) or ()
            if usage := chunk.usage_metadata:
                answer.prompt_tokens = usage.prompt_token_count or 0
                answer.cached_tokens = usage.cached_content_token_count or 0
                answer.output_tokens = (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)
        if not answer.stop:
            raise SilentEnd
        for part in parts:
            if part.function_call:
                call = part.function_call
                answer.calls.append((call.id or "", call.name or "", call.args or {}))
            elif part.thought:
                answer.thought += part.text or ""
            else:
                answer.text += part.text or ""
        answer.stop = "calls" if answer.calls and answer.stop == "end" else answer.stop
        answer.turn = (google.Content(role="model", parts=parts),)
        return answer

    def results(self, answer: Answer, results: Sequence[str]) -> tuple[Any, ...]:
        told = [
            google.Part(
                function_response=google.FunctionResponse(id=call or None, name=tool, response={"output": result})
            )
            for (call, tool, _), result in zip(answer.calls, results, strict=True)
        ]
        return (*answer.turn, google.Content(role="user", parts=told))


SDKS: dict[str, type[OpenAIChat] | type[OpenAIResponses] | type[Anthropic] | type[Google]] = {
    "chat": OpenAIChat,
    "responses": OpenAIResponses,
    "messages": Anthropic,
    "generate": Google,
}
"""The SDKs, by format."""

"""Reads a request of any format: the prompt, and the progress of the turn.

It is deliberately simple, and independent of the gateway's own converters, because it is their oracle.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .scripts import MARK

Json = dict[str, Any]
URL_SAFE = str.maketrans("-_", "+/")
"""Google's SDK writes base64 in the URL-safe alphabet, which only Google reads."""


@dataclass
class Heard:
    """A conversation as an upstream reads it."""

    system: str = ""
    prompt: str = ""
    """The last script among the user's texts, else the last text."""
    images: list[str] = field(default_factory=list[str])
    """SHA-256 of inline images, addresses of others, in order."""
    tools: list[str] = field(default_factory=list[str])
    results: list[str] = field(default_factory=list[str])
    """Results of tools, since the prompt."""
    called: list[str] = field(default_factory=list[str])
    """Tools that were called since the prompt, each with its arguments in canonical form."""
    reasoning: list[str] = field(default_factory=list[str])
    """Signatures or encrypted contents of earlier reasoning, since the prompt."""
    max_output: int | None = None
    temperature: float | None = None
    stop: list[str] = field(default_factory=list[str])
    tool_choice: Any = None
    stream: bool = False

    def user(self, text: str) -> None:
        """Record a text of the user. A script has precedence over other texts."""
        if MARK in self.prompt and MARK not in text:
            return
        self.prompt = text
        self.results.clear()
        self.called.clear()
        self.reasoning.clear()

    def image(self, data: str) -> None:
        """Record an inline image in base64; raises ValueError for invalid base64."""
        self.images.append(hashlib.sha256(base64.b64decode(data, validate=True)).hexdigest())

    def call(self, tool: str, arguments: Any) -> None:
        """Record a call of a tool."""
        self.called.append(f"{tool} {json.dumps(arguments, sort_keys=True)}")


def of_chat(body: Json) -> Heard:
    """Read a request of OpenAI's Chat Completions."""
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    heard = Heard(max_output=limit, temperature=body.get("temperature"), stream=bool(body.get("stream")))
    heard.stop = _listed(body.get("stop"))
    heard.tool_choice = body.get("tool_choice")
    heard.tools = [tool["function"]["name"] for tool in body.get("tools") or ()]
    for message in body["messages"]:
        match message["role"]:
            case "system" | "developer":
                heard.system += _text(message["content"])
            case "user":
                for part in _parts(message["content"]):
                    if part["type"] == "text":
                        heard.user(part["text"])
                    elif part["type"] == "image_url":
                        _image_at(heard, part["image_url"]["url"])
            case "assistant":
                for call in message.get("tool_calls") or ():
                    heard.call(call["function"]["name"], json.loads(call["function"]["arguments"]))
            case "tool":
                heard.results.append(_text(message["content"]))
            case role:
                raise ValueError(f"role {role}")
    return heard


def of_responses(body: Json) -> Heard:
    """Read a request of OpenAI's Responses."""
    heard = Heard(system=body.get("instructions") or "", max_output=body.get("max_output_tokens"))
    heard.temperature, heard.stream = body.get("temperature"), bool(body.get("stream"))
    heard.tool_choice = body.get("tool_choice")
    heard.tools = [tool["name"] for tool in body.get("tools") or () if tool["type"] == "function"]
    items = body["input"]
    for item in [{"role": "user", "content": items}] if isinstance(items, str) else items:
        match item.get("type", "message"):
            case "message" if item["role"] in ("system", "developer"):
                heard.system += _text(item["content"])
            case "message" if item["role"] == "user":
                for part in _parts(item["content"]):
                    if part["type"] in ("input_text", "text"):
                        heard.user(part["text"])
                _images_in(heard, item["content"])
            case "function_call":
                heard.call(item["name"], json.loads(item["arguments"]))
            case "function_call_output":
                heard.results.append(_text(item["output"]))
                _images_in(heard, item["output"])
            case "reasoning" if item.get("encrypted_content"):
                heard.reasoning.append(item["encrypted_content"])
            case _:
                pass
    return heard


def of_messages(body: Json) -> Heard:
    """Read a request of Anthropic's Messages."""
    heard = Heard(system=_text(body.get("system") or ""), max_output=body.get("max_tokens"))
    heard.temperature, heard.stream = body.get("temperature"), bool(body.get("stream"))
    heard.stop, heard.tool_choice = _listed(body.get("stop_sequences")), body.get("tool_choice")
    heard.tools = [tool["name"] for tool in body.get("tools") or ()]
    for block in _blocks(body["messages"]):
        match block["type"]:
            case "text" if block["role"] == "user":
                heard.user(block["text"])
            case "image":
                source = block["source"]
                heard.image(source["data"]) if source["type"] == "base64" else heard.images.append(source["url"])
            case "tool_use":
                heard.call(block["name"], block["input"])
            case "tool_result":
                heard.results.append(_text(block.get("content") or ""))
                for part in _parts(block.get("content") or ""):
                    if part["type"] == "image":
                        heard.image(part["source"]["data"])
            case "thinking":
                heard.reasoning.append(block["signature"])
            case _:
                pass
    return heard


def of_generate(body: Json) -> Heard:
    """Read a request of Google's generateContent. The path tells whether it streams."""
    settings = body.get("generationConfig") or {}
    heard = Heard(max_output=settings.get("maxOutputTokens"), temperature=settings.get("temperature"))
    heard.stop = _listed(settings.get("stopSequences"))
    heard.tool_choice = (body.get("toolConfig") or {}).get("functionCallingConfig")
    heard.system = "".join(part["text"] for part in (body.get("systemInstruction") or {}).get("parts", ()))
    for tool in body.get("tools") or ():
        heard.tools += [function["name"] for function in tool.get("functionDeclarations") or ()]
    for content in body["contents"]:
        for part in content["parts"]:
            if signature := part.get("thoughtSignature"):
                heard.reasoning.append(signature)
            if "functionCall" in part:
                heard.call(part["functionCall"]["name"], part["functionCall"].get("args") or {})
            elif "functionResponse" in part:
                heard.results.append(json.dumps(part["functionResponse"]["response"]))
                for each in part["functionResponse"].get("parts") or ():
                    heard.image(each["inlineData"]["data"].translate(URL_SAFE))
            elif "inlineData" in part:
                heard.image(part["inlineData"]["data"].translate(URL_SAFE))
            elif "text" in part and content.get("role", "user") == "user":
                heard.user(part["text"])
    return heard


def _parts(content: Any) -> list[Json]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _text(content: Any) -> str:
    return "".join(part.get("text", "") for part in _parts(content))


def _blocks(messages: list[Json]) -> Iterator[Json]:
    for message in messages:
        for block in _parts(message["content"]):
            yield {**block, "role": message["role"]}


def _images_in(heard: Heard, content: Any) -> None:
    for part in _parts(content):
        if part["type"] == "input_image":
            _image_at(heard, part["image_url"])


def _image_at(heard: Heard, url: str) -> None:
    if url.startswith("data:"):
        heard.image(url.partition(",")[2])
    else:
        heard.images.append(url)


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())

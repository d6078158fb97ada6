"""Read requests of Chat Completions: the prompt, the tools, the results of tools, and the number of tokens."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

Json = dict[str, Any]

BYTES_PER_TOKEN = 4
_REMINDER = re.compile(r"<system-reminder>.*?</system-reminder>", re.DOTALL)
"""Agents add such elements to a prompt by themselves."""
_TITLE = re.compile(r"generate a (short )?title|title generator", re.IGNORECASE)


class MalformedRequest(ValueError):
    """A request is not one of Chat Completions. The message says why."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One request as the model understands it."""

    model: str
    prompt: str
    """The text of the last message of the person."""
    prompt_tokens: int
    cached_tokens: int = 0
    """The part of `prompt_tokens` that the request before this one of the same conversation had too."""
    results: Sequence[str] = ()
    """Results of the tools that were called since the person's last message, in order."""
    tools: Mapping[str, Json] = field(default_factory=dict[str, Json])
    """JSON Schemas of the parameters, by the name of the tool."""
    forced: str = ""
    """The tool that must be called."""
    wants_title: bool = False
    images: int = 0
    limit: int | None = None
    """The most tokens that the answer may have."""
    stream: bool = False
    stream_usage: bool = False
    """True if a stream must end with the usage."""


def heard(body: Any) -> Heard:
    """Read a request.

    Raises:
        MalformedRequest: It has no messages, or one of them has another form.
    """
    try:
        return _heard(body)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise MalformedRequest(f"The request cannot be read: {error!r}") from error


def tokens_of(text: str) -> int:
    """Return the number of tokens in a text: one for each four bytes begun."""
    return -(-len(text.encode(errors="replace")) // BYTES_PER_TOKEN)


def _heard(body: Any) -> Heard:
    messages: list[Json] = body["messages"]
    asked = [index for index, message in enumerate(messages) if message["role"] == "user"]
    if not asked:
        raise ValueError("it has no message of a user")
    last = asked[-1]
    tools: dict[str, Json] = {
        each["function"]["name"]: each["function"].get("parameters") or {} for each in body.get("tools") or ()
    }
    options: Json = body.get("stream_options") or {}
    sizes = [tokens_of(json.dumps(message, ensure_ascii=False)) for message in messages]
    tools_size = tokens_of(json.dumps(body["tools"], ensure_ascii=False)) if tools else 0
    return Heard(
        model=str(body.get("model", "")),
        prompt=_prompt(messages[last]),
        prompt_tokens=sum(sizes) + tools_size,
        cached_tokens=_cached(messages, sizes, tools_size),
        results=[_text(message) for message in messages[last:] if message["role"] == "tool"],
        tools=tools,
        forced=_forced(body.get("tool_choice"), tools),
        wants_title=not tools and any(_TITLE.search(_text(message)) for message in messages[:2]),
        images=sum(part.get("type") == "image_url" for part in _parts(messages[last])),
        limit=body.get("max_completion_tokens") or body.get("max_tokens"),
        stream=bool(body.get("stream")),
        stream_usage=bool(options.get("include_usage")),
    )


def _cached(messages: Sequence[Json], sizes: Sequence[int], tools_size: int) -> int:
    """Return the tokens before the last answer of the model, which the request for that answer has sent."""
    answers = [index for index, message in enumerate(messages) if message["role"] == "assistant"]
    return tools_size + sum(sizes[: answers[-1]]) if answers else 0


def _forced(choice: Any, tools: Mapping[str, Json]) -> str:
    if isinstance(choice, dict):
        return str(cast("Json", choice)["function"]["name"])
    return next(iter(tools), "") if choice == "required" else ""


def _prompt(message: Json) -> str:
    """Return what the person wrote: the first text that is no reminder of an agent, without quotes around it."""
    texts = (_REMINDER.sub("", part.get("text") or "").strip() for part in _parts(message))
    text = next(filter(None, texts), "")
    # `opencode run` puts quotes around an argument with blanks.
    return text[1:-1].strip() if len(text) > 1 and text[0] == text[-1] == '"' else text


def _text(message: Json) -> str:
    return "\n".join(part["text"] for part in _parts(message) if part.get("text"))


def _parts(message: Json) -> Iterator[Json]:
    content = message.get("content")
    if isinstance(content, str):
        yield {"type": "text", "text": content}
    else:
        yield from content or ()

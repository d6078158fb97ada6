"""A model that follows a script in the prompt: an OpenAI-compatible upstream on loopback, for clients under test.

The model executes a prompt made by `script` step by step: one tool call for each step, then a closing text. It answers
any other prompt with the prompt's beginning. So a test defines a whole turn in one place. The model has no state: it
reads the progress of the turn from the conversation in each request.
"""

import asyncio
import itertools
import json
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from .background import serving

JsonObject = dict[str, Any]

TITLE = "A scripted session"
MODEL = "scripted-1"
PROVIDER = "scripted"
PACKAGE = "@ai-sdk/openai-compatible"


@dataclass(frozen=True)
class Step:
    """One tool call."""

    tool: str
    arguments: JsonObject


def bash(command: str) -> Step:
    return Step("bash", {"command": command, "description": f"runs {command[:40]}"})


def write(path: str, content: str) -> Step:
    return Step("write", {"filePath": path, "content": content})


def read(path: str) -> Step:
    return Step("read", {"filePath": path})


def script(*steps: Step, say: str = "Done.", pause: float = 0.0) -> str:
    """Return the prompt of a turn that makes these calls, then streams `say` word by word, `pause` seconds apart."""
    calls = [{"tool": step.tool, "arguments": step.arguments} for step in steps]
    return json.dumps({"steps": calls, "say": say, "pause": pause})


@dataclass(frozen=True)
class Reply:
    """The model's answer to one request: a tool call, or a text."""

    text: str = ""
    call: Step | None = None
    pause: float = 0.0


@dataclass(frozen=True)
class ScriptedModel:
    """The running upstream."""

    url: str

    def provider(self) -> JsonObject:
        """Return the `provider` section of an opencode.json with this model, which accepts images."""
        modalities = {"input": ["text", "image"], "output": ["text"]}
        model = {
            "name": "Scripted",
            "tool_call": True,
            "attachment": True,
            "modalities": modalities,
            "cost": {"input": 1, "output": 2},
            "limit": {"context": 1_000_000, "output": 8_000},
        }
        options = {"baseURL": f"{self.url}/v1", "apiKey": "no-secret"}
        return {
            PROVIDER: {
                "npm": PACKAGE,
                "name": "Scripted",
                "options": options,
                "models": {MODEL: model},
            }
        }


def reply_to(request: JsonObject) -> Reply:
    """Choose the answer from the conversation alone."""
    messages: list[JsonObject] = request["messages"]
    if not request.get("tools"):
        return Reply(TITLE)
    last_user = max(index for index, message in enumerate(messages) if message["role"] == "user")
    done = sum(message["role"] == "tool" for message in messages[last_user:])
    text = _text_of(messages[last_user])
    plan = _plan(text)
    if plan is None:
        return Reply(f"You said: {text[:80]}")
    if done < len(plan["steps"]):
        step = plan["steps"][done]
        return Reply(call=Step(step["tool"], step["arguments"]))
    return Reply(plan["say"], pause=plan["pause"])


def _text_of(message: JsonObject) -> str:
    content = message["content"]
    if isinstance(content, str):
        return content
    parts: list[JsonObject] = content
    return "\n".join(part["text"] for part in parts if part["type"] == "text")


def _plan(text: str) -> JsonObject | None:
    """Return the script in a prompt. Clients may add lines after it."""
    if not text.startswith('{"steps"'):
        return None
    plan, _ = json.JSONDecoder().raw_decode(text)
    return plan


def _chunks(reply: Reply, number: int) -> Iterator[JsonObject]:
    """Yield the deltas of one streamed completion, in the wire format of OpenAI's chat completions."""
    if reply.call is not None:
        function = {"name": reply.call.tool, "arguments": json.dumps(reply.call.arguments)}
        call = {"index": 0, "id": f"call_{number:06d}", "type": "function", "function": function}
        yield _choice({"role": "assistant", "tool_calls": [call]})
        yield _choice({}, finish="tool_calls")
    else:
        for word in re.findall(r"\s*\S+|\s+$", reply.text):
            yield _choice({"role": "assistant", "content": word})
        yield _choice({}, finish="stop")
    yield {"choices": [], "usage": {"prompt_tokens": 1_000, "completion_tokens": 20, "total_tokens": 1_020}}


def _choice(delta: JsonObject, finish: str | None = None) -> JsonObject:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def _application() -> web.Application:
    numbers = itertools.count(1)

    async def complete(request: web.Request) -> web.StreamResponse:
        reply = reply_to(await request.json())
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for chunk in _chunks(reply, next(numbers)):
            event = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 0, "model": MODEL, **chunk}
            await response.write(f"data: {json.dumps(event)}\n\n".encode())
            await asyncio.sleep(reply.pause)
        await response.write(b"data: [DONE]\n\n")
        return response

    application = web.Application(client_max_size=64 * 1024 * 1024)
    application.router.add_post("/v1/chat/completions", complete)
    return application


@contextmanager
def scripted_model() -> Generator[ScriptedModel]:
    """Run the upstream on a free port.

    Every other path is answered with 404, so its address also serves as the npm registry of a client that must not
    install anything.
    """
    with serving(_application) as url:
        yield ScriptedModel(url)

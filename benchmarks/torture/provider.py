"""The provider of the torture: Chat Completions that stream words, fail as the prompt says, and know the true bill."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Any

from aiohttp import web

MODEL = "torture"
INPUT_PRICE, OUTPUT_PRICE = 300, 1500
"""Micro-cents per token: US$3 and US$15 per million."""
PIECE = " word"
"""One token in every common encoding."""
PAUSE_SECONDS = 0.02


class Fate(StrEnum):
    """The fate of a call."""

    WELL = "well"
    EARLY = "early"
    """The stream fails before its first piece. Providers do not bill such a call."""
    CUT = "cut"
    """The connection breaks in the middle, and no usage is reported."""
    CANCELLED = "cancelled"
    """The client leaves in the middle."""


def prompt_of(fate: Fate, pieces: int) -> str:
    """Return a prompt that tells the provider what to do."""
    return json.dumps({"fate": fate, "pieces": pieces}) + " word" * 400


class Provider:
    """The server, and its bill."""

    def __init__(self) -> None:
        self.bill = 0
        """Micro-cents of all calls: their prompts, and the pieces that were generated."""
        self.calls = 0
        self.running = 0
        self.url = ""

    async def complete(self, request: web.Request) -> web.StreamResponse:
        """Answer one call."""
        body: dict[str, Any] = await request.json()
        text = str(body["messages"][-1]["content"])
        asked = json.loads(text.partition("}")[0] + "}")
        self.calls += 1
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        if asked["fate"] == Fate.EARLY:
            await _send(response, {"error": {"message": "No capacity", "code": 503, "type": "server_error"}})
            return response
        prompt, most = len(text) // 5, body.get("max_tokens") or body.get("max_completion_tokens") or asked["pieces"]
        self.running += 1
        self.bill += prompt * INPUT_PRICE
        try:
            return await self._generate(request, response, asked, prompt, min(most, asked["pieces"]))
        finally:
            self.running -= 1

    async def _generate(
        self, request: web.Request, response: web.StreamResponse, asked: dict[str, Any], prompt: int, pieces: int
    ) -> web.StreamResponse:
        for number in range(pieces):
            await asyncio.sleep(PAUSE_SECONDS)
            self.bill += OUTPUT_PRICE
            await _send(response, {"choices": [{"index": 0, "delta": {"content": PIECE}}]})
            if asked["fate"] == Fate.CUT and number == pieces // 2 and request.transport is not None:
                request.transport.abort()
                return response
        await _send(response, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        usage = {"prompt_tokens": prompt, "completion_tokens": pieces, "total_tokens": prompt + pieces}
        await _send(response, {"choices": [], "usage": usage})
        await response.write(b"data: [DONE]\n\n")
        return response


@asynccontextmanager
async def provider() -> AsyncIterator[Provider]:
    """Serve on a free port of 127.0.0.1."""
    found = Provider()
    application = web.Application()
    application.router.add_post("/v1/chat/completions", found.complete)
    runner = web.AppRunner(application, shutdown_timeout=1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        yield found
    finally:
        await runner.cleanup()


async def _send(response: web.StreamResponse, document: dict[str, Any]) -> None:
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": MODEL, **document}
    await response.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")

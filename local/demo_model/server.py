"""The model over HTTP: `/v1/chat/completions` and `/v1/models`, as providers of Chat Completions have them."""

from __future__ import annotations

import asyncio
import json
import secrets
import signal
import time
from http import HTTPStatus

from aiohttp import web

from local.demo_model import wire
from local.demo_model.answers import MODEL, SMALL_MODEL, answer_to
from local.demo_model.conversations import Heard, MalformedRequest, heard

HOST = "127.0.0.1"
LARGEST_BODY = 64 * 1024 * 1024
CONTEXT = 200_000
"""Tokens."""
THINKING_SECONDS = 0.25
PACE_SECONDS = 0.03
"""Seconds between two words of a stream: about as fast as a person reads."""


def application(pace: float = PACE_SECONDS) -> web.Application:
    """Return the server's application; its streams pause for `pace` seconds after each word."""

    async def complete(request: web.Request) -> web.StreamResponse:
        try:
            asked = heard(json.loads(await request.read()))
        except (MalformedRequest, ValueError) as error:
            return _refused(HTTPStatus.BAD_REQUEST, str(error), "invalid_request")
        if asked.model not in (MODEL, SMALL_MODEL):
            return _refused(HTTPStatus.NOT_FOUND, f"There is no model {asked.model!r} here.", "model_not_found")
        if asked.prompt_tokens > CONTEXT:
            told = f"The maximum context length is {CONTEXT} tokens, and the prompt has {asked.prompt_tokens}."
            return _refused(HTTPStatus.BAD_REQUEST, told, "context_length_exceeded")
        await asyncio.sleep(THINKING_SECONDS if pace else 0)
        made = wire.completion(asked, answer_to(asked), secrets.token_hex(12), int(time.time()))
        if not asked.stream:
            return web.json_response(made.whole())
        return await _stream(request, asked, made, pace)

    async def models(_request: web.Request) -> web.Response:
        listed = [{"id": name, "object": "model", "owned_by": "this machine"} for name in (MODEL, SMALL_MODEL)]
        return web.json_response({"object": "list", "data": listed})

    made = web.Application(client_max_size=LARGEST_BODY)
    made.router.add_post("/v1/chat/completions", complete)
    made.router.add_get("/v1/models", models)
    return made


async def serve(port: int, pace: float = PACE_SECONDS) -> None:
    """Serve on the loopback interface until SIGTERM or SIGINT."""
    # A caller that hangs up ends its stream.
    runner = web.AppRunner(application(pace), access_log=None, handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, HOST, port).start()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await ended.wait()
    await runner.cleanup()


async def _stream(request: web.Request, asked: Heard, made: wire.Completion, pace: float) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await response.prepare(request)
    for event in made.events(usage=asked.stream_usage):
        await response.write(event)
        await asyncio.sleep(pace)
    return response


def _refused(status: HTTPStatus, message: str, code: str) -> web.Response:
    return web.json_response(wire.error(message, code), status=status)

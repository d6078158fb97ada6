"""Passes a client's requests on to the stack and notes them, for what only the wire tells.

1.0.61 loses updates by itself: between an event and its place in the queue it reads a file, so that of two updates of
one item the older may be sent last. What a share must equal is then what was sent, not what the client has.
"""

import json
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from .background import serving

JsonObject = dict[str, Any]

HOP_BY_HOP = {"host", "connection", "content-length", "transfer-encoding"}


@dataclass(frozen=True)
class Exchange:
    """One request of the client that has been answered."""

    path: str
    body: JsonObject


@dataclass
class Recorder:
    """The running recorder: where it is, and what went through, in order of the answers."""

    url: str = ""
    exchanges: list[Exchange] = field(default_factory=list[Exchange])

    def sent(self, session_id: str) -> dict[str, JsonObject]:
        """The content that the legacy client sent last for each key of the session since it last shared it.

        Refused ones are among them: what the client sent, the share must hold.
        """
        contents: dict[str, JsonObject] = {}
        for exchange in self.exchanges:
            if exchange.body.get("sessionID") != session_id:
                continue
            if exchange.path == "/share_create":
                contents.clear()
            elif exchange.path == "/share_sync":
                contents[exchange.body["key"]] = exchange.body["content"]
        return contents


@contextmanager
def recording(target: str) -> Generator[Recorder]:
    """Runs a recorder in front of `target`."""
    recorder = Recorder()
    with serving(lambda: _application(recorder, target)) as url:
        recorder.url = url
        yield recorder


def _application(recorder: Recorder, target: str) -> web.Application:
    sessions: list[aiohttp.ClientSession] = []

    async def connect(_: web.Application) -> AsyncIterator[None]:
        async with aiohttp.ClientSession(auto_decompress=False) as session:
            sessions.append(session)
            yield

    async def forward(request: web.Request) -> web.Response:
        body = await request.read()
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
        (session,) = sessions
        async with session.request(request.method, f"{target}{request.path_qs}", data=body, headers=headers) as answer:
            content = await answer.read()
        recorder.exchanges.append(Exchange(request.path, json.loads(body or b"{}")))
        passed_on = {name: value for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP}
        return web.Response(status=answer.status, headers=passed_on, body=content)

    application = web.Application(client_max_size=64 * 1024 * 1024)
    application.cleanup_ctx.append(connect)
    application.router.add_route("*", "/{path:.*}", forward)
    return application

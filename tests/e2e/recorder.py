"""Forward a client's requests to the stack and record them.

1.0.61 can send two updates of one item in the wrong order, because it reads a file before it queues an update. So tests
compare a share with the recorded requests, not with the client's state.
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
    """The running recorder: its address, and the exchanges in order of their answers."""

    url: str = ""
    exchanges: list[Exchange] = field(default_factory=list[Exchange])

    def sent(self, session_id: str) -> dict[str, JsonObject]:
        """Return the content that the legacy client sent last for each key since it last shared the session.

        Refused requests are included, because the share must hold everything that the client sent.
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
    """Run a recorder in front of `target`."""
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

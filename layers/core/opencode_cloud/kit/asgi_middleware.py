"""Middleware of streaming ASGI applications: access from the CDN only, and a limit of concurrent requests."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

from opencode_cloud.kit import edge

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

ORIGIN_HEADER = edge.ORIGIN_HEADER.encode()
VIEWER_HEADER = edge.VIEWER_HEADER.encode()
FORWARDED_FOR = b"x-forwarded-for"


class EdgeOnly:
    """Admits requests of the CDN only, which sends a secret.

    So clients cannot bypass the CDN by calling our public function URL. The header ``x-forwarded-for`` is replaced by
    the viewer's address as the CDN saw it, since a function URL would keep a forged value of the viewer.
    """

    def __init__(self, application: Application, secret: Callable[[], str], *, open_paths: Collection[str]) -> None:
        """``secret`` may block. It is called once on a thread when the process starts, so no request waits for it.

        ``open_paths`` need no secret; they are for health checks.
        """
        self._application = application
        self._fetch_secret = secret
        self._open = frozenset(open_paths)
        self._secret = b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request, or answer 403."""
        if scope["type"] == "lifespan":
            await self._load_secret()
        if scope["type"] != "http" or scope["path"] in self._open:
            await self._application(scope, receive, send)
        elif await self._has_secret(scope):
            await self._application({**scope, "headers": _from_viewer(scope["headers"])}, receive, send)
        else:
            await answer(send, 403, "forbidden", "Ask at the public address.")

    async def _load_secret(self) -> None:
        self._secret = (await asyncio.to_thread(self._fetch_secret)).encode()

    async def _has_secret(self, scope: Scope) -> bool:
        if not self._secret:
            await self._load_secret()
        given = next((value for name, value in scope["headers"] if name == ORIGIN_HEADER), b"")
        return edge.is_secret(given, self._secret)


def _from_viewer(headers: Collection[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the headers with the viewer's address, which the CDN sends, as ``x-forwarded-for``."""
    viewer = [value for name, value in headers if name == VIEWER_HEADER]
    others = [pair for pair in headers if pair[0] not in (VIEWER_HEADER, ORIGIN_HEADER, FORWARDED_FOR)]
    return [*others, *((FORWARDED_FOR, value) for value in viewer)]


class LoadShedding:
    """Answers 503 at once beyond a number of concurrent requests, to keep the others fast."""

    def __init__(self, application: Application, limit: int, *, open_paths: Collection[str]) -> None:
        """``limit`` 0 means no limit. A request to one of ``open_paths`` is always served."""
        self._application = application
        self._limit = limit
        self._open = frozenset(open_paths)
        self.serving = 0
        """Number of requests under way."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request, or answer 503."""
        if scope["type"] != "http" or scope["path"] in self._open:
            await self._application(scope, receive, send)
        elif self._limit and self.serving >= self._limit:
            message = "Too many model calls are under way here. Try again in a moment."
            await answer(send, 503, "overloaded", message, retry_after=1)
        else:
            self.serving += 1
            try:
                await self._application(scope, receive, send)
            finally:
                self.serving -= 1


async def answer(send: Send, status: int, code: str, message: str, *, retry_after: int | None = None) -> None:
    """Send an error in a form that both our clients and the SDKs of model providers understand."""
    error = {"type": code, "code": code, "message": message}
    document = {"type": "error", "error": error, "correlation_id": str(uuid.uuid4())}
    body = json.dumps(document).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(b"cache-control", b"no-store"), (b"access-control-allow-origin", b"*")]
    headers += [(b"retry-after", str(retry_after).encode())] if retry_after is not None else []
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

"""Serve handlers of API Gateway's events as an ASGI application: a request becomes an event of payload format 2.0.

So one handler answers in a function and in a process of our own. Handlers block, so they run on threads.
"""

from __future__ import annotations

import asyncio
import base64
import random
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qsl

from opencode_cloud.kit.asgi_middleware import Message, Receive, Scope, Send
from opencode_cloud.kit.clock import now_ms
from opencode_cloud.kit.errors import PayloadTooLarge

Event = dict[str, Any]
EventHandler = Callable[[Event, Any], Mapping[str, Any]]


class RequestContext:
    """The part of Lambda's context that handlers read: the id of the request."""

    def __init__(self, request_id: str) -> None:
        self.aws_request_id = request_id
        """The id in logs and errors."""


def body_too_large(limit: int) -> PayloadTooLarge:
    """Return the error for a request body of more than ``limit`` bytes."""
    return PayloadTooLarge("payload_too_large", f"A request may have {limit:,} bytes: send less at once.")


def event_of(scope: Scope) -> Event:
    """Return the event of a request without its body. Its arrival is now."""
    headers: dict[str, str] = {}
    cookies: list[str] = []
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if name == "cookie":
            cookies.append(value)
        else:
            headers[name] = f"{headers[name]},{value}" if name in headers else value
    query = scope["query_string"].decode("latin-1")
    path = scope["path"]
    event: Event = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers,
        "requestContext": {
            "domainName": headers.get("host", ""),
            "http": {
                "method": scope["method"],
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": scope["client"][0] if scope.get("client") else "",
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": f"{random.getrandbits(64):016x}",  # it is no secret, and a system call for it takes 10 us
            "stage": "$default",
            "timeEpoch": now_ms(),
        },
        "isBase64Encoded": False,
    }
    if query:
        event["queryStringParameters"] = _joined(parse_qsl(query, keep_blank_values=True))
    if cookies:
        event["cookies"] = [cookie.strip() for text in cookies for cookie in text.split(";")]
    return event


def _joined(pairs: list[tuple[str, str]]) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for name, value in pairs:
        parameters[name] = f"{parameters[name]},{value}" if name in parameters else value
    return parameters


async def read_body(receive: Receive, headers: Mapping[str, str], limit: int) -> bytes:
    """Return the body of a request. Raises ``payload_too_large`` (413) before more than ``limit`` bytes are held."""
    if int(headers.get("content-length") or 0) > limit:
        raise body_too_large(limit)
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise body_too_large(limit)
        chunks.append(chunk)
        if not message.get("more_body"):
            return b"".join(chunks)


class EventAdapter:
    """Answers requests by a handler of events."""

    def __init__(self, handler: EventHandler, threads: ThreadPoolExecutor, *, longest_body: int) -> None:
        """``longest_body`` is in bytes."""
        self._handler = handler
        self._threads = threads
        self._longest_body = longest_body

    async def answer(self, event: Event, receive: Receive, send: Send) -> None:
        """Read the body into ``event``, have the handler answer it, and send the answer."""
        body = await read_body(receive, event["headers"], self._longest_body)
        if body:
            event["body"], event["isBase64Encoded"] = base64.b64encode(body).decode(), True
        context = RequestContext(event["requestContext"]["requestId"])
        loop = asyncio.get_running_loop()
        answered = await loop.run_in_executor(self._threads, self._handler, event, context)
        await send_answer(answered, send)


async def send_answer(answered: Mapping[str, Any], send: Send) -> None:
    """Send a handler's answer of payload format 2.0."""
    text: str = answered.get("body") or ""
    body = base64.b64decode(text) if answered.get("isBase64Encoded") else text.encode()
    headers = [(name.lower().encode(), str(value).encode("latin-1")) for name, value in _headers_of(answered)]
    headers += [(b"set-cookie", cookie.encode("latin-1")) for cookie in answered.get("cookies") or ()]
    await send_response(send, int(answered["statusCode"]), headers, body)


async def send_response(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    """Send a complete answer."""
    start: Message = {"type": "http.response.start", "status": status}
    start["headers"] = [*headers, (b"content-length", str(len(body)).encode())] if status not in (204, 304) else headers
    await send(start)
    await send({"type": "http.response.body", "body": body})


def _headers_of(answered: Mapping[str, Any]) -> list[tuple[str, Any]]:
    headers: Mapping[str, Any] = answered.get("headers") or {}
    several: Mapping[str, list[Any]] = answered.get("multiValueHeaders") or {}
    return [*headers.items(), *((name, value) for name, values in several.items() for value in values)]

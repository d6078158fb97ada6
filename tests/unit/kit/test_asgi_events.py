"""Requests of ASGI as events of API Gateway."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from opencode_cloud.kit.asgi_events import EventAdapter, event_of, read_body
from opencode_cloud.kit.errors import PayloadTooLarge

SCOPE: dict[str, Any] = {
    "type": "http",
    "method": "POST",
    "path": "/share/a b",
    "query_string": b"after=3&x=1&x=2&empty=",
    "headers": [(b"host", b"h"), (b"cookie", b"a=1; b=2"), (b"accept", b"text/html"), (b"accept", b"*/*")],
    "client": ("192.0.2.7", 1),
}


def receiver(*chunks: bytes) -> Any:
    messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> Mapping[str, Any]:
        return messages.pop(0)

    return receive


def test_an_event_has_what_api_gateway_would_say() -> None:
    event = event_of(SCOPE)
    assert event["rawPath"] == "/share/a b"
    assert event["queryStringParameters"] == {"after": "3", "x": "1,2", "empty": ""}
    assert event["headers"] == {"host": "h", "accept": "text/html,*/*"}
    assert event["cookies"] == ["a=1", "b=2"]
    assert event["requestContext"]["http"]["sourceIp"] == "192.0.2.7"
    assert event["requestContext"]["timeEpoch"] > 1_700_000_000_000


async def test_a_body_is_read_in_pieces_up_to_a_limit() -> None:
    assert await read_body(receiver(b"ab", b"cd"), {}, 4) == b"abcd"
    with pytest.raises(PayloadTooLarge):
        await read_body(receiver(b"ab", b"cde"), {}, 4)
    with pytest.raises(PayloadTooLarge):
        await read_body(receiver(), {"content-length": "5"}, 4)


async def test_a_handler_s_answer_is_sent() -> None:
    def handler(event: dict[str, Any], _context: Any) -> Mapping[str, Any]:
        body = base64.b64encode(base64.b64decode(event["body"]).upper()).decode()
        headers = {"Content-Type": "text/plain"}
        return {"statusCode": 201, "headers": headers, "cookies": ["c=1"], "body": body, "isBase64Encoded": True}

    sent: list[Mapping[str, Any]] = []

    async def send(message: Mapping[str, Any]) -> None:
        sent.append(message)

    with ThreadPoolExecutor(1) as threads:
        adapter = EventAdapter(handler, threads, longest_body=100)
        await adapter.answer(event_of(SCOPE), receiver(b"hello"), send)
    start, body = sent
    assert start["status"] == 201
    assert (b"content-type", b"text/plain") in start["headers"]
    assert (b"set-cookie", b"c=1") in start["headers"]
    assert (b"content-length", b"5") in start["headers"]
    assert body["body"] == b"HELLO"

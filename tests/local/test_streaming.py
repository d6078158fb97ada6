"""Model calls through the front door: byte by byte, without a time limit, and cut when the viewer disconnects."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from infra.routes import ORIGIN_HEADER, VIEWER_HEADER
from local.front_door.settings import UNLIMITED, Quotas, Settings
from tests.local.doors import behind, closed, front_door
from tests.waiting import PATIENCE, until_async

MIB = 1024 * 1024
SECRET = "between the door and the gateway"
Answer = Callable[["Gateway", web.BaseRequest], Coroutine[Any, Any, web.StreamResponse]]


async def say(gateway: "Gateway", request: web.BaseRequest) -> web.StreamResponse:
    """Stream the chunks that a test puts into the queue, until None."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Upstream": "own"})
    await response.prepare(request)
    while (chunk := await gateway.chunks.get()) is not None:
        await response.write(chunk)
    return response


@dataclass
class Gateway:
    """A stand-in for the gateway. It records requests and sends the configured answer."""

    answer: Answer = say
    chunks: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)
    requests: list[dict[str, Any]] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the client closed the connection before the end of the answer."""

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.content.read()
        self.requests.append({"target": request.raw_path, "headers": request.headers, "body": body})
        try:
            return await self.answer(self, request)
        except asyncio.CancelledError:
            self.left.set()
            raise


@dataclass
class Door:
    url: str
    gateway: Gateway


@contextlib.asynccontextmanager
async def opened(quotas: Quotas) -> AsyncIterator[Door]:
    gateway = Gateway()
    with closed() as nowhere:
        async with behind(gateway.serve, handler_cancellation=True) as address:
            settings = Settings(
                0,
                f"http://{nowhere}",
                f"ws://{nowhere}",
                gateway_url=f"http://{address}",
                origin_secret=SECRET,
                quotas=quotas,
            )
            async with front_door(settings) as url:
                yield Door(url, gateway)


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async with opened(Quotas()) as door:
        yield door


async def error_of(response: aiohttp.ClientResponse) -> str:
    document = await response.json()
    assert document["type"] == "error"
    assert document["error"]["type"] == document["error"]["code"]
    return document["error"]["code"]


@pytest.mark.parametrize("path", ["/zen/v1/chat/completions", "/inference/x", "/zen/v1/models/a%2Fb:generate?alt=sse"])
async def test_what_the_gateway_says_arrives_before_it_says_more(
    door: Door, client: aiohttp.ClientSession, path: str
) -> None:
    async with client.post(URL(door.url + path, encoded=True), data=b"{}") as answer:
        assert answer.headers["Content-Type"] == "text/event-stream"
        assert answer.headers["X-Upstream"] == "own"
        for chunk in (b"data: 1\n\n", b"data: 2", b"\n\n"):
            await door.gateway.chunks.put(chunk)
            assert await asyncio.wait_for(answer.content.readany(), PATIENCE) == chunk
        await door.gateway.chunks.put(None)
        assert await answer.read() == b""
    assert door.gateway.requests[0]["target"] == path


async def test_the_gateway_knows_the_door_and_who_asked(door: Door, client: aiohttp.ClientSession) -> None:
    await door.gateway.chunks.put(None)
    told = {ORIGIN_HEADER: "a guess", VIEWER_HEADER: "7.7.7.7", "X-Forwarded-For": "6.6.6.6"}
    told |= {"Authorization": "Bearer key", "X-Session": "s"}
    async with client.post(f"{door.url}/zen/v1/messages", data=b"\x00body", headers=told) as answer:
        assert answer.status == 200
    (request,) = door.gateway.requests
    sent = request["headers"]
    assert sent.getall(ORIGIN_HEADER) == [SECRET]
    assert sent.getall("X-Forwarded-For") == sent.getall(VIEWER_HEADER) == ["127.0.0.1"]
    assert (sent["Authorization"], sent["X-Session"]) == ("Bearer key", "s")
    assert request["body"] == b"\x00body"


async def test_who_leaves_is_let_go_upstream_at_once(door: Door, client: aiohttp.ClientSession) -> None:
    async with client.post(f"{door.url}/zen/v1/messages", data=b"{}") as answer:
        await door.gateway.chunks.put(b"data: 1\n\n")
        await answer.content.readany()
        answer.close()
    await asyncio.wait_for(door.gateway.left.wait(), PATIENCE)


async def test_who_leaves_before_the_first_byte_is_let_go_too(door: Door, client: aiohttp.ClientSession) -> None:
    async def wait(_gateway: Gateway, _request: web.BaseRequest) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError("no test wakes it")

    door.gateway.answer = wait
    asking = asyncio.ensure_future(client.post(f"{door.url}/zen/v1/messages", data=b"{}"))
    await until_async(lambda: bool(door.gateway.requests))
    asking.cancel()
    await asyncio.wait_for(door.gateway.left.wait(), PATIENCE)


async def test_a_stream_that_breaks_off_is_not_taken_for_a_whole_one(door: Door, client: aiohttp.ClientSession) -> None:
    async def break_off(_gateway: Gateway, request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"half")
        assert request.transport is not None
        request.transport.abort()
        return response

    door.gateway.answer = break_off
    with pytest.raises(aiohttp.ClientError):
        async with client.post(f"{door.url}/zen/v1/messages", data=b"{}") as answer:
            await answer.read()


async def test_a_silent_gateway_is_given_up_as_the_cdn_would(client: aiohttp.ClientSession) -> None:
    async def wait(_gateway: Gateway, _request: web.BaseRequest) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError("nothing sets the event")

    async with opened(Quotas(stream_seconds=0.2)) as door:
        door.gateway.answer = wait
        async with client.post(f"{door.url}/zen/v1/messages", data=b"{}") as answer:
            assert (answer.status, await error_of(answer)) == (504, "timeout")


async def test_a_stream_outlives_what_functions_may_take(client: aiohttp.ClientSession) -> None:
    quotas = Quotas(http_seconds=0.1, stream_seconds=60)
    async with opened(quotas) as door, client.post(f"{door.url}/zen/v1/messages", data=b"{}") as answer:
        for _ in range(3):
            await asyncio.sleep(0.1)
            await door.gateway.chunks.put(b": keep-alive\n\n")
        await door.gateway.chunks.put(None)
        assert (await answer.read()).count(b"keep-alive") == 3


async def test_a_gateway_that_is_gone_is_told_in_the_shape_of_model_errors(client: aiohttp.ClientSession) -> None:
    with closed() as nowhere:
        settings = Settings(0, f"http://{nowhere}", f"ws://{nowhere}", gateway_url=f"http://{nowhere}")
        async with front_door(settings) as url, client.post(f"{url}/zen/v1/messages", data=b"{}") as answer:
            assert (answer.status, await error_of(answer)) == (503, "unavailable")


@pytest.mark.parametrize(("body", "status"), [(b"x" * (6 * MIB), 413), (b'"' * (3 * MIB + 1), 413), (b"x" * MIB, 200)])
async def test_a_request_fits_into_an_event_or_is_refused(
    door: Door, client: aiohttp.ClientSession, body: bytes, status: int
) -> None:
    await door.gateway.chunks.put(None)
    headers = {"Content-Type": "application/json"}
    async with client.post(f"{door.url}/zen/v1/messages", data=body, headers=headers) as answer:
        assert answer.status == status
        if status == 413:
            assert await error_of(answer) == "payload_too_large"
            assert not door.gateway.requests


async def test_without_quotas_large_requests_pass(client: aiohttp.ClientSession) -> None:
    async with opened(UNLIMITED) as door:
        await door.gateway.chunks.put(None)
        async with client.post(f"{door.url}/zen/v1/messages", data=b"x" * (8 * MIB)) as answer:
            assert answer.status == 200
    assert len(door.gateway.requests[0]["body"]) == 8 * MIB


async def test_a_large_chunk_passes_whole(door: Door, client: aiohttp.ClientSession) -> None:
    async with client.post(f"{door.url}/zen/v1/messages", data=b"{}") as answer:
        await door.gateway.chunks.put(b"y" * (10 * MIB))
        await door.gateway.chunks.put(None)
        assert len(await answer.read()) == 10 * MIB

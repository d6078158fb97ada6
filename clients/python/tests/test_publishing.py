"""Publishing over the socket and over HTTP, and the operations of a share's owner."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fake_server import SECRET, SHARE, Body, FakeServer, Fate

from opencode_cloud_client import (
    Backoff,
    ConnectionLost,
    Forbidden,
    InvalidRequest,
    NewItem,
    ProtocolError,
    RateLimited,
    RequestRefused,
    Share,
    ShareGone,
    TooLarge,
    Unauthorized,
)

QUICK = Backoff(first=0.001, attempts=4)


def part(value: Any) -> NewItem:
    return {"type": "part", "data": value}


@pytest.fixture
def share(server: FakeServer) -> Share:
    return Share(server.url, SHARE, SECRET, backoff=QUICK)


async def test_acknowledged_in_order(server: FakeServer, share: Share) -> None:
    async with share.publisher() as publisher:
        seqs = await asyncio.gather(*[publisher.sync([part(n), part(n)]) for n in range(5)])
    assert seqs == [2, 4, 6, 8, 10]
    assert [item["data"] for item in server.log] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert server.actions[0]["secret"] == SECRET


async def test_one_batch_in_flight_unless_told_otherwise(server: FakeServer, share: Share) -> None:
    for in_flight in (1, 3):
        server.answer, server.actions = lambda action: [], []
        async with share.publisher(in_flight=in_flight) as publisher:
            batches = [asyncio.create_task(publisher.sync([part(n)])) for n in range(5)]
            async with asyncio.timeout(60):
                await server.received(in_flight)
            await asyncio.sleep(0.1)  # in which more would come
            assert len(server.actions) == in_flight
        for outcome in await asyncio.gather(*batches, return_exceptions=True):
            assert isinstance(outcome, ConnectionLost)


async def test_unacknowledged_batches_are_sent_again(server: FakeServer, share: Share) -> None:
    fates: list[Fate] = ["cut", "pass", "cut", "pass"]
    server.fate = lambda frame: fates.pop(0) if frame["type"] == "ack" and fates else "pass"
    async with share.publisher() as publisher:
        for n in range(4):
            await publisher.sync([part(n)])
    assert [item["data"] for item in server.log] == [0, 0, 1, 1, 2, 3]
    assert share.counters.connections == 3


async def test_large_messages_go_in_small_frames(server: FakeServer, share: Share) -> None:
    text = "é" * 40_000
    async with share.publisher() as publisher:
        await publisher.sync([part(text)])
    assert server.log[0]["data"] == text
    assert max(server.fragment_sizes) <= 32 * 1024
    assert len([size for size in server.fragment_sizes if size]) == 3  # an empty one may end the message


async def test_too_large_for_the_socket_goes_over_http(server: FakeServer) -> None:
    seen: list[Body] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(json.loads(request.content))
        return httpx.Response(200, json={"seq": 7})

    async with requesting(answer, server.url) as share, share.publisher() as publisher:
        assert await publisher.sync([part("x" * 200_000)]) == 7
        assert await publisher.sync([part("small")]) == 1
    assert len(seen) == 1
    assert seen[0]["secret"] == SECRET


async def test_refused_batch_leaves_the_publisher_working(server: FakeServer, share: Share) -> None:
    def refuse(action: Body) -> list[Body] | None:
        error = {"type": "error", "code": "invalid_item", "message": "Item 0", "id": action["id"], "status": 400}
        return [error] if action["items"][0]["data"] == "bad" else None

    server.answer = refuse
    async with share.publisher() as publisher:
        with pytest.raises(InvalidRequest, match="Item 0"):
            await publisher.sync([part("bad")])
        assert await publisher.sync([part("good")]) == 1


async def test_error_of_the_gateway_makes_it_send_again(server: FakeServer, share: Share) -> None:
    server.answer = lambda action: [{"message": "Internal server error"}] if len(server.actions) < 3 else None
    async with share.publisher() as publisher:
        assert await publisher.sync([part(1)]) == 1
    assert share.counters.connections == 3


async def test_gone_fails_everything(server: FakeServer, share: Share) -> None:
    server.gone = True
    async with share.publisher() as publisher:
        for _ in range(2):
            with pytest.raises(ShareGone):
                await publisher.sync([part(1)])


async def test_publisher_gives_up(closed_port: int) -> None:
    share = Share(f"http://127.0.0.1:{closed_port}", SHARE, SECRET, backoff=QUICK)
    async with share, share.publisher() as publisher:
        with pytest.raises(ConnectionLost, match="4 attempts"):
            await publisher.sync([part(1)])


async def test_publisher_must_be_open(share: Share) -> None:
    with pytest.raises(ConnectionLost, match="not open"):
        await share.publisher().sync([part(1)])


def requesting(answer: Callable[[httpx.Request], httpx.Response], url: str = "http://cloud.test/") -> Share:
    http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    return Share(url, SHARE, SECRET, backoff=QUICK, http=http)


async def test_life_of_a_share() -> None:
    requests: list[tuple[str, str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append((request.method, str(request.url), json.loads(request.content or b"null")))
        match request.method, request.url.path:
            case "POST", "/api/share":
                return httpx.Response(200, json={"id": SHARE, "url": "http://cloud.test/share/A", "secret": SECRET})
            case "POST", _:
                return httpx.Response(200, json={"seq": 2})
            case "GET", _:
                return httpx.Response(200, json=[part(1)])
            case _:
                return httpx.Response(200, json={})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        async with await Share.create("http://cloud.test/", "ses_1", http=http) as share:
            assert (share.id, share.url, share.secret) == (SHARE, "http://cloud.test/share/A", SECRET)
            assert await share.sync([part(1), part(2)]) == 2
            assert await share.data() == [part(1)]
            await share.delete()
        assert not http.is_closed
    assert requests == [
        ("POST", "http://cloud.test/api/share", {"sessionID": "ses_1"}),
        ("POST", f"http://cloud.test/api/share/{SHARE}/sync", {"secret": SECRET, "data": [part(1), part(2)]}),
        ("GET", f"http://cloud.test/api/share/{SHARE}/data", None),
        ("DELETE", f"http://cloud.test/api/share/{SHARE}", {"secret": SECRET}),
    ]
    assert SECRET not in repr(share)


async def test_passing_failures_are_retried() -> None:
    replies = iter([httpx.Response(503), httpx.Response(429), httpx.Response(200, json={"seq": 1})])
    share = requesting(lambda request: next(replies))
    assert await share.sync([part(1)]) == 1


async def test_retries_end() -> None:
    share = requesting(lambda request: httpx.Response(429, json={"error": "too_many_creates", "message": "Wait."}))
    with pytest.raises(RateLimited, match="Wait"):
        await share.sync([part(1)])


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequest),
        (401, Unauthorized),
        (403, Forbidden),
        (410, ShareGone),
        (413, TooLarge),
        (422, InvalidRequest),
    ],
)
async def test_refusals_are_typed(status: int, kind: type[RequestRefused]) -> None:
    body = {"error": "the_code", "message": "Say why.", "correlation_id": "abc"}
    share = requesting(lambda request: httpx.Response(status, json=body))
    with pytest.raises(kind) as caught:
        await share.sync([])
    assert (caught.value.code, caught.value.correlation_id) == ("the_code", "abc")


async def test_answers_that_are_not_ours() -> None:
    share = requesting(lambda request: httpx.Response(200, text="<html>"))
    for call in (share.sync([]), share.data()):
        with pytest.raises(ProtocolError):
            await call

"""The front door routes and forwards as the CDN does, and applies AWS's limits."""

import asyncio
import contextlib
import gzip
import json
import time
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from yarl import URL

from infra.routes import ERROR_SECONDS, ORIGIN_HEADER, VIEWER_HEADER
from local.emulator.arrivals import ARRIVAL_HEADER, with_arrival
from local.front_door.http import embedded_size
from local.front_door.settings import LARGEST_BACKLOG, UNLIMITED, Quotas, Settings
from local.front_door.websocket import FrameMeter, TooBig, close_frame
from tests.local.doors import behind, closed, front_door
from tests.waiting import PATIENCE, until_async, until_awaited

KIB = 1024
MIB = 1024 * KIB


@dataclass
class Origin:
    """A stand-in for both APIs. It records requests and sends the configured answer."""

    requests: list[dict[str, Any]] = field(default_factory=list)
    answer: Callable[[], web.StreamResponse] = lambda: web.json_response({"ok": True})
    closed_with: list[int] = field(default_factory=list)
    flood: int = 0

    async def http(self, request: web.Request) -> web.StreamResponse:
        body = await request.content.read()
        kept = {"method": request.method, "target": request.raw_path, "headers": request.headers, "body": body}
        self.requests.append(kept)
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self.socket(request)
        return self.answer()

    async def socket(self, request: web.Request) -> web.StreamResponse:
        if "refuse" in request.query:
            return web.Response(status=403)
        if "gone" in request.query:
            return web.Response(status=410, headers={"Cache-Control": request.query["gone"]})
        socket = web.WebSocketResponse(max_msg_size=64 * MIB, compress=False)
        await socket.prepare(request)
        with contextlib.suppress(ConnectionError):
            for _ in range(self.flood):
                await socket.send_str("x" * 100_000)
            async for message in socket:
                text = message.data
                await socket.send_str("y" * int(text[5:]) if text.startswith("send ") else f"echo {len(text)}")
        self.closed_with.append(socket.close_code or 0)
        return socket


SECRET = "the door's secret"


@dataclass
class Door:
    url: str
    origin: Origin

    @property
    def websocket_url(self) -> str:
        return self.url.replace("http", "ws", 1)


@contextlib.asynccontextmanager
async def opened(
    quotas: Quotas, *, trust_proxy: bool = False, error_seconds: Mapping[int, int] = ERROR_SECONDS
) -> AsyncIterator[Door]:
    origin = Origin()
    async with behind(origin.http, auto_decompress=False) as address:
        settings = Settings(
            0,
            f"http://{address}/_aws/http",
            f"ws://{address}/_aws/v1",
            gateway_url=f"http://{address}",
            quotas=quotas,
            trust_proxy=trust_proxy,
            error_seconds=error_seconds,
            origin_secret=SECRET,
        )
        async with front_door(settings) as url:
            yield Door(url, origin)


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async with opened(Quotas()) as door:
        yield door


async def error_of(response: aiohttp.ClientResponse) -> str:
    document = await response.json()
    assert document.keys() == {"error", "message", "correlation_id"}
    return document["error"]


async def test_a_request_arrives_as_it_was_sent(door: Door, client: aiohttp.ClientSession) -> None:
    target = f"{door.url}/api/share/a%2Fb?x=1&x=%20"
    headers = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Host": "evil", "Content-Type": "text/odd", "Cookie": "a=b"}
    async with client.delete(URL(target, encoded=True), data=b"\x00body", headers=headers) as answer:
        assert (answer.status, await answer.json()) == (200, {"ok": True})

    (request,) = door.origin.requests
    assert (request["method"], request["target"]) == ("DELETE", "/_aws/http/api/share/a%2Fb?x=1&x=%20")
    assert request["body"] == b"\x00body"
    sent = request["headers"]
    assert (sent["Content-Type"], sent["Cookie"]) == ("text/odd", "a=b")
    assert sent.getall("X-Forwarded-For") == ["127.0.0.1"]
    assert sent["X-Forwarded-Host"] == door.url.removeprefix("http://")
    assert sent["X-Forwarded-Proto"] == "http"


async def test_a_request_is_dated_before_its_body_is_read(door: Door) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", URL(door.url).port)
    began = time.time() * 1000
    head = f"POST /api/share HTTP/1.1\r\nhost: 127.0.0.1\r\n{ARRIVAL_HEADER}: 1\r\ncontent-length: 2\r\n"
    writer.write(f"{head}connection: close\r\n\r\n".encode())
    await asyncio.sleep(0.5)
    ended = time.time() * 1000
    writer.write(b"{}")
    await asyncio.wait_for(reader.read(), PATIENCE)
    writer.close()
    [arrived] = door.origin.requests[0]["headers"].getall(ARRIVAL_HEADER)
    assert began - 1 <= int(arrived) < ended - 1


def test_an_event_has_the_time_of_the_front_door() -> None:
    event = {"headers": {"a": "b", ARRIVAL_HEADER: "1795000000123"}, "requestContext": {"timeEpoch": 1, "stage": "s"}}
    dated = with_arrival(event)
    assert dated == {"headers": {"a": "b"}, "requestContext": {"timeEpoch": 1795000000123, "stage": "s"}}
    for other in ({"headers": {"a": "b"}}, {"Records": []}, [1], None):
        assert with_arrival(other) is other


WITHOUT_A_WORD: dict[int, int] = {}
"""The settings of a distribution that says nothing about errors."""


async def twice(door: Door, path: str, client: aiohttp.ClientSession, method: str = "GET") -> list[int]:
    """Return the statuses of two requests to `path`, by two viewers."""
    statuses: list[int] = []
    for viewer in ("one", "two"):
        async with client.request(method, f"{door.url}{path}", headers={"Cookie": f"viewer={viewer}"}) as answer:
            statuses.append(answer.status)
            await answer.read()
    return statuses


@pytest.mark.parametrize("path", ["/console", "/zen/v1/models"])
@pytest.mark.parametrize("status", [400, 403, 404, 405, 414, 500, 503, 504])
async def test_no_error_is_answered_again_by_the_cdn(
    door: Door, client: aiohttp.ClientSession, path: str, status: int
) -> None:
    door.origin.answer = lambda: web.Response(status=status)
    assert await twice(door, path, client) == [status, status]
    assert len(door.origin.requests) == 2


async def test_the_cdn_keeps_errors_for_everybody_where_it_is_not_told_otherwise(
    client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(Quotas(), error_seconds=WITHOUT_A_WORD) as door:
        door.origin.answer = lambda: web.Response(status=503, headers={"Cache-Control": "no-store"})
        assert await twice(door, "/console?a=1", client) == [503, 503]
        door.origin.answer = lambda: web.json_response({"ok": True})
        assert await twice(door, "/console?b=2", client) == [503, 503]
        assert await twice(door, "/elsewhere", client) == [200, 200]
        assert await twice(door, "/console", client, "POST") == [200, 200]
        assert len(door.origin.requests) == 5
        later = time.monotonic() + 11
        monkeypatch.setattr("local.front_door.error_cache.monotonic", lambda: later)
        assert await twice(door, "/console", client) == [200, 200]


async def test_the_cdn_heeds_no_store_of_what_is_gone(client: aiohttp.ClientSession) -> None:
    async with opened(Quotas(), error_seconds=WITHOUT_A_WORD) as door:
        door.origin.answer = lambda: web.Response(status=410, headers={"Cache-Control": "no-store"})
        assert await twice(door, "/s/shr_1", client) == [410, 410]
        assert len(door.origin.requests) == 2
        door.origin.answer = lambda: web.Response(status=410)
        assert await twice(door, "/s/shr_2", client) == [410, 410]
        assert len(door.origin.requests) == 3


async def handshake(door: Door, query: str = "") -> int:
    """Return the status of a handshake."""
    try:
        async with connect(f"{door.websocket_url}/live{query}"):
            return 101
    except InvalidStatus as refusal:
        return refusal.response.status_code


async def test_a_refused_handshake_is_not_kept_for_other_sockets(door: Door) -> None:
    assert await handshake(door, "?refuse=1") == 403
    assert await handshake(door) == 101


async def test_the_cdn_would_keep_a_refused_handshake_for_all_sockets() -> None:
    async with opened(Quotas(), error_seconds=WITHOUT_A_WORD) as door:
        assert await handshake(door, "?refuse=1") == 403
        # It is kept when the refused viewer has left.
        await until_awaited(lambda: handshake_is(door, 403))
        with pytest.raises(InvalidStatus) as kept:
            await connect(f"{door.websocket_url}/live")
        assert kept.value.response.headers["X-Cache"] == "Error from cloudfront"
        assert "Cache-Control" not in kept.value.response.headers


async def test_the_cdn_keeps_a_410_of_a_handshake_unless_the_origin_forbids_it(door: Door) -> None:
    assert await handshake(door, "?gone=no-store") == 410
    assert await handshake(door) == 101
    assert await handshake(door, "?gone=max-age=1") == 410
    await until_awaited(lambda: handshake_is(door, 410))


async def handshake_is(door: Door, status: int) -> bool:
    return await handshake(door) == status


async def exchange(door: Door, request: bytes) -> bytes:
    """Send bytes on a connection of their own, and return all bytes of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", URL(door.url).port)
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(), PATIENCE)
    writer.close()
    return answer


@pytest.mark.parametrize("path", ["/api/share", "/zen/v1/messages"])
@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(b"", mtime=0)),
        ("gzip", gzip.compress(b"x" * 40, mtime=0)),
        ("deflate", zlib.compress(b"")),
        ("br", b"x"),
        ("gzip", b"not packed at all"),
    ],
)
async def test_a_packed_body_arrives_as_it_was_sent_and_owes_no_bytes(
    door: Door, client: aiohttp.ClientSession, path: str, encoding: str, body: bytes
) -> None:
    """An unpacked body under the header of the packed one leaves its connection out of step (RFC 9112, 11.2)."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Encoding: {encoding}\r\n"
    for _ in range(3):
        answer = await exchange(door, f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        assert answer.startswith(b"HTTP/1.1 200")
        assert (door.origin.requests[-1]["body"], door.origin.requests[-1]["headers"]["Content-Encoding"]) == (
            body,
            encoding,
        )
        async with client.get(f"{door.url}{path}") as other:
            assert (other.status, door.origin.requests[-1]["body"]) == (200, b"")


@pytest.mark.parametrize("path", ["/api/share", "/zen/v1/messages"])
@pytest.mark.parametrize(
    "fields",
    [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 0",
        "Content-Length: 5\r\nContent-Length: 0",
        "Content-Length: 5, 0",
        "Content-Length: +5",
        "Content-Length: -5",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: identity\r\nContent-Length: 5",
        "Transfer-Encoding : chunked",
    ],
)
async def test_a_body_with_two_ends_smuggles_no_request(
    door: Door, client: aiohttp.ClientSession, path: str, fields: str
) -> None:
    """A second request inside the body must not reach the server behind the door (RFC 9112, 11.2)."""
    smuggled = b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n\r\n"
    answer = await exchange(door, head.encode() + smuggled)
    assert b" 400 " in answer.splitlines()[0]
    async with client.get(f"{door.url}{path}") as other:
        assert other.status == 200
    assert not [request for request in door.origin.requests if "smuggled" in request["target"]]
    assert (door.origin.requests[-1]["method"], door.origin.requests[-1]["body"]) == ("GET", b"")


@pytest.mark.parametrize(
    "target",
    [
        "/assets/../api/share",
        "/assets/%2e%2e/%2e%2e/etc/passwd",
        "/assets/..%2f..%2fetc/passwd",
        "/.well-known/../state/secrets",
        "/.well-known/opencode/../../x",
        "/zen/../state/secrets",
    ],
)
async def test_dots_in_a_path_lead_to_no_file(door: Door, target: str) -> None:
    answer = await exchange(door, f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert b"root:" not in answer
    for request in door.origin.requests:
        assert request["target"].removeprefix("/_aws/http").startswith("/")
    assert len(door.origin.requests) <= 1, "the functions answer, which have no file of such a name"


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("http://here/zen/v1/models?a=%20", "/zen/v1/models?a=%20"),
        ("http://evil.example/api/share/x%2Fy", "/api/share/x%2Fy"),
        ("http://here", "/"),
        ("http://here?x=/y", "/?x=/y"),
    ],
)
async def test_a_request_line_may_name_the_whole_address(door: Door, target: str, path: str) -> None:
    answer = await exchange(door, f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 200")
    assert door.origin.requests[-1]["target"].endswith(path)


async def test_a_trusted_proxy_says_who_asked(client: aiohttp.ClientSession) -> None:
    told = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Host": "share.example", "X-Forwarded-Proto": "https"}
    async with opened(Quotas(), trust_proxy=True) as door:
        await client.get(door.url, headers=told)
        await (await client.ws_connect(f"{door.url}/live", headers=told)).close()
    assert all(request["headers"][name] == told[name] for request in door.origin.requests for name in told)


async def test_the_last_address_that_a_proxy_says_is_the_viewers(client: aiohttp.ClientSession) -> None:
    async with opened(Quotas(), trust_proxy=True) as door:
        await client.get(door.url, headers={"X-Forwarded-For": "6.6.6.6, 192.0.2.1"})
    (request,) = door.origin.requests
    assert request["headers"].getall("X-Forwarded-For") == request["headers"].getall(VIEWER_HEADER) == ["192.0.2.1"]


async def test_only_the_door_proves_that_it_forwarded(door: Door, client: aiohttp.ClientSession) -> None:
    told = {ORIGIN_HEADER: "a guess", VIEWER_HEADER: "7.7.7.7"}
    await client.get(door.url, headers=told)
    await (await client.ws_connect(f"{door.url}/live", headers=told)).close()
    for request in door.origin.requests:
        assert request["headers"].getall(ORIGIN_HEADER) == [SECRET]
        assert request["headers"].getall(VIEWER_HEADER) == ["127.0.0.1"]


def test_it_listens_to_this_machine_only_unless_it_is_told_otherwise() -> None:
    assert Settings(1, "", "").host == "127.0.0.1"


@pytest.mark.parametrize("path", ["/health", "/zen/v1/models", "/.well-known/opencode"])
async def test_another_host_is_not_answered(door: Door, client: aiohttp.ClientSession, path: str) -> None:
    async with client.get(f"{door.url}{path}", headers={"Host": "rebind.evil.example"}) as answer:
        assert answer.status == 421
    assert door.origin.requests == []


async def test_answers_come_back_as_they_were_given(door: Door, client: aiohttp.ClientSession) -> None:
    headers = {"Location": "http://127.0.0.1:1/x", "Content-Encoding": "gzip", "X-Own": "1"}
    door.origin.answer = lambda: web.Response(status=302, headers=headers, body=b"\x1f\x8bnot really")
    async with client.get(door.url, allow_redirects=False, auto_decompress=False) as answer:
        assert answer.status == 302
        assert headers.items() <= dict(answer.headers).items()
        assert await answer.read() == b"\x1f\x8bnot really"


async def test_a_fault_of_a_function_shows_no_details(door: Door, client: aiohttp.ClientSession) -> None:
    door.origin.answer = lambda: web.Response(status=502, text="Traceback: secret")
    async with client.get(door.url) as answer:
        assert (answer.status, await error_of(answer)) == (500, "internal_error")


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"x" * (10 * MIB + 1), "application/json", 413),
        (b"x" * (6 * MIB), "application/json", 413),
        (b'"' * (3 * MIB + 1), "application/json", 413),  # each takes two bytes of the event when it is escaped
        (b"\xff" * (5 * MIB), "image/png", 413),  # base64 adds a third
        (b"x" * (5 * MIB), "application/json", 200),
        (b"\xff" * (4 * MIB), "image/png", 200),
    ],
)
async def test_bodies_have_the_limits_of_the_gateway_and_of_events(
    door: Door, client: aiohttp.ClientSession, body: bytes, content_type: str, status: int
) -> None:
    async with client.post(door.url, data=body, headers={"Content-Type": content_type}) as answer:
        assert answer.status == status
        if status == 413:
            assert await error_of(answer) == "payload_too_large"
            assert not door.origin.requests


async def test_an_unannounced_body_is_cut_off_at_the_limit(door: Door, client: aiohttp.ClientSession) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield b"x" * MIB

    async with client.post(door.url, data=chunks()) as answer:
        assert answer.status == 413


async def test_other_limits(door: Door, client: aiohttp.ClientSession) -> None:
    async with client.get(door.url, headers={"X-Long": "x" * 10 * KIB}) as answer:
        assert (answer.status, await error_of(answer)) == (431, "headers_too_large")
    door.origin.answer = lambda: web.Response(text="x" * (6 * MIB + 1))
    async with client.get(door.url) as answer:
        assert answer.status == 500
    async with client.get(f"{door.url}/live") as answer:
        assert (answer.status, await error_of(answer)) == (426, "upgrade_required")


async def test_without_quotas_large_bodies_pass(client: aiohttp.ClientSession) -> None:
    async with opened(UNLIMITED) as door:
        async with client.post(door.url, data=b"x" * (12 * MIB)) as answer:
            assert answer.status == 200
        async with connect(f"{door.websocket_url}/live", max_size=None) as socket:
            await socket.send("x" * 300_000)
            assert await socket.recv() == "echo 300000"


async def test_an_origin_that_is_gone_is_told_in_json(client: aiohttp.ClientSession) -> None:
    with closed() as nowhere:
        async with front_door(Settings(0, f"http://{nowhere}", f"ws://{nowhere}/v1")) as url:
            async with client.get(url) as answer:
                assert (answer.status, await error_of(answer)) == (503, "unavailable")
            with pytest.raises(InvalidStatus) as refused:
                await connect(f"{url.replace('http', 'ws', 1)}/live")
            assert json.loads(refused.value.response.body)["error"] == "unavailable"


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/live", "/_aws/v1?protocol=live"),
        ("/live?protocol=x&a=%20b", "/_aws/v1?a=+b&protocol=live"),
        ("/share_poll?id=abc", "/_aws/v1?id=abc&protocol=poll"),
    ],
)
async def test_sockets_lead_to_the_websocket_api(door: Door, path: str, target: str) -> None:
    async with connect(f"{door.websocket_url}{path}") as socket:
        await socket.send("hello")
        assert await socket.recv() == "echo 5"
    (request,) = door.origin.requests
    assert request["target"] == target
    assert request["headers"]["X-Forwarded-Host"] == door.url.removeprefix("http://")
    assert request["headers"]["X-Forwarded-For"] == "127.0.0.1"


async def test_a_refused_handshake_is_passed_on(door: Door) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"{door.websocket_url}/live?refuse")
    assert refused.value.response.status_code == 403


async def code_of(socket: ClientConnection) -> int | None:
    with pytest.raises(ConnectionClosed) as closed:
        await asyncio.wait_for(socket.recv(), PATIENCE)
    return closed.value.rcvd.code if closed.value.rcvd else None


async def test_frames_and_messages_have_limits_in_both_directions(door: Door) -> None:
    address = f"{door.websocket_url}/live"
    async with connect(address, compression=None) as socket:
        await socket.send("x" * 32 * KIB)
        assert await socket.recv() == "echo 32768"
        await socket.send(["x" * 30_000] * 4)
        assert await socket.recv() == "echo 120000"
        await socket.send("send 131072")
        assert len(await socket.recv()) == 128 * KIB
        await socket.send("x" * (32 * KIB + 1))
        assert await code_of(socket) == 1009
    async with connect(address, compression=None) as socket:
        await socket.send(["x" * 30_000] * 5)
        assert await code_of(socket) == 1009
    async with connect(address, compression=None) as socket:
        await socket.send("send 131073")
        assert await code_of(socket) == 1009
    await until_async(lambda: door.origin.closed_with.count(1009) >= 2)


class Clock:
    """The clock of the event loop. A test moves it forward."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        present, self.ahead = loop.time, 0.0
        monkeypatch.setattr(loop, "time", lambda: present() + self.ahead)


async def test_a_socket_ends_when_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    quotas = Quotas(websocket_idle_seconds=1000, websocket_seconds=10**6)
    async with opened(quotas) as door, connect(f"{door.websocket_url}/live", ping_interval=None) as socket:
        for _ in range(4):
            clock.ahead += 600
            await socket.send("still here")
            await socket.recv()
        clock.ahead += 1000
        assert await code_of(socket) == 1001


async def test_a_socket_ends_when_old(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    quotas = Quotas(websocket_idle_seconds=1000, websocket_seconds=2000)
    async with opened(quotas) as door, connect(f"{door.websocket_url}/live", ping_interval=None) as socket:
        for _ in range(3):
            clock.ahead += 600
            await socket.send("still here")
            await socket.recv()
        clock.ahead += 600
        assert await code_of(socket) == 1001


async def test_a_reader_that_stalls_is_cut_off(door: Door) -> None:
    door.origin.flood = 40 * LARGEST_BACKLOG // 100_000
    host, port = door.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port), limit=1)
    writer.write(
        b"GET /live HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    await until_async(lambda: bool(door.origin.closed_with))
    writer.transport.abort()


@given(
    sizes=st.lists(st.integers(0, 70_000), max_size=6),
    cuts=st.lists(st.integers(1, 40_000), min_size=1, max_size=8),
    masked=st.booleans(),
)
def test_frames_are_measured_however_the_stream_is_cut(sizes: list[int], cuts: list[int], masked: bool) -> None:
    stream = b"".join(frame(size, masked=masked) for size in sizes)
    meter = FrameMeter(frame_limit=65_536, message_limit=65_536)
    too_big = any(size > 65_536 for size in sizes)
    try:
        position = turn = 0
        while position < len(stream):
            step = cuts[turn % len(cuts)]
            meter.feed(stream[position : position + step])
            position, turn = position + step, turn + 1
    except TooBig:
        assert too_big
    else:
        assert not too_big
        assert meter.between_frames


def frame(size: int, *, masked: bool) -> bytes:
    bit = 0x80 if masked else 0
    if size < 126:
        head = bytes([0x81, bit | size])
    elif size < 65_536:
        head = bytes([0x81, bit | 126]) + size.to_bytes(2, "big")
    else:
        head = bytes([0x81, bit | 127]) + size.to_bytes(8, "big")
    return head + (b"mask" if masked else b"") + bytes(size)


def test_close_frames() -> None:
    assert close_frame(1009, masked=False) == b"\x88\x02\x03\xf1"
    assert close_frame(1009, masked=True) == b"\x88\x82\x00\x00\x00\x00\x03\xf1"


@given(text=st.text(max_size=200))
def test_the_size_of_a_body_in_an_event_is_exact_where_it_matters(text: str) -> None:
    body = text.encode()
    exact = len(json.dumps(text, ensure_ascii=False).encode())
    assert embedded_size(body, {"Content-Type": "application/json"}, limit=0) in {exact, len(body)}
    assert embedded_size(body, {"Content-Type": "image/png"}, limit=0) == (len(body) + 2) // 3 * 4

"""The clients of many fast streams: one connection for each, and the lateness of each piece."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

from benchmarks.many_streams.pieces import END, MODEL, Plan, Stamps

LONGEST_SECONDS = 60.0
"""Time for all streams. A server that takes longer is reported with what it has served."""

OPENED_PER_SECOND = 400
"""A server with several processes shares connections among them only if they do not come all at once."""


@dataclass
class Arrived:
    """Pieces of all streams."""

    late: list[int] = field(default_factory=list[int])
    """Nanoseconds from the sending of each piece to its arrival."""
    ended: int = 0
    """Streams with all pieces and their proper end."""
    failed: list[str] = field(default_factory=list[str])


class _Client(asyncio.Protocol):
    def __init__(self, request: bytes, plan: Plan, arrived: Arrived) -> None:
        self._request = request
        self._plan = plan
        self._arrived = arrived
        self._stamps = Stamps()
        self._pieces = 0
        self._head = b""
        self._tail = b""
        self._transport: asyncio.Transport | None = None
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's does not inherit from asyncio's
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        self._head = self._head or data[:300]
        stamps = self._stamps.feed(data)
        self._pieces += len(stamps)
        self._arrived.late += [now - stamp for stamp in stamps]
        self._tail = (self._tail + data)[-len(END) - 16 :]
        if END in self._tail and self._transport is not None:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's
        if self._pieces == self._plan.pieces and END in self._tail:
            self._arrived.ended += 1
        else:
            self._arrived.failed.append(f"{self._pieces} pieces; {self._head.decode(errors='replace')}")
        self.closed.set_result(None)


async def run(url: str, headers: dict[str, str], plan: Plan) -> Arrived:
    """Make all requests and read all streams. ``url`` is that of Chat Completions."""
    address = urlsplit(url)
    host, port = address.hostname or "127.0.0.1", address.port or 80
    request = _request(address.path, f"{host}:{port}", headers)
    loop, arrived = asyncio.get_running_loop(), Arrived()

    async def open_(number: int) -> tuple[asyncio.Transport, _Client]:
        await asyncio.sleep(number / OPENED_PER_SECOND)
        return await loop.create_connection(lambda: _Client(request, plan, arrived), host, port)

    connections = await asyncio.gather(*map(open_, range(plan.streams)))
    _, pending = await asyncio.wait([client.closed for _, client in connections], timeout=LONGEST_SECONDS)
    for transport, _ in connections:
        transport.abort()
    arrived.failed += [f"not ended after {LONGEST_SECONDS:g} s"] * len(pending)
    return arrived


def _request(path: str, host: str, headers: dict[str, str]) -> bytes:
    body = json.dumps(
        {
            "model": MODEL,
            "max_tokens": 100,
            "stream": True,
            "stream_options": {"include_usage": True},
            "messages": [{"role": "user", "content": "Say many words."}],
        }
    ).encode()
    fields = {"host": host, "content-type": "application/json", "content-length": str(len(body)), **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body

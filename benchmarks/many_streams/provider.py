"""A provider of many fast streams: `python -m benchmarks.many_streams.provider STREAMS PIECES PAUSE SPREAD`.

It waits until all streams were requested, then sends them together. It speaks HTTP without a framework, so that it
takes little of the processors that it shares with what is measured.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from typing import cast

import uvloop

from benchmarks.many_streams.pieces import Plan, ending, piece

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_LAST = b"0\r\n\r\n"
_LENGTH = b"content-length:"


class Provider:
    """The requests that wait for the others."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._waiting: list[Connection] = []

    def add(self, connection: Connection) -> None:
        """Let a stream wait; begin all of them if it is the last one."""
        self._waiting.append(connection)
        if len(self._waiting) >= self.plan.streams:
            begun, self._waiting = self._waiting, []
            now = asyncio.get_running_loop().time()
            for each in begun:
                each.begin(now + random.uniform(0, self.plan.spread))

    def remove(self, connection: Connection) -> None:
        """Forget a stream whose client has left."""
        if connection in self._waiting:
            self._waiting.remove(connection)


class Connection(asyncio.Protocol):
    """One connection, which serves one request after the other."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._received = b""
        self._transport: asyncio.WriteTransport | None = None
        self._left = 0
        self._next = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's does not inherit from asyncio's

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's
        """Stop sending."""
        self._transport = None
        self._provider.remove(self)

    def data_received(self, data: bytes) -> None:
        """Read a request; its body has a known length."""
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        lines = (line.lower() for line in head.split(b"\r\n"))
        length = next((int(line.removeprefix(_LENGTH)) for line in lines if line.startswith(_LENGTH)), 0)
        if len(body) >= length:
            self._received = body[length:]
            self._provider.add(self)

    def begin(self, when: float) -> None:
        """Send the first piece at a time of the loop."""
        self._left, self._next = self._provider.plan.pieces, when
        self._write(_HEAD)
        asyncio.get_running_loop().call_at(when, self._send)

    def _send(self) -> None:
        plan = self._provider.plan
        self._write(_chunk(piece(time.monotonic_ns())))
        self._left -= 1
        if not self._left:
            self._write(_chunk(ending(plan.pieces)) + _LAST)
        elif self._transport is not None:
            self._next += plan.pause
            asyncio.get_running_loop().call_at(self._next, self._send)

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def _serve(plan: Plan) -> None:
    provider = Provider(plan)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(provider), "127.0.0.1", 0, backlog=2048)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    streams, pieces, pause, spread = sys.argv[1:]
    uvloop.run(_serve(Plan(int(streams), int(pieces), float(pause), float(spread))))

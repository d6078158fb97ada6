"""Connect -> full state, and the cost of a reconnect, on shares of up to tens of thousands of items."""

from __future__ import annotations

import asyncio
import gzip
import re
import time
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

from benchmarks.rooms import Share
from benchmarks.summary import percentile
from opencode_cloud_client import follow

Json = dict[str, Any]
FILL_BATCH = 250
FILLING = 2  # batches in flight
SETTLE_SECONDS = 4.0  # the stream's window of 2 s, and the fold
STATE_SECONDS = 120.0
PAUSE_SECONDS = 0.3
_LAST = re.compile(rb'^\{"type":"ready","seq":(\d+)')
_DOCUMENT = re.compile(rb'^\{[^\[]*"seq":(\d+)')
_HREF = re.compile(rb'"href":"([^"]+)"')


@dataclass(slots=True)
class Loaded:
    """A completely received state."""

    milliseconds: float
    seq: int
    items: int
    frame_bytes: int
    document_bytes: int
    """Compressed size of the transferred documents."""
    documents: int

    @property
    def bytes(self) -> int:
        """Everything received."""
        return self.frame_bytes + self.document_bytes


class _Loader:
    """A viewer of the live protocol, from a cursor until `ready`, which stores no items."""

    def __init__(self, share: Share, after: int) -> None:
        self._share = share
        self._cursor = after
        self._frames: asyncio.Queue[bytes] = asyncio.Queue()
        self._loaded = Loaded(0.0, after, 0, 0, 0, 0)

    async def run(self) -> Loaded:
        began = time.monotonic()
        socket = await self._share.open(lambda frame, _now: self._frames.put_nowait(frame))
        socket.send(self._share.resume(self._cursor))
        async with asyncio.timeout(STATE_SECONDS):
            while not await self._take(await self._frames.get()):
                socket.send(self._share.resume(self._cursor))
        self._loaded.milliseconds = (time.monotonic() - began) * 1000
        self._loaded.frame_bytes = socket.received
        socket.close()
        return self._loaded

    async def _take(self, frame: bytes) -> bool:
        """Read frames up to the end of the answer; return False when a document requires another resume."""
        while not (last := _LAST.match(frame)):
            if frame.startswith(b'{"type":"snapshot"'):
                await self._fetch(_find(_HREF, frame).decode())
                return False
            self._loaded.items += frame.count(b'"key":"')
            frame = await self._frames.get()
        self._loaded.seq = int(last[1])
        return True

    async def _fetch(self, path: str) -> None:
        address = f"{self._share.url}{path}?after={self._cursor}"
        headers = {"Accept-Encoding": "zstd, gzip", **self._share.headers}
        async with self._share.http.get(address, headers=headers) as answer:
            body = await answer.read()
            self._loaded.document_bytes += _transferred(answer, body)
        self._loaded.documents += 1
        self._loaded.items += body.count(b'"key":"')
        self._cursor = int(_find(_DOCUMENT, body))


async def fill(share: Share, count: int, size: int) -> float:
    """Publish ``count`` items in batches and let snapshots settle; return items a second while publishing."""
    batches = [min(FILL_BATCH, count - start) for start in range(0, count, FILL_BATCH)]
    began = time.monotonic()
    for start in range(0, len(batches), FILLING):
        await asyncio.gather(*(share.fill(batch, size) for batch in batches[start : start + FILLING]))
    rate = count / (time.monotonic() - began)
    await asyncio.sleep(SETTLE_SECONDS)
    return rate


async def measure_state(share: Share, items: int, repetitions: int) -> Json:
    """Load the whole state, ``repetitions`` times; and once with the reference client, which decodes and folds it."""
    loads = [await load(share, 0) for _ in range(repetitions + 1)][1:]  # the first wakes workers
    last = loads[-1]
    began = time.monotonic()
    async with follow(share.url, share.id) as follower:
        state = await follower.until_live()
        client_ms = (time.monotonic() - began) * 1000
        folded = len(state.items)
    return {
        "items": items,
        "received_items": last.items,
        "p50_ms": round(percentile([load.milliseconds for load in loads], 50), 1),
        "max_ms": round(max(load.milliseconds for load in loads), 1),
        "bytes": last.bytes,
        "documents": last.documents,
        "client_ms": round(client_ms, 1),
        "client_items": folded,
    }


async def measure_reconnect(share: Share, missed: int, size: int, repetitions: int) -> Json:
    """Miss some updates of a large share and reconnect with the cursor; return time and bytes of the recovery."""
    loads: list[Loaded] = []
    for _ in range(repetitions):
        cursor = share.number
        for _ in range(missed):
            await share.fill(1, size)
        loads.append(await load(share, cursor))
    last = loads[-1]
    return {
        "items_of_share": share.number,
        "missed": missed,
        "received_items": last.items,
        "p50_ms": round(percentile([load.milliseconds for load in loads], 50), 1),
        "bytes": last.bytes,
        "documents": last.documents,
    }


async def load(share: Share, after: int) -> Loaded:
    """Load once, from ``after``; the pause lets the end of the socket be handled before the next one begins."""
    loaded = await _Loader(share, after).run()
    await asyncio.sleep(PAUSE_SECONDS)
    return loaded


def _transferred(answer: aiohttp.ClientResponse, body: bytes) -> int:
    length = answer.headers.get("Content-Length")
    return int(length) if length else len(gzip.compress(body, 5))


def _find(pattern: re.Pattern[bytes], text: bytes) -> bytes:
    found = pattern.search(text)
    if found is None:
        raise msgspec.ValidationError(f"not of the documented form: {text[:200]!r}")
    return found[1]

"""The load on a gateway: streams with the send time in each piece, short calls, and many slow streams."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import aiohttp
import psutil

from benchmarks.processes import MEGABYTE
from tests.upstreams import Script, Usage

STAMP = re.compile(rb'"(\d{20}) "')
STAMP_BYTES = 23
WORDS, PAUSE, WAIT = 30, 0.1, 0.1
"""A stream: pieces, seconds between events, seconds before the first event, which comes before the first piece."""
OPENED_PER_SECOND = 100
"""Rate at which slow streams are opened. The benchmark measures their memory, not their start."""


@dataclass(frozen=True)
class Target:
    """A server of Chat Completions."""

    name: str
    url: str
    """Without `/chat/completions`."""
    headers: dict[str, str]
    model: str
    pids: tuple[int, ...] = ()
    """Its processes."""

    def cpu_seconds(self) -> float:
        """Return the processor time of its processes."""
        times = [psutil.Process(pid).cpu_times() for pid in self.pids]
        return sum(each.user + each.system for each in times)

    def resident_mb(self) -> float:
        """Return the resident memory of its processes."""
        return sum(psutil.Process(pid).memory_info().rss for pid in self.pids) / MEGABYTE


@dataclass
class Streamed:
    """Times of streams, in nanoseconds."""

    first: list[int] = field(default_factory=list[int])
    """Time from the request to the first piece, without the upstream's pause."""
    pieces: list[int] = field(default_factory=list[int])
    """Time from the sending of each later piece to its arrival."""
    failed: list[str] = field(default_factory=list[str])
    cpu_seconds: float = 0.0


async def streams(http: aiohttp.ClientSession, target: Target, concurrency: int, seconds: float) -> Streamed:
    """Keep ``concurrency`` streams open for ``seconds``. They begin at random times."""
    found, until = Streamed(), time.monotonic() + seconds
    length = WAIT + WORDS * PAUSE

    async def worker() -> None:
        await asyncio.sleep(random.uniform(0, length))
        while time.monotonic() < until:
            await _stream(http, target, found)
            await asyncio.sleep(random.uniform(0, 0.1))

    before = target.cpu_seconds()
    await asyncio.gather(*(worker() for _ in range(concurrency)))
    found.cpu_seconds = target.cpu_seconds() - before
    return found


async def _stream(http: aiohttp.ClientSession, target: Target, found: Streamed) -> None:
    body = _request(target, Script(say=" ".join(["word"] * WORDS), stamp=True, pause=PAUSE, wait=WAIT), stream=True)
    began, rest, pieces = time.monotonic_ns(), b"", 0
    async with http.post(f"{target.url}/chat/completions", json=body, headers=target.headers) as answer:
        if answer.status != 200:
            found.failed.append(f"{answer.status} {(await answer.text())[:200]}")
            return
        async for chunk in answer.content.iter_any():
            now, text = time.monotonic_ns(), rest + chunk
            end = 0
            for match in STAMP.finditer(text):
                if pieces:
                    found.pieces.append(now - int(match[1]))
                else:
                    found.first.append(now - began - int((WAIT + PAUSE) * 1e9))
                pieces, end = pieces + 1, match.end()
            rest = text[max(end, len(text) - STAMP_BYTES) :]
    if pieces != WORDS:
        found.failed.append(f"{pieces} pieces of {WORDS} came")


@dataclass(frozen=True)
class Rate:
    """Short calls in a closed loop."""

    calls: int
    seconds: float
    cpu_seconds: float
    failed: list[str]


async def short_calls(http: aiohttp.ClientSession, target: Target, concurrency: int, seconds: float) -> Rate:
    """Make calls that are not streamed, one after another in each of ``concurrency`` workers."""
    body = _request(target, Script(say="Done.", usage=Usage(input=20, output=2)), stream=False)
    failed, calls = list[str](), 0
    began, before = time.monotonic(), target.cpu_seconds()

    async def worker() -> None:
        nonlocal calls
        while time.monotonic() - began < seconds:
            async with http.post(f"{target.url}/chat/completions", json=body, headers=target.headers) as answer:
                text = await answer.text()
            if answer.status == 200 and "Done." in text:
                calls += 1
            else:
                failed.append(f"{answer.status} {text[:200]}")

    await asyncio.gather(*(worker() for _ in range(concurrency)))
    return Rate(calls, time.monotonic() - began, target.cpu_seconds() - before, failed)


async def memory_per_stream(http: aiohttp.ClientSession, target: Target, count: int) -> dict[str, float]:
    """Open ``count`` long streams; return kilobytes per stream, and the memory of the process before."""
    ready, leave = asyncio.Semaphore(0), asyncio.Event()
    script = Script(say=" ".join(["word"] * 600), pause=1.0)

    async def hold(number: int) -> None:
        await asyncio.sleep(number / OPENED_PER_SECOND)
        body = _request(target, script, stream=True)
        async with http.post(f"{target.url}/chat/completions", json=body, headers=target.headers) as answer:
            if answer.status != 200:
                raise RuntimeError(f"{target.name}: {answer.status} {(await answer.text())[:200]}")
            await answer.content.readany()
            ready.release()
            await leave.wait()
            answer.close()

    before = target.resident_mb()
    holding = [asyncio.create_task(hold(number)) for number in range(count)]
    try:
        async with asyncio.timeout(60 + count / OPENED_PER_SECOND):
            await _until_all(ready, holding)
        open_mb = target.resident_mb()
    finally:
        leave.set()
        await asyncio.gather(*holding)
    return {
        "streams": count,
        "before_mb": round(before, 1),
        "kb_per_stream": round((open_mb - before) * 1024 / count, 1),
    }


async def _until_all(ready: asyncio.Semaphore, holding: Sequence[asyncio.Task[None]]) -> None:
    """Wait until each stream has its first piece. Report a failed one at once."""
    waiting = asyncio.gather(*(ready.acquire() for _ in holding))
    failing = asyncio.gather(*holding)
    await asyncio.wait([waiting, failing], return_when=asyncio.FIRST_COMPLETED)
    if failing.done():
        failing.result()


def _request(target: Target, script: Script, *, stream: bool) -> dict[str, object]:
    wish: dict[str, object] = {"model": target.model, "max_tokens": 100, "stream": stream}
    if stream:
        wish["stream_options"] = {"include_usage": True}
    return {**wish, "messages": [{"role": "user", "content": script.prompt()}]}

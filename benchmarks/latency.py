"""Publish -> received, by number of viewers and by size, on ours and on the floor."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.rooms import Room
from benchmarks.summary import milliseconds
from benchmarks.wire import Socket

Json = dict[str, Any]
HEADROOM = 0.6  # share of the server's highest observed rate; above it, queues are measured instead of the path
_JOINING = 8  # viewers that join concurrently
_PROBES = 3
_LATE_SECONDS = 20.0


class Receipts:
    """Receipts of updates by viewers, and their latencies."""

    def __init__(self) -> None:
        self.latencies: list[int] = []
        self._count: defaultdict[int, int] = defaultdict(int)
        self._changed = asyncio.Event()

    def note(self, stamp: int, now: int) -> None:
        """Record one receipt."""
        self.latencies.append(now - stamp)
        self._count[stamp] += 1
        self._changed.set()

    async def complete(self, stamps: Iterable[int], viewers: int, seconds: float) -> int:
        """Wait until every viewer has every update, at most ``seconds``; return how many receipts are missing."""
        wanted = list(stamps)
        deadline = time.monotonic() + seconds
        while (
            missing := sum(max(0, viewers - self._count[stamp]) for stamp in wanted)
        ) and time.monotonic() < deadline:
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), 0.5)
            except TimeoutError:
                continue
        return missing

    def clear(self) -> None:
        """Forget the latencies so far."""
        self.latencies.clear()


@dataclass(frozen=True, slots=True)
class Load:
    """Load of a run: viewers, rate and size of updates. ``limit_seconds`` bounds it where the rate must be low."""

    viewers: int
    rate: float
    updates: int
    size: int
    limit_seconds: float


async def measure(room: Room, load: Load, processor: Callable[[], dict[str, float]] = dict) -> Json:
    """Put ``load`` on ``room``, at a lower rate where the wanted one is not followed.

    ``processor`` returns the processor time that the server's processes have used, in seconds.
    """
    viewers, size = load.viewers, load.size
    receipts = Receipts()
    started = time.monotonic()
    sockets = await _join_all(room, receipts, viewers)
    joined_seconds = time.monotonic() - started
    try:
        followed = await _probe(room, receipts, viewers, size)
        used = min(load.rate, HEADROOM / followed)
        count = max(5, min(load.updates, int(load.limit_seconds * used)))
        receipts.clear()
        before = processor()
        acknowledged: list[int] = []
        began = time.monotonic()
        stamps = await _publish_paced(room, count, used, size, acknowledged)
        achieved = count / (time.monotonic() - began)
        missing = await receipts.complete(stamps, viewers, _LATE_SECONDS)
        cpu = {name: round((spent - before[name]) / count * 1000, 2) for name, spent in processor().items()}
    finally:
        for socket in sockets:
            socket.close()
    return {
        "viewers": viewers,
        "size": size,
        "updates": count,
        "rate_wanted": load.rate,
        "rate": round(achieved, 2),
        "received": milliseconds(receipts.latencies),
        "acknowledged": milliseconds(acknowledged),
        "missing": missing,
        "cpu_ms_per_update": cpu,
        "joined_per_second": round(viewers / joined_seconds, 1),
    }


async def _join_all(room: Room, receipts: Receipts, viewers: int) -> list[Socket]:
    places = asyncio.Semaphore(_JOINING)

    async def join() -> Socket:
        async with places:
            return await room.join(receipts.note)

    return list(await asyncio.gather(*(join() for _ in range(viewers))))


async def _probe(room: Room, receipts: Receipts, viewers: int, size: int) -> float:
    """Return the seconds that one update takes until all viewers have it, one at a time, after a warm-up."""
    await receipts.complete([await room.publish(size)], viewers, _LATE_SECONDS)
    began = time.monotonic()
    for _ in range(_PROBES):
        await receipts.complete([await room.publish(size)], viewers, _LATE_SECONDS)
    return (time.monotonic() - began) / _PROBES


async def _publish_paced(room: Room, count: int, rate: float, size: int, acknowledged: list[int]) -> Sequence[int]:
    """Publish one after the other, each at its time or as soon as the one before is acknowledged."""
    stamps: list[int] = []
    began = time.monotonic()
    for number in range(count):
        await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
        stamps.append(await room.publish(size))
        acknowledged.append(time.monotonic_ns() - stamps[-1])
    return stamps

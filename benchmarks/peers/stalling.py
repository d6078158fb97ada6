"""A reader that stalls: does the server's memory grow with everything that it has not read?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from benchmarks.peers.rooms import Measured
from benchmarks.processes import MEGABYTE

Json = dict[str, Any]
SIZE = 30_000
"""Characters of an update. Our protocol sends an item above 32 KB as a reference."""
ITEMS = 10
"""Items that are published together, in one batch where the protocol has batches."""
IN_FLIGHT = 2
BOUNDED = 0.5
"""Memory is bounded if it grows by less than this share of what the reader has not read."""
ENOUGH_MB = 16.0
"""The sockets' own buffers take up to ten megabytes, so less than this shows nothing."""
LATE_SECONDS = 15.0


async def measure(room: Measured, memory: Callable[[], float], megabytes: float, seconds: float) -> Json:
    """Publish up to ``megabytes`` in at most ``seconds``, first without and then with a reader that does not read.

    The first pass brings the server's own garbage and storage to their size; the growth of the second beyond the
    first is the reader's. ``memory`` returns the server's resident memory in megabytes.
    """
    received: set[int] = set()
    reader = await room.join(lambda _stamp, _now: None)
    before = memory()
    await _publish(room, megabytes, seconds)
    without = memory() - before
    stalled = await room.join(lambda stamp, _now: received.add(stamp))
    stalled.pause()
    start = memory()
    try:
        sent = await _publish(room, megabytes, seconds)
        growth = memory() - start
        stalled.unpause()
        await _receive(received, sent)
        ended = stalled.ended
    finally:
        reader.close()
        stalled.close()
    waiting = len(sent) * SIZE / MEGABYTE
    return {
        "megabytes_sent": round(waiting, 1),
        "growth_without_mb": round(without, 1),
        "growth_mb": round(growth, 1),
        "bounded": growth - max(0.0, without) < BOUNDED * waiting if waiting >= ENOUGH_MB else None,
        "updates": len(sent),
        "received_afterwards": len(received & set(sent)),
        "ended_by_server": ended,
    }


async def _publish(room: Measured, megabytes: float, seconds: float) -> list[int]:
    """Publish a few items again and again; return the times of their starts."""
    sent: list[int] = []
    batches = iter(range(int(megabytes * MEGABYTE / SIZE / ITEMS)))
    deadline = time.monotonic() + seconds

    async def publish() -> None:
        while time.monotonic() < deadline and next(batches, None) is not None:
            sent.extend(await room.update_all(range(ITEMS), SIZE))

    await asyncio.gather(*(publish() for _ in range(IN_FLIGHT)))
    return sent


async def _receive(received: set[int], sent: list[int]) -> None:
    """Wait until the reader has everything, or until nothing more arrives."""
    deadline = time.monotonic() + LATE_SECONDS
    wanted, seen = set(sent), -1
    while not wanted <= received and seen < len(received) and time.monotonic() < deadline:
        seen = len(received)
        await asyncio.sleep(1.0)

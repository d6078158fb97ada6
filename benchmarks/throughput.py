"""Sustained commits a second: publishers that each send the next update when the last one is acknowledged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.rooms import Room
from benchmarks.summary import milliseconds

Json = dict[str, Any]


async def measure(rooms: Sequence[Room], publishers: int, seconds: float, size: int) -> Json:
    """Have ``publishers`` publish to ``rooms`` (in turn, if there are fewer rooms) for some seconds."""
    await asyncio.gather(*(room.publish(size) for room in rooms))  # warm
    acknowledged: list[int] = []
    began = time.monotonic()

    async def publish(room: Room) -> int:
        count = 0
        while time.monotonic() - began < seconds:
            sent = await room.publish(size)
            acknowledged.append(time.monotonic_ns() - sent)
            count += 1
        return count

    counts = await asyncio.gather(*(publish(rooms[number % len(rooms)]) for number in range(publishers)))
    return {
        "publishers": publishers,
        "shares": len(rooms),
        "commits_per_second": round(sum(counts) / (time.monotonic() - began), 1),
        "slowest_publisher": min(counts),
        "fastest_publisher": max(counts),
        "acknowledged": milliseconds(acknowledged),
    }

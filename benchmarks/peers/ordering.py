"""Several publications of one item in flight at once: the last one must win."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from benchmarks.peers.rooms import Measured, Watched

Json = dict[str, Any]
APART_SECONDS = 0.002
"""Time between two requests. They arrive in this order, and overlap where the server takes longer.

Our protocol's time of arrival has a resolution of a millisecond.
"""
RECEIPT_SECONDS = 2.0
"""How long the viewer's frames are waited for. A server may merge publications, so fewer are no error."""
LARGE = 8
"""Every other publication is as many times larger, so that writes of different length are in progress together."""


async def measure(room: Measured, in_flight: int, rounds: int, size: int) -> Json:
    """Publish one item from ``in_flight`` connections, in ``rounds``; compare what is stored and what a viewer shows.

    A round is older if the stored item is not the last that was sent. It differs if a viewer, who was there all the
    time, shows another one than the stored one.
    """
    watched = Watched()
    viewer = await room.watch(watched)
    warm = await asyncio.gather(*(room.update(0, size) for _ in range(in_flight)))  # opens the connections
    await watched.receipts.complete(warm, 1, RECEIPT_SECONDS)
    older = differing = overlapping = 0
    try:
        for _ in range(rounds):
            sent, first_answer = await _round(room, in_flight, size)
            overlapping += sum(stamp < first_answer for stamp in sent)
            await watched.receipts.complete(sent, 1, RECEIPT_SECONDS)
            stored = (await room.stored(1))[-1]
            older += stored != sent[-1]
            differing += watched.shown != stored
    finally:
        viewer.close()
    return {
        "in_flight": in_flight,
        "rounds": rounds,
        "overlapping": round(overlapping / rounds, 1),
        "older_stored": older,
        "viewer_differs": differing,
    }


async def _round(room: Measured, in_flight: int, size: int) -> tuple[list[int], int]:
    """Send the publications one after the other; return their times of start and the time of the first answer."""
    answered: list[int] = []

    async def publish(number: int) -> int:
        began = await room.update(0, size * LARGE if number % 2 == 0 else size)
        answered.append(time.monotonic_ns())
        return began

    tasks: list[asyncio.Task[int]] = []
    for number in range(in_flight):
        tasks.append(asyncio.create_task(publish(number)))
        await asyncio.sleep(APART_SECONDS)
    sent = list(await asyncio.gather(*tasks))
    return sent, answered[0]

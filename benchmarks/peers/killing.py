"""A server that is killed while sixteen publishers write: no acknowledged item may be missing afterwards."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from benchmarks.peers.rooms import PeerShare
from benchmarks.peers.servers import Server
from benchmarks.rooms import PublishFailed

Json = dict[str, Any]
PUBLISHERS = 16
SECONDS = 1.0


async def measure(server: Server, size: int) -> Json:
    """Kill the server with SIGKILL, start it again on the same state, and count what is lost."""
    room = await PeerShare.create(server.url)
    acknowledged: list[int] = []

    async def publish() -> None:
        with contextlib.suppress(OSError, PublishFailed):
            while True:
                acknowledged.append(await room.publish(size))

    publishers = [asyncio.create_task(publish()) for _ in range(PUBLISHERS)]
    await asyncio.sleep(SECONDS)
    await server.kill()
    await asyncio.gather(*publishers)
    await server.start()
    room.move(server.url)
    lost = set(acknowledged) - set(await room.stored(room.number))
    await room.remove()
    return {"acknowledged": len(acknowledged), "lost": len(lost)}

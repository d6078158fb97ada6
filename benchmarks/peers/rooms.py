"""Shares for the comparison: our own by its live protocol, and a peer's by the original's first protocol."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from typing import NamedTuple, Protocol, Self

from benchmarks import loading
from benchmarks.latency import Receipts
from benchmarks.posting import Poster
from benchmarks.rooms import JOIN_SECONDS, OnReceipt, Room, Share, accepted, stamps
from benchmarks.shares import new_session, part
from benchmarks.wire import Socket, open_socket

FILLING = 16
"""Publications in flight while a share is filled."""
SHORT_NAME = 8
"""Characters of a session's id that name its share."""
REPLAY_SECONDS = 60.0
QUIET_SECONDS = 2.0
"""A replay has no mark at its end, so a shorter one than expected ends with this pause."""


class FullState(NamedTuple):
    """A completely received state."""

    milliseconds: float
    bytes: int
    items: int


class Watched:
    """The only item of a share: the version that a viewer shows, and all versions that it has received."""

    def __init__(self) -> None:
        self.receipts = Receipts()
        self.shown = 0
        """Timestamp of the shown version."""

    def note(self, stamp: int, now: int, *, shows: bool = True) -> None:
        """Record one received version, and whether the viewer shows it from now on."""
        self.receipts.note(stamp, now)
        if shows:
            self.shown = stamp


class Measured(Room, Protocol):
    """A share that all measurements of this part can be made on."""

    number: int
    """Number of the last item that was published."""

    async def update(self, number: int, size: int) -> int:
        """Publish item ``number``, which may exist; return the time of the start."""
        ...

    async def update_all(self, numbers: Sequence[int], size: int) -> list[int]:
        """Publish several items, in one request if the protocol takes several; return the times of the starts."""
        ...

    async def watch(self, watched: Watched) -> Socket:
        """Join as a viewer of a share with one item, who shows what the protocol says."""
        ...

    async def fill_up(self, count: int, size: int) -> None:
        """Publish ``count`` new items as fast as the protocol allows."""
        ...

    async def full_state(self, items: int) -> FullState:
        """Connect as a new viewer and receive all ``items``."""
        ...

    async def stored(self, items: int) -> list[int]:
        """Return the timestamps of the stored items, as a new viewer receives them."""
        ...

    async def remove(self) -> None:
        """End the share, or at least our connections."""
        ...


class OurShare(Share):
    """A share on the deployed stage."""

    async def update_all(self, numbers: Sequence[int], size: int) -> list[int]:
        """Publish the items in one batch."""
        items = [part(self.session, number, size) for number in numbers]
        began = time.monotonic_ns()
        for number, item in enumerate(items):
            item["data"]["stamp"] = f"@{began + number}@"
        await self.sync(items)
        return [began + number for number in range(len(items))]

    async def watch(self, watched: Watched) -> Socket:
        """Join by the live protocol: the item with the largest time of arrival is shown, then of the largest number."""
        ready = asyncio.Event()
        newest = (0, 0)

        def on_frame(frame: bytes, now: int) -> None:
            nonlocal newest
            message = json.loads(frame)
            for item in message.get("items", ()):
                rank = (item["at"], item["seq"])
                watched.note(stamps(item["data"]["stamp"].encode())[0], now, shows=rank > newest)
                newest = max(newest, rank)
            if message["type"] == "ready":
                ready.set()

        socket = await self.open(on_frame)
        socket.send(self.resume(0))
        async with asyncio.timeout(JOIN_SECONDS):
            await ready.wait()
        return socket

    async def fill_up(self, count: int, size: int) -> None:
        """Publish ``count`` new parts in batches, and let snapshots settle."""
        await loading.fill(self, count, size)

    async def full_state(self, items: int) -> FullState:
        """Connect by the live protocol and receive everything, documents included."""
        loaded = await loading.load(self, 0)
        return FullState(loaded.milliseconds, loaded.bytes, min(items, loaded.items))

    async def stored(self, items: int) -> list[int]:  # noqa: ARG002 - the document is always complete
        """Return the timestamps in the share's document."""
        async with self.http.get(f"{self.url}/api/share/{self.id}/data", headers=self.headers) as answer:
            return stamps(await answer.read())


class PeerShare:
    """A share on a peer."""

    def __init__(self, url: str, session: str, secret: str) -> None:
        self.url = url
        self.number = 0
        self._session = session
        self._secret = secret
        self._poster = Poster(url)

    @classmethod
    async def create(cls, url: str) -> Self:
        """Share a new session."""
        session = new_session()
        poster = Poster(url)
        made = accepted(*await poster.post("/share_create", json.dumps({"sessionID": session}).encode()))
        poster.close()
        return cls(url, session, made["secret"])

    async def publish(self, size: int) -> int:
        """Publish one new part."""
        self.number += 1
        return await self.update(self.number, size)

    async def update(self, number: int, size: int) -> int:
        """Publish part ``number``, which may exist; return the time of the start."""
        content = part(self._session, number, size)["data"]
        key = f"session/part/{self._session}/{content['messageID']}/{content['id']}"
        began = time.monotonic_ns()
        content["stamp"] = f"@{began}@"
        body = {"sessionID": self._session, "secret": self._secret, "key": key, "content": content}
        accepted(*await self._poster.post("/share_sync", json.dumps(body).encode()))
        return began

    async def join(self, on_receipt: OnReceipt) -> Socket:
        """Join as a viewer, who is sent everything so far."""

        def on_frame(frame: bytes, now: int) -> None:
            for stamp in stamps(frame):
                on_receipt(stamp, now)

        return await open_socket(self._poll(), on_frame)

    async def update_all(self, numbers: Sequence[int], size: int) -> list[int]:
        """Publish the items in requests of their own, at once."""
        return list(await asyncio.gather(*(self.update(number, size) for number in numbers)))

    async def watch(self, watched: Watched) -> Socket:
        """Join as a viewer. The protocol has no order, so the last frame is shown."""
        return await self.join(watched.note)

    async def fill_up(self, count: int, size: int) -> None:
        """Publish ``count`` new parts; the protocol takes one in a request."""
        numbers = iter(range(count))

        async def publish() -> None:
            for _ in numbers:
                await self.publish(size)

        await asyncio.gather(*(publish() for _ in range(FILLING)))

    async def full_state(self, items: int) -> FullState:
        """Connect and receive the replay."""
        began = time.monotonic()
        frames, socket = await self._replay(items)
        took = (time.monotonic() - began) * 1000
        socket.close()
        return FullState(took, socket.received, len(frames))

    async def stored(self, items: int) -> list[int]:
        """Return the timestamps in the replay."""
        frames, socket = await self._replay(items)
        socket.close()
        return [stamp for frame in frames for stamp in stamps(frame)]

    def move(self, url: str) -> None:
        """Follow the server to another address."""
        self._poster.close()
        self.url, self._poster = url, Poster(url)

    async def remove(self) -> None:
        """End our connections; the protocol of the peers has no removal."""
        self._poster.close()

    async def _replay(self, items: int) -> tuple[list[bytes], Socket]:
        """Receive ``items`` frames, or fewer where no more arrive."""
        frames: list[bytes] = []
        complete = asyncio.Event()

        def on_frame(frame: bytes, _now: int) -> None:
            frames.append(frame)
            if len(frames) >= items:
                complete.set()

        socket = await open_socket(self._poll(), on_frame)
        deadline = time.monotonic() + REPLAY_SECONDS
        seen = -1
        while not complete.is_set() and seen < len(frames) and time.monotonic() < deadline:
            seen = len(frames)
            await asyncio.wait([waiting := asyncio.ensure_future(complete.wait())], timeout=QUIET_SECONDS)
            waiting.cancel()
        return frames, socket

    def _poll(self) -> str:
        return f"{self.url.replace('http', 'ws', 1)}/share_poll?id={self._session[-SHORT_NAME:]}"

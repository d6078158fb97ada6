"""The measured servers for publishers and viewers: our share, or the floor."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Protocol, Self

import aiohttp

from benchmarks.posting import NO_HEADERS, Poster
from benchmarks.shares import new_session, part
from benchmarks.wire import Socket, open_socket

Json = dict[str, Any]
OnReceipt = Callable[[int, int], None]
"""Called with the timestamp of a received update and its time of arrival (both nanoseconds, monotonic clock)."""

_STAMP = re.compile(rb"@(\d+)@")
_REFERENCE = re.compile(rb'"href":"([^"]+)"')
JOIN_SECONDS = 60.0


class PublishFailed(Exception):
    """A publication was not accepted. The message has status and answer."""


class Room(Protocol):
    """A place for publications, and their viewers."""

    async def publish(self, size: int) -> int:
        """Publish one update with ``size`` characters of text and a timestamp; return the time of its start."""
        ...

    async def join(self, on_receipt: OnReceipt) -> Socket:
        """Return a viewer's socket that is live."""
        ...


class Floor:
    """The bare broadcast server."""

    def __init__(self, url: str) -> None:
        self._poster = Poster(url)
        self._url = url
        self._number = 0

    async def publish(self, size: int) -> int:
        """Publish one update."""
        self._number += 1
        item = part("ses_floor", self._number, size)
        began = time.monotonic_ns()
        item["data"]["stamp"] = f"@{began}@"
        accepted(*await self._poster.post("/publish", json.dumps(item).encode()))
        return began

    async def join(self, on_receipt: OnReceipt) -> Socket:
        """Join as a viewer."""

        def on_frame(frame: bytes, now: int) -> None:
            for stamp in stamps(frame):
                on_receipt(stamp, now)

        return await open_socket(f"{self._url.replace('http', 'ws', 1)}/live", on_frame)


class Share:
    """A share on the deployed stage."""

    def __init__(
        self, http: aiohttp.ClientSession, url: str, session: str, id_: str, secret: str, headers: Mapping[str, str]
    ) -> None:
        self.http = http
        self.url = url
        self.headers = headers
        """Headers of all requests and handshakes."""
        self.id = id_
        self.number = 0
        """Number of the last item that was published here."""
        self.seq = 0
        """The largest acknowledged sequence number."""
        self.session = session
        self._secret = secret
        self._poster = Poster(url, headers)

    @classmethod
    async def create(cls, http: aiohttp.ClientSession, url: str, headers: Mapping[str, str] = NO_HEADERS) -> Self:
        """Share a new session."""
        session = new_session()
        made = await _create(http, url, session, headers)
        return cls(http, url, session, made["id"], made["secret"], headers)

    async def publish(self, size: int) -> int:
        """Publish one new part."""
        self.number += 1
        return await self.update(self.number, size)

    async def update(self, number: int, size: int) -> int:
        """Publish part ``number``, which may exist; return the time of the start."""
        item = part(self.session, number, size)
        began = time.monotonic_ns()
        item["data"]["stamp"] = f"@{began}@"
        await self.sync([item])
        return began

    async def fill(self, count: int, size: int) -> int:
        """Publish ``count`` new parts in one batch; return the share's sequence number."""
        first, self.number = self.number + 1, self.number + count
        return await self.sync([part(self.session, number, size) for number in range(first, self.number + 1)])

    async def sync(self, items: list[Json]) -> int:
        """Publish one batch; return the share's sequence number."""
        body = json.dumps({"secret": self._secret, "data": items}).encode()
        seq = int(accepted(*await self._poster.post(f"/api/share/{self.id}/sync", body))["seq"])
        self.seq = max(self.seq, seq)
        return seq

    async def remove(self) -> None:
        """Unshare."""
        self._poster.close()
        body = json.dumps({"secret": self._secret})
        async with self.http.delete(f"{self.url}/api/share/{self.id}", data=body, headers=self.headers) as answer:
            accepted(answer.status, await answer.read())

    async def open(self, on_frame: Callable[[bytes, int], None]) -> Socket:
        """Return a new socket of the live protocol, before its first message."""
        return await open_socket(f"{self.url.replace('http', 'ws', 1)}/live", on_frame, self.headers)

    def resume(self, after: int) -> bytes:
        """Return the action that requests the items after ``after``."""
        return json.dumps({"action": "resume", "share": self.id, "after": after}).encode()

    async def join(self, on_receipt: OnReceipt) -> Socket:
        """Join as a viewer that has everything so far, and wait until it is live.

        A referenced item counts as received when its body has been fetched.
        """
        viewer = _Viewer(self, on_receipt)
        await viewer.start()
        return viewer.socket


class _Viewer:
    def __init__(self, share: Share, on_receipt: OnReceipt) -> None:
        self._share = share
        self._on_receipt = on_receipt
        self._ready = asyncio.Event()
        self._fetches: set[asyncio.Task[None]] = set()
        self.socket: Socket

    async def start(self) -> None:
        self.socket = await self._share.open(self._on_frame)
        self.socket.send(self._share.resume(self._share.seq))
        async with asyncio.timeout(JOIN_SECONDS):
            await self._ready.wait()

    def _on_frame(self, frame: bytes, now: int) -> None:
        found = stamps(frame)
        for stamp in found:
            self._on_receipt(stamp, now)
        if not found and (reference := _REFERENCE.search(frame)):
            task = asyncio.create_task(self._fetch(reference[1].decode()))
            self._fetches.add(task)
            task.add_done_callback(self._fetches.discard)
        if frame.startswith(b'{"type":"ready"'):
            self._ready.set()

    async def _fetch(self, path: str) -> None:
        async with self._share.http.get(f"{self._share.url}{path}", headers=self._share.headers) as answer:
            body = await answer.read()
        now = time.monotonic_ns()
        for stamp in stamps(body):
            self._on_receipt(stamp, now)


async def _create(http: aiohttp.ClientSession, url: str, session: str, headers: Mapping[str, str]) -> Json:
    """Share a session. At the stage's limit of new shares, wait for the time that it returns."""
    while True:
        body = json.dumps({"sessionID": session})
        async with http.post(f"{url}/api/share", data=body, headers=headers) as answer:
            if answer.status != HTTPStatus.TOO_MANY_REQUESTS:
                return accepted(answer.status, await answer.read())
        await asyncio.sleep(float(answer.headers["Retry-After"]))


def accepted(status: int, body: bytes) -> Json:
    """Return the JSON document of an answer. Raises PublishFailed for an error."""
    if status >= HTTPStatus.MULTIPLE_CHOICES:
        raise PublishFailed(f"{status}: {body[:300].decode(errors='replace')}")
    return json.loads(body)


def stamps(text: bytes) -> list[int]:
    """Return the timestamps in a frame or a document, in their order."""
    return [int(stamp) for stamp in _STAMP.findall(text)]

"""Post to WebSocket connections through API Gateway's ``@connections`` API.

A fan-out makes one call per viewer and frame, so this module signs and sends requests itself, over a few kept
connections in one event loop. Through botocore and threads a post costs 2 ms of CPU time, here a tenth of that
(``make bench``).
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal
from urllib.parse import quote, urlsplit

from opencode_cloud.kit.aws_api.credentials import credential_source
from opencode_cloud.kit.aws_api.endpoints import region
from opencode_cloud.kit.aws_api.signing import Signer
from opencode_cloud.kit.log import logger
from opencode_cloud.kit.retry import Backoff

Outcome = Literal["sent", "gone", "failed"]
FRAME_BYTES = 32 * 1024  # API Gateway's limit of a WebSocket frame, and the unit in which it bills messages
MESSAGE_BYTES = 128 * 1024  # API Gateway's limit of a WebSocket message
_LANES = 32
_BACKOFF = Backoff(first=0.1, longest=0.2, attempts=3)
_TIMEOUT_SECONDS = 8
_MAY_PASS = (429, 500, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class _Call:
    """The calls for one connection: ``bodies`` are sent in order."""

    method: str
    connection: str
    bodies: Sequence[bytes]


@dataclass(slots=True)
class _Link:
    """A kept HTTP connection to the gateway."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def exchange(self, request: bytes) -> tuple[int, bool]:
        """Send a request; return the answer's status, and whether the link can be reused."""
        self.writer.write(request)
        head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        _, separator, rest = head.partition(b"\r\ncontent-length:")
        if separator:
            await self.reader.readexactly(int(rest.partition(b"\r\n")[0]))
        return int(head[9:12]), bool(separator) and b"\r\nconnection: close" not in head


class Sockets:
    """The connections of one WebSocket API stage, for use by one thread."""

    def __init__(self, endpoint: str) -> None:
        parts = urlsplit(endpoint)
        self._host, self._port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        self._netloc, self._path = parts.netloc, f"{parts.path.rstrip('/')}/@connections/"
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._credentials = credential_source()
        self._runner: asyncio.Runner | None = None
        self._idle: list[_Link] = []

    def post(self, messages: Iterable[tuple[str, Sequence[bytes]]]) -> list[Outcome]:
        """Send each connection its frames in order, different connections in parallel; return the outcomes in order.

        An outcome is ``gone`` when the connection has ended, ``failed`` when a frame could not be sent. Viewers detect
        the gap by the sequence number, so a failure is counted and not raised.
        """
        return self._run([_Call("POST", connection, frames) for connection, frames in messages])

    def close(self, connections: Iterable[str]) -> list[Outcome]:
        """Close ``connections``."""
        return self._run([_Call("DELETE", connection, (b"",)) for connection in connections])

    def is_open(self, connection: str) -> bool:
        """Tell whether ``connection`` accepts posts. It does so only after the answer to its ``$connect``."""
        return self._run([_Call("GET", connection, (b"",))]) == ["sent"]

    def _run(self, calls: Sequence[_Call]) -> list[Outcome]:
        if not calls:
            return []
        if self._runner is None:  # created on first use: a loop would not survive a SnapStart snapshot
            self._runner = asyncio.Runner()
        return self._runner.run(self._all(calls))

    async def _all(self, calls: Sequence[_Call]) -> list[Outcome]:
        signer = Signer(self._credentials.get(), region(), "execute-api", self._netloc, time.time())
        waiting = deque(enumerate(calls))
        outcomes: list[Outcome] = ["failed"] * len(calls)
        await asyncio.gather(*(self._lane(signer, waiting, outcomes) for _ in range(min(_LANES, len(calls)))))
        return outcomes

    async def _lane(self, signer: Signer, waiting: deque[tuple[int, _Call]], outcomes: list[Outcome]) -> None:
        while waiting:
            index, call = waiting.popleft()
            path = self._path + quote(call.connection, safe="")
            for body in call.bodies:
                outcomes[index] = await self._send(call.method, signer.head(call.method, path, body), body)
                if outcomes[index] != "sent":
                    break

    async def _send(self, method: str, head: bytes, body: bytes) -> Outcome:
        pauses = _BACKOFF.pauses()
        while True:
            status = await self._exchange(head + body)
            if status < 300:
                return "sent"
            if status == 410:
                return "gone"
            if status not in _MAY_PASS:
                logger.warning("post refused", extra={"status": status, "method": method})
                return "failed"
            pause = next(pauses, None)
            if pause is None:
                return "failed"
            await asyncio.sleep(pause)

    async def _exchange(self, request: bytes) -> int:
        """Send a request over a kept link, or over a new one if that was closed; return 503 when neither answers."""
        while self._idle:
            status = await self._try(self._idle.pop(), request)
            if status is not None:
                return status
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                link = _Link(*await asyncio.open_connection(self._host, self._port, ssl=self._tls))
        except (OSError, TimeoutError) as error:
            logger.warning("the gateway cannot be reached", extra={"reason": type(error).__name__})
            return 503
        return await self._try(link, request) or 503

    async def _try(self, link: _Link, request: bytes) -> int | None:
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                status, reusable = await link.exchange(request)
        except (OSError, EOFError, TimeoutError, ValueError):
            link.writer.close()
            return None
        if reusable:
            self._idle.append(link)
        else:
            link.writer.close()
        return status


@cache
def sockets(endpoint: str) -> Sockets:
    """Return the sockets of ``endpoint``, created once per execution environment."""
    return Sockets(endpoint)

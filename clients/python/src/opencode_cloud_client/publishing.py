"""Publish items to a share over one socket. Each batch is acknowledged when it is durable."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from types import TracebackType

from websockets.asyncio.client import ClientConnection

from .backoff import Backoff
from .counters import Counters
from .errors import ConnectionLost, OpencodeCloudError, RequestRefused, ShareGone, refusal
from .protocol import MESSAGE_LIMIT, AckFrame, ErrorFrame, Frame, GoneFrame, NewItem, decode_frame, encode
from .transport import SOCKET_ERRORS, Server, open_socket, receive, send

_PING = 240.0
"""Seconds without a message after which to ping; the server closes sockets idle for 600."""


@dataclass(slots=True, eq=False)
class _Batch:
    """A batch that has not been acknowledged."""

    message: bytes
    acknowledged: asyncio.Future[int]
    sent_on: ClientConnection | None = None


class Publisher:
    """Publishes to one share over a socket. Made by `Share.publisher()`.

        async with share.publisher() as publisher:
            seq = await publisher.sync([{"type": "message", "data": message}])

    `sync` returns once the batch is durable. At most `in_flight` batches are under way at a time, the others wait:
    with one (the default) batches are committed in the order in which they were given. A batch too large for a socket
    message goes over HTTP. If the connection is lost, unacknowledged batches are sent again on the next one; a batch
    may then be committed twice, which leaves the same state.
    """

    def __init__(
        self,
        server: Server,
        share: str,
        secret: str,
        counters: Counters,
        over_http: Callable[[list[NewItem]], Awaitable[int]],
        *,
        backoff: Backoff,
        in_flight: int = 1,
        timeout: float = 30.0,
    ) -> None:
        self.counters = counters
        self._server = server
        self._share = share
        self._secret = secret
        self._over_http = over_http
        self._backoff = backoff
        self._timeout = timeout
        self._slots = asyncio.Semaphore(in_flight)
        self._sending = asyncio.Lock()
        self._names = itertools.count(1)
        self._pending: dict[str, _Batch] = {}
        self._socket: ClientConnection | None = None
        self._failures = 0
        self._task: asyncio.Task[None] | None = None
        self._end: OpencodeCloudError | None = None

    async def __aenter__(self) -> Publisher:
        self._task = asyncio.create_task(self._run(), name=f"publish {self._share}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def sync(self, items: Iterable[NewItem]) -> int:
        """Publish a batch; return the number of its last item when it is durable.

        Raises RequestRefused, or ConnectionLost without an acknowledgement.
        """
        name, batch = str(next(self._names)), list(items)
        message = encode({"action": "sync", "share": self._share, "secret": self._secret, "id": name, "items": batch})
        async with self._slots:
            if len(message) > MESSAGE_LIMIT:
                return await self._over_http(batch)
            return await self._over_socket(name, message)

    async def close(self) -> None:
        """Close the socket; batches without an acknowledgement fail with ConnectionLost."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        self._fail(ConnectionLost("the publisher was closed"))

    async def _over_socket(self, name: str, message: bytes) -> int:
        if self._task is None or self._end is not None:
            raise self._end or ConnectionLost("the publisher is not open")
        batch = self._pending[name] = _Batch(message, asyncio.get_running_loop().create_future())
        try:
            if self._socket is not None:
                with contextlib.suppress(*SOCKET_ERRORS):  # the next connection sends it again
                    await self._flush(self._socket)
            async with asyncio.timeout(self._timeout):
                return await batch.acknowledged
        except TimeoutError as error:
            raise ConnectionLost(f"no acknowledgement within {self._timeout} s") from error
        finally:
            del self._pending[name]

    async def _run(self) -> None:
        """Keep a connection until the back-off ends or the share is gone."""
        while True:
            try:
                await self._serve()
            except (ConnectionLost, *SOCKET_ERRORS) as error:
                self._failures += 1
                if self._backoff.exhausted(self._failures):
                    return self._fail(ConnectionLost(f"gave up after {self._failures} attempts: {error}"))
            except OpencodeCloudError as error:
                return self._fail(error)
            await asyncio.sleep(self._backoff.delay(self._failures))

    async def _serve(self) -> None:
        """Use one connection: send pending batches, then handle answers until it ends."""
        try:
            socket = await open_socket(self._server, self.counters, self._timeout)
        except RequestRefused as refused:
            raise ConnectionLost(str(refused)) if refused.transient else refused from refused
        async with socket:
            self._socket = socket
            try:
                await self._flush(socket)
                while True:
                    self._handle(decode_frame(await self._receive(socket)))
            finally:
                self._socket = None

    async def _receive(self, socket: ClientConnection) -> bytes:
        while True:
            try:
                async with asyncio.timeout(_PING):
                    return await receive(socket, self.counters)
            except TimeoutError:
                await send(socket, self.counters, encode({"action": "ping", "share": self._share}))

    async def _flush(self, socket: ClientConnection) -> None:
        """Send, in order, every pending batch that this connection has not sent yet."""
        async with self._sending:
            for batch in list(self._pending.values()):
                if batch.sent_on is not socket:
                    batch.sent_on = socket
                    await send(socket, self.counters, batch.message)

    def _handle(self, frame: Frame) -> None:
        match frame:
            case AckFrame():
                self._failures = 0
                self._settle(frame.id, frame.seq)
            case ErrorFrame(id=None):
                # The error names no batch, so let the next connection send everything again.
                raise ConnectionLost(str(refusal(frame.code, frame.message, status=frame.status)))
            case ErrorFrame(id=str(name)):
                self._settle(name, refusal(frame.code, frame.message, status=frame.status))
            case GoneFrame():
                raise ShareGone("share_gone", "The share was removed or has expired.")
            case _:
                pass  # frames for viewers

    def _settle(self, name: str, outcome: int | Exception) -> None:
        batch = self._pending.get(name)
        if batch is None or batch.acknowledged.done():
            return
        if isinstance(outcome, int):
            batch.acknowledged.set_result(outcome)
        else:
            batch.acknowledged.set_exception(outcome)

    def _fail(self, error: OpencodeCloudError) -> None:
        self._end = error
        for name in self._pending:
            self._settle(name, error)

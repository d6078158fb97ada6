"""Follow a share: an asynchronous iterator of its changes, which ends only with the share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import TracebackType

import httpx
from websockets.asyncio.client import ClientConnection

from .backoff import Backoff
from .counters import Counters
from .errors import ConnectionLost, OpencodeCloudError, ProtocolError, RequestRefused, ShareGone, refusal
from .protocol import (
    Change,
    ErrorFrame,
    Frame,
    GoneFrame,
    Item,
    ItemsFrame,
    PongFrame,
    ReadyFrame,
    ShareState,
    SnapshotFrame,
    Viewer,
    decode,
    decode_document,
    decode_frame,
    decode_item,
)
from .tickets import Tickets
from .transport import SOCKET_ERRORS, Http, Server, open_socket, receive, send

_NEVER = float("inf")
_PARALLEL_FETCHES = 4
_FRUITLESS_RESUMES = 3


@dataclass(frozen=True, slots=True)
class Timing:
    """Timeouts of a follower, in seconds."""

    ping: float = 240.0
    """Seconds without a message from us before a ping; the server closes sockets idle for 600."""
    answer: float = 20.0
    """Timeout for the answer to a ping or resume. After it the connection counts as dead."""
    overtaking: float = 0.1
    """Wait for a missing frame before a resume, because frames of two commits can overtake each other."""
    opening: float = 10.0
    """Timeout for connecting."""


@dataclass(frozen=True, slots=True)
class Update:
    """The result of one frame. `changes` is empty if the follower only became live."""

    changes: tuple[Change, ...]
    cursor: int
    """The state contains everything up to this number. Pass it as `after` after a restart."""
    live: bool
    """True if the state is complete and further commits are pushed."""


class Follower:
    """Follows one share. Made by `follow()`.

        async with follow("https://cloud.example.com", share_id) as follower:
            async for change in follower:
                print(change.item.key, change.item.data)

    Work happens only while somebody iterates: a consumer that stops reading stops receiving, and resumes when it goes
    on. Iterating raises ShareGone when the share is removed or expires, and another RequestRefused if the server will
    not serve it at all; network failures are retried as `backoff` says.
    """

    def __init__(
        self, server: Server, state: ShareState, backoff: Backoff, timing: Timing, http: Http, tickets: Tickets
    ) -> None:
        self.state = state
        """Return everything received so far, folded."""
        self.counters = http.counters
        self._server = server
        self._backoff = backoff
        self._timing = timing
        self._http = http
        self._tickets = tickets
        self._viewer = Viewer(state)
        self._socket: ClientConnection | None = None
        self._failures = 0
        self._end: OpencodeCloudError | None = None
        self._ping_due = self._answer_due = self._resume_due = _NEVER

    async def __aenter__(self) -> Follower:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def __aiter__(self) -> AsyncIterator[Change]:
        """Iterate over every change of a key, without end."""
        while True:
            for change in (await self.update()).changes:
                yield change

    @property
    def live(self) -> bool:
        """Tell whether the state is complete and further commits are pushed."""
        return self._socket is not None and self._viewer.live

    async def update(self) -> Update:
        """Return the next update: changes, or becoming live. It can be cancelled without loss."""
        while self._end is None:
            try:
                socket = self._socket or await self._connect()
                update = await self._handle(decode_frame(await self._receive(socket)))
                if update is not None:
                    return update
            except (ConnectionLost, *SOCKET_ERRORS) as error:
                await self._lost(error)
            except OpencodeCloudError as error:
                await self._finish(error)
        raise self._end

    async def until_live(self) -> ShareState:
        """Follow until the state is complete, and return it."""
        while not self.live:
            await self.update()
        return self.state

    async def until(self, seq: int) -> ShareState:
        """Follow until the state is complete up to `seq`, and return it."""
        while self.state.cursor < seq:
            await self.update()
        return self.state

    async def close(self) -> None:
        """Stop following; the state remains."""
        await self._finish(ConnectionLost("the follower was closed"))

    async def _connect(self) -> ClientConnection:
        """Open a new socket, for which a resume is due."""
        if self._failures:
            await asyncio.sleep(self._backoff.delay(self._failures))
        try:
            self._socket = await open_socket(self._server, self.counters, self._timing.opening)
        except RequestRefused as refused:
            raise ConnectionLost(str(refused)) if refused.transient else refused from refused
        self._viewer.connected()
        self._resume_due = 0.0
        return self._socket

    async def _lost(self, error: Exception) -> None:
        """Count a failed connection; raise its error if it was the last permitted one."""
        self._tickets.doubt()
        await self._drop()
        self._failures += 1
        if self._backoff.exhausted(self._failures):
            await self._finish(ConnectionLost(f"gave up after {self._failures} attempts without progress: {error}"))

    async def _finish(self, error: OpencodeCloudError) -> None:
        self._end = self._end or error
        await self._drop()
        await self._http.close()

    async def _drop(self) -> None:
        socket, self._socket = self._socket, None
        self._ping_due = self._answer_due = self._resume_due = _NEVER
        if socket is not None:
            await socket.close()

    async def _receive(self, socket: ClientConnection) -> bytes:
        """Return the next message; send due pings and resumes while waiting."""
        clock = asyncio.get_running_loop().time
        while True:
            patience = clock() + self._timing.overtaking
            self._resume_due = min(self._resume_due, patience) if self._viewer.needs_resume else _NEVER
            await self._do_what_is_due(socket, clock())
            try:
                async with asyncio.timeout_at(min(self._ping_due, self._answer_due, self._resume_due)):
                    return await receive(socket, self.counters)
            except TimeoutError:
                continue

    async def _do_what_is_due(self, socket: ClientConnection, now: float) -> None:
        if now >= self._answer_due:
            raise ConnectionLost(f"no answer within {self._timing.answer} s")
        if now >= self._resume_due:
            self._resume_due = _NEVER
            self.counters.resumes += 1
            await self._send(socket, self._viewer.resume(await self._ticket()), now)
        elif now >= self._ping_due:
            await self._send(socket, self._viewer.ping(await self._ticket()), now)

    async def _ticket(self) -> str | None:
        return await self._tickets.present(self._http.post)

    async def _send(self, socket: ClientConnection, action: bytes, now: float) -> None:
        self._ping_due = now + self._timing.ping
        self._answer_due = now + self._timing.answer
        await send(socket, self.counters, action)

    async def _handle(self, frame: Frame) -> Update | None:
        """Apply one frame; return None if nothing changed for the consumer."""
        was_live, cursor = self._viewer.live, self.state.cursor
        changes: tuple[Change, ...] = ()
        if isinstance(frame, ItemsFrame | SnapshotFrame | ReadyFrame | PongFrame):
            self._viewer.mention(frame)
        match frame:
            case ItemsFrame():
                changes = self._viewer.take_items(frame.after, frame.seq, await self._fetch_items(frame.items))
            case SnapshotFrame():
                changes = await self._fetch_document(frame)
            case ReadyFrame():
                self._viewer.take_ready()
            case GoneFrame():
                raise ShareGone("share_gone", "The share was removed or has expired.")
            case ErrorFrame():
                error = refusal(frame.code, frame.message, status=frame.status)
                raise ConnectionLost(str(error)) if error.transient else error
            case _:
                pass  # a pong's number is recorded above; an unknown frame is for a later version of this client
        self._note_progress(cursor)
        return Update(changes, self.state.cursor, self.live) if changes or self.live > was_live else None

    def _note_progress(self, before: int) -> None:
        """Check progress after a frame; `before` is the earlier cursor. Raises ConnectionLost without progress."""
        viewer, progress = self._viewer, self.state.cursor > before
        if viewer.fruitless >= _FRUITLESS_RESUMES:
            raise ConnectionLost(f"the server does not send what follows {self.state.cursor}")
        if viewer.live or progress:
            self._failures = 0
        if not viewer.resuming:
            self._answer_due = _NEVER
        elif progress:
            self._answer_due = asyncio.get_running_loop().time() + self._timing.answer

    async def _fetch_document(self, frame: SnapshotFrame) -> tuple[Change, ...]:
        self.counters.snapshots += 1
        after = f"?after={self.state.cursor}" if self.state.cursor and "?" not in frame.href else ""
        document = decode_document(await self._http.get(frame.href + after, self._tickets.headers))
        if document.share != self.state.share:
            raise ProtocolError("the document is of another share")
        self._resume_due = 0.0  # a document is never the end: resume at once for later commits
        return self._viewer.take_document(document, await self._fetch_items(document.items))

    async def _fetch_items(self, items: tuple[Item, ...]) -> tuple[Item, ...]:
        """Return the `items` that would change the state, with their bodies. Fetch referenced ones."""
        self.counters.items_received += len(items)
        self.counters.duplicate_items += sum(item.seq <= self.state.cursor for item in items)
        news = self._viewer.news(items)
        if all(item.href is None for item in news):
            return news
        permits = asyncio.Semaphore(_PARALLEL_FETCHES)
        return tuple(await asyncio.gather(*[self._whole(item, permits) for item in news]))

    async def _whole(self, item: Item, permits: asyncio.Semaphore) -> Item:
        if item.href is None:
            return item
        async with permits:
            self.counters.references += 1
            whole = decode_item(decode(await self._http.get(item.href, self._tickets.headers)))
        if (whole.seq, whole.key, whole.href) != (item.seq, item.key, None):
            raise ProtocolError(f"{item.href} holds another item")
        return whole


def follow(
    url: str,
    share: str,
    after: int = 0,
    *,
    state: ShareState | None = None,
    backoff: Backoff | None = None,
    timing: Timing | None = None,
    http: httpx.AsyncClient | None = None,
    bearer: str | None = None,
    password: str | None = None,
) -> Follower:
    """Follow the share with id `share` on the server at `url`.

    `after` skips what an earlier run has seen (its `state.cursor`); pass that run's whole `state` instead to go on
    folding it. `http` is a client to use for references instead of an own one; it is not closed. A share that is not
    for everybody needs `bearer`, an access token or key of a member of its workspace, or the share's `password`.
    """
    server = Server.at(url)
    counters = Counters()
    state = state or ShareState(share, after)
    return Follower(
        server,
        state,
        backoff or Backoff(),
        timing or Timing(),
        Http(server, counters, Backoff(attempts=4), http),
        Tickets(state.share, bearer, password),
    )

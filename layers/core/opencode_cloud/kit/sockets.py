"""Post to WebSocket connections through API Gateway's ``@connections`` API.

A fan-out makes one call per viewer and frame. One thread sends the calls over a few kept connections, and takes each
answer when it arrives. Through botocore and threads a post costs 2 ms of CPU time, here a twentieth of that
(``make bench``).
"""

from __future__ import annotations

import heapq
import select
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Literal
from urllib.parse import quote, urlsplit

import msgspec

from opencode_cloud.kit.aws_api.connections import BrokenConnection, Connection, Connections
from opencode_cloud.kit.aws_api.credentials import credential_source
from opencode_cloud.kit.aws_api.endpoints import region
from opencode_cloud.kit.aws_api.errors import AwsUnreachable
from opencode_cloud.kit.aws_api.signing import Signer, Signers
from opencode_cloud.kit.log import logger
from opencode_cloud.kit.parallel import parallel_map
from opencode_cloud.kit.retry import Backoff

Outcome = Literal["sent", "gone", "failed"]
FRAME_BYTES = 32 * 1024  # API Gateway's limit of a WebSocket frame, and the unit in which it bills messages
MESSAGE_BYTES = 128 * 1024  # API Gateway's limit of a WebSocket message
_LANES = 32
_BACKOFF = Backoff(first=0.1, longest=0.2, attempts=3)
_CONNECT_SECONDS = 2
_TIMEOUT_SECONDS = 8
_MAY_PASS = (429, 500, 502, 503, 504)
_UNREACHABLE = 503


class _Call(msgspec.Struct, frozen=True):
    """The calls for one connection: ``bodies`` are sent in order."""

    method: str
    connection: str
    bodies: Sequence[bytes]


class _Turn(msgspec.Struct):
    """The progress of one call."""

    index: int
    call: _Call
    sent: int = 0
    pauses: Iterator[float] = msgspec.field(default_factory=_BACKOFF.pauses)


class _Lane(msgspec.Struct):
    """A connection that waits for an answer."""

    connection: Connection
    kept: bool
    turn: _Turn
    deadline: float


class Sockets:
    """The connections of one WebSocket API stage, for use by any number of threads."""

    def __init__(self, endpoint: str) -> None:
        self._path = f"{urlsplit(endpoint).path.rstrip('/')}/@connections/"
        self._connections = Connections(endpoint, connect_seconds=_CONNECT_SECONDS, read_seconds=_TIMEOUT_SECONDS)
        self._signers = Signers(credential_source(), region(), "execute-api", self._connections.host)

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
        return _Round(self._connections, self._signers.signer("", {}), self._path, calls).run()


class _Round:
    """One parallel round of calls."""

    def __init__(self, connections: Connections, signer: Signer, path: str, calls: Sequence[_Call]) -> None:
        self._connections = connections
        self._signer = signer
        self._path = path
        self._outcomes: list[Outcome] = ["sent"] * len(calls)
        self._waiting = deque(_Turn(index, call) for index, call in enumerate(calls) if call.bodies)
        self._later: list[tuple[float, int, _Turn]] = []
        self._busy: dict[int, _Lane] = {}
        self._poll = select.poll()
        self._reconnects = _BACKOFF.pauses()

    def run(self) -> list[Outcome]:
        """Make all calls and return their outcomes, in order."""
        lanes = parallel_map(lambda _: self._lease(), range(min(_LANES, len(self._waiting))))
        for connection, kept in lanes:
            if connection is not None:
                self._next(connection, kept)
        if not self._busy:
            self._postpone()
        while self._busy or self._later or self._waiting:
            for descriptor, _ in self._poll.poll(self._patience() * 1000):
                self._receive(self._release(descriptor))
            self._expire()
            self._resume()
        return self._outcomes

    def _lease(self) -> tuple[Connection | None, bool]:
        try:
            return self._connections.lease()
        except AwsUnreachable as error:
            logger.warning("the gateway cannot be reached", extra={"reason": str(error)})
            return None, False

    def _next(self, connection: Connection | None, kept: bool) -> None:
        """Begin the next waiting call, if any, on a connection. Without one, put off all waiting calls."""
        if connection is None:
            self._postpone()
        elif self._waiting:
            self._send(connection, kept, self._waiting.popleft())
        else:
            self._connections.give_back(connection, reusable=True)

    def _postpone(self) -> None:
        """Put off all waiting calls until the next attempt to connect. After the last attempt, they have failed."""
        turns = [*self._waiting, *(turn for _, _, turn in self._later)]
        self._waiting.clear()
        self._later.clear()
        pause = next(self._reconnects, None)
        for turn in turns:
            if pause is None:
                self._outcomes[turn.index] = "failed"
            else:
                heapq.heappush(self._later, (time.monotonic() + pause, turn.index, turn))

    def _send(self, connection: Connection | None, kept: bool, turn: _Turn) -> None:
        if connection is None:
            self._waiting.append(turn)
            self._postpone()
            return
        call = turn.call
        body = call.bodies[turn.sent]
        head = self._signer.head(call.method, self._path + quote(call.connection, safe=""), body)
        try:
            connection.send(head, body)
        except BrokenConnection:
            connection.close()
            self._fail(turn, kept)
            return
        descriptor = connection.fileno()
        self._busy[descriptor] = _Lane(connection, kept, turn, time.monotonic() + _TIMEOUT_SECONDS)
        self._poll.register(descriptor, select.POLLIN)

    def _fail(self, turn: _Turn, kept: bool) -> None:
        """Send again over another connection if a kept one was closed by its peer; else count an attempt."""
        if kept:
            self._send(*self._lease(), turn)
        else:
            self._settle(turn, _UNREACHABLE)

    def _receive(self, lane: _Lane) -> None:
        try:
            answer, reusable = lane.connection.receive(lane.turn.call.method)
        except BrokenConnection as error:
            lane.connection.close()
            self._fail(lane.turn, lane.kept and error.stale)
            return
        if not reusable:
            lane.connection.close()
        connection, kept = (lane.connection, True) if reusable else (None, False)
        if self._settle(lane.turn, answer.status):
            self._waiting.appendleft(lane.turn)  # its next frame
        if self._waiting and connection is None:
            connection, kept = self._lease()
        self._next(connection, kept)

    def _settle(self, turn: _Turn, status: int) -> bool:
        """Note a status of a call; return whether it has another frame to send at once."""
        if status < 300:
            turn.sent += 1
            return turn.sent < len(turn.call.bodies)
        pause = next(turn.pauses, None) if status in _MAY_PASS else None
        if pause is not None:
            heapq.heappush(self._later, (time.monotonic() + pause, turn.index, turn))
            return False
        if status not in (410, *_MAY_PASS):
            logger.warning("post refused", extra={"status": status, "method": turn.call.method})
        self._outcomes[turn.index] = "gone" if status == 410 else "failed"
        return False

    def _release(self, descriptor: int) -> _Lane:
        self._poll.unregister(descriptor)
        return self._busy.pop(descriptor)

    def _expire(self) -> None:
        now = time.monotonic()
        for descriptor in [descriptor for descriptor, lane in self._busy.items() if lane.deadline <= now]:
            lane = self._release(descriptor)
            lane.connection.close()
            self._settle(lane.turn, _UNREACHABLE)

    def _resume(self) -> None:
        """Begin calls whose pause is over, and calls that no lane is left for."""
        now = time.monotonic()
        while self._later and self._later[0][0] <= now:
            self._waiting.append(heapq.heappop(self._later)[2])
        while self._waiting and len(self._busy) < _LANES:
            self._next(*self._lease())

    def _patience(self) -> float:
        """Return the seconds until something is due without an answer."""
        due = [lane.deadline for lane in self._busy.values()] + [moment for moment, _, _ in self._later[:1]]
        return max(0.0, min(due, default=0.0) - time.monotonic()) if due else 0.0


@cache
def sockets(endpoint: str) -> Sockets:
    """Return the sockets of ``endpoint``, created once per execution environment."""
    return Sockets(endpoint)

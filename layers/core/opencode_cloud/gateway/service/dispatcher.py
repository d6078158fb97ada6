"""Sending a call to upstreams until one answers, and passing its answer on to the client.

Until the first bytes of an answer have been sent to the client, a failing upstream costs only time: the dispatcher asks
the next one. Heartbeats cover long silences, so that proxies between gateway and client keep the connection open.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, TypeVar

from opencode_cloud.catalogue.models import Timers
from opencode_cloud.gateway.formats import (
    InvalidRequest,
    StreamRelay,
    UpstreamFault,
    UpstreamGarbage,
    WholeAnswer,
    collect_answer,
    heartbeat,
    is_own_error,
    relay_answer,
    relay_embedding,
    relay_stream,
    stream_answer,
    tier_name,
    upstream_fault,
)
from opencode_cloud.gateway.models import LOCKED_OUT, AttemptFailed, Failure, UpstreamTarget
from opencode_cloud.gateway.service.classification import failure_of
from opencode_cloud.gateway.service.error_mapping import error_of, fallback_reason, interrupted
from opencode_cloud.gateway.service.outgoing import OutgoingRequests
from opencode_cloud.kit import log
from opencode_cloud.kit.log import logger
from opencode_cloud.kit.patience import Patience
from opencode_cloud.kit.retry import Backoff

if TYPE_CHECKING:
    from opencode_cloud.contracts.access import FallbackReason
    from opencode_cloud.gateway.service.call_state import CallState
    from opencode_cloud.gateway.service.calls import Sink, UpstreamResponse
    from opencode_cloud.gateway.service.health import Health
    from opencode_cloud.gateway.service.refused_parts import RefusedParts

Result = TypeVar("Result")
HEARTBEAT_SECONDS = 10.0
"""Silence after which a heartbeat is sent. CloudFront waits at most two minutes between packets (docs/deploy.md)."""
JSON_HEARTBEAT_SECONDS = 40.0
"""As above, for answers that are not streamed. Later, because the first heartbeat commits the answer to status 200."""
ROUNDS = Backoff(first=1.0, longest=8.0, attempts=3)
"""Rounds over all upstreams of a model."""
MOST_ATTEMPTS = 6
"""Attempts for one call, over all rounds: a bound on the load of one call."""
LONGEST_PAUSE_SECONDS = 8.0
"""If an upstream asks for a longer pause, the client gets the error and its `retry-after` instead."""
AFTER_END_SECONDS = 2.0
"""Seconds to keep reading after the end of the answer, because usage may follow it."""
LONGEST_PREAMBLE = 1024 * 1024
"""Number of bytes to hold of a stream in which nothing was generated."""
LONGEST_ERROR = 64 * 1024
"""Number of bytes to read of an upstream's error."""
LONGEST_HEADER = 500
"""Characters of the names of dropped hints. A client's unknown members can have any names."""
EVENT_STREAM = "text/event-stream"
JSON = "application/json"
_STREAMS = frozenset({EVENT_STREAM, "text/plain", "application/octet-stream", ""})
"""Types of streams. Some servers label them wrongly; a body that is no stream is found by its first bytes."""
_OK = 200
_UNPRINTABLE = re.compile(r"[^ -~]")


class UpstreamDispatcher:
    """Gets an answer to one call from an upstream, and passes it on."""

    def __init__(
        self,
        state: CallState,
        sink: Sink,
        health: Health,
        refused_parts: RefusedParts,
        open_: Callable[[UpstreamTarget, bytes, Mapping[str, str], bool], Awaitable[UpstreamResponse]],
    ) -> None:
        self._state = state
        self._sink = sink
        self._health = health
        self._open = open_
        self._deadline = state.started + max(target.upstream.timers.total for target in state.targets)
        self._requests = OutgoingRequests(state, refused_parts)
        self._failures: list[tuple[UpstreamTarget, AttemptFailed]] = []
        self.answered = False
        """True once an upstream has begun to answer. No other model may serve the call then."""

    async def dispatch(self) -> None:
        """Answer the call. Raises a :class:`ServiceError` if no upstream answers, or the answer breaks off."""
        if self._state.parsed.stream:
            await self._stream()
        else:
            await self._whole()

    @property
    def fallback_reason(self) -> FallbackReason | None:
        """Return the reason for which another model may serve a call without an answer; None: none may."""
        return fallback_reason(self._failures)

    # ------------------------------------------------------------------------------------ one piece

    async def _whole(self) -> None:
        state = self._state
        body, target = await self._first_answer(self._attempt_whole)
        state.complete = True
        # Heartbeats may have begun the answer already.
        if not self._sink.begun:
            await self._begin(target, JSON)
        await self._sink.send(body)

    async def _attempt_whole(self, target: UpstreamTarget) -> tuple[bytes, UpstreamTarget]:
        answer = await self._send_request(target)
        whole = False
        try:
            self._state.accepted = True
            async with asyncio.timeout(self._remaining_seconds(target.upstream.timers)):
                body = await answer.body()
            whole = True
            relayed = self._relayed(target, body, streamed=answer.content_type == EVENT_STREAM)
        except TimeoutError:
            raise AttemptFailed(Failure.SLOW, "the answer did not come in time") from None
        except UpstreamGarbage as error:
            raise _failed(error.fault, str(error)) from error
        finally:
            answer.close(used_up=whole)
        self._state.reported, self._state.generated = relayed.tokens, relayed.generated
        self._state.served = relayed.tier or tier_name(answer.service_tier)
        self._note_first_byte()
        return relayed.body, target

    def _relayed(self, target: UpstreamTarget, body: bytes, *, streamed: bool) -> WholeAnswer:
        parsed = self._state.parsed
        if parsed.embedding is not None:
            return relay_embedding(parsed, target.format, body)
        relay = collect_answer if streamed else relay_answer
        return relay(parsed, target.format, body, self._requests.to(target).emulation)

    # --------------------------------------------------------------------------------------- stream

    async def _stream(self) -> None:
        answer, relay, first, target = await self._first_answer(self._attempt_stream)
        ended = False
        try:
            if not self._sink.begun:
                await self._begin(target, EVENT_STREAM)
            if first:
                await self._sink.send(first)
            await self._carry(answer, relay, target)
            ended = True
        finally:
            self._note(relay)
            answer.close(used_up=ended)

    async def _attempt_stream(
        self, target: UpstreamTarget
    ) -> tuple[UpstreamResponse, StreamRelay, bytes, UpstreamTarget]:
        """Return an answer that has begun: status and first events are valid."""
        answer = await self._send_request(target)
        timers = target.upstream.timers
        fine = False
        try:
            async with asyncio.timeout(min(timers.first_byte, self._remaining_seconds(timers))):
                relay, first = await self._begun(answer, target)
            fine = True
        except TimeoutError:
            raise AttemptFailed(Failure.SLOW, "no first event in time") from None
        finally:
            if not fine:
                answer.close(used_up=False)
        self._state.accepted, self._state.relay = True, relay
        self._state.served = tier_name(answer.service_tier)
        self._note_first_byte()
        return answer, relay, first, target

    async def _begun(self, answer: UpstreamResponse, target: UpstreamTarget) -> tuple[StreamRelay, bytes]:
        """Return the relay of a stream and its first bytes for the client."""
        parsed, emulation = self._state.parsed, self._requests.to(target).emulation
        if answer.content_type == JSON:
            try:
                whole = stream_answer(parsed, target.format, await answer.body(), emulation)
            except UpstreamGarbage as error:
                raise _failed(error.fault, str(error)) from error
            return whole, whole.written
        if answer.content_type not in _STREAMS:
            raise AttemptFailed(Failure.BROKEN, f"it answered `{answer.content_type}` instead of a stream")
        relay = relay_stream(parsed, target.format, emulation)
        return relay, await self._first(answer, relay)

    async def _first(self, answer: UpstreamResponse, relay: StreamRelay) -> bytes:
        """Return the events up to the first in which something was generated.

        Comments, pings and the frame of an answer commit no call: an error after them is like one in their place.
        """
        held = b""
        while True:
            chunk = await answer.chunk()
            if not chunk:
                raise AttemptFailed(Failure.BROKEN, "the stream ended before it began")
            held += relay.feed(chunk)
            if relay.fault is not None:
                raise _failed(relay.fault, relay.fault.message)
            if relay.garbage:
                raise AttemptFailed(Failure.BROKEN, "it sent data that is not a stream of this format")
            if relay.progress or relay.complete:
                return held
            if len(held) > LONGEST_PREAMBLE:
                raise AttemptFailed(Failure.BROKEN, "it sent much, and generated nothing")

    async def _carry(self, answer: UpstreamResponse, relay: StreamRelay, target: UpstreamTarget) -> None:
        send, chunk_of, silence = self._sink.send, answer.chunk, _Silence(relay)
        with closing(Patience()) as patience:
            while chunk := await self._next(chunk_of, relay, silence, target, patience):
                if out := relay.feed(chunk):
                    await send(out)
                silence.update(relay)
                _check(relay, target)
        if out := relay.end():
            await send(out)
        _check(relay, target)
        if not relay.complete:
            raise interrupted(target, "the stream ended in the middle")

    async def _next(
        self,
        chunk_of: Callable[[], Awaitable[bytes]],
        relay: StreamRelay,
        silence: _Silence,
        target: UpstreamTarget,
        patience: Patience,
    ) -> bytes:
        """Return the next chunk; send heartbeats to the client until it arrives."""
        timers = target.upstream.timers
        while True:
            # The client has its whole answer: wait for late usage only briefly.
            longest = AFTER_END_SECONDS if relay.complete else timers.between_chunks
            pause = min(HEARTBEAT_SECONDS, longest - silence.seconds(), self._remaining_seconds(timers))
            try:
                return await patience.wait(chunk_of(), max(0.0, pause))
            except AttemptFailed as error:
                raise interrupted(target, error.message) from error
            except TimeoutError:
                if relay.complete:
                    return b""
            if self._remaining_seconds(timers) <= 0:
                raise interrupted(target, f"the answer took longer than {timers.total:g} s")
            if silence.seconds() >= timers.between_chunks:
                raise interrupted(target, f"nothing came for {timers.between_chunks:g} s")
            # A relay returns whole events only, so a heartbeat is always between two events.
            await self._sink.send(heartbeat(self._state.incoming.format))

    # ------------------------------------------------------------------------------------- attempts

    async def _first_answer(self, attempt: Callable[[UpstreamTarget], Coroutine[Any, Any, Result]]) -> Result:
        return await self._with_heartbeats(self._attempts(attempt))

    async def _attempts(self, attempt: Callable[[UpstreamTarget], Coroutine[Any, Any, Result]]) -> Result:
        state, failures = self._state, self._failures
        pauses = ROUNDS.pauses()
        chosen: Sequence[UpstreamTarget] = state.targets
        while True:
            for target in chosen:
                if state.attempts >= MOST_ATTEMPTS or self._deadline <= time.monotonic():
                    raise error_of(state, failures)
                state.target, state.accepted = target, False
                state.attempts += 1
                try:
                    answered = await attempt(target)
                except AttemptFailed as error:
                    state.accepted = False
                    failures.append((target, error))
                    self._note_failure(target, error)
                    # An invalid request is invalid everywhere, so other upstreams would refuse it too.
                    if error.failure is Failure.REFUSED:
                        raise error_of(state, failures) from error
                else:
                    self._health.succeeded(target.circuit)
                    self.answered = True
                    return answered
            # No upstream could read the thoughts. Those that only failed on them are asked again at once, without.
            if chosen := [target for target in state.targets if self._can_do_without_thoughts(target)]:
                continue
            pause = _pause(next(pauses, None), [_last_of(failures, target) for target in state.targets])
            if pause is None or time.monotonic() + pause >= self._deadline:
                raise error_of(state, failures)
            await asyncio.sleep(pause)
            # From the second round on, only try upstreams with a temporary failure again.
            chosen = [target for target in state.targets if _last_of(failures, target).passes]

    def _can_do_without_thoughts(self, target: UpstreamTarget) -> bool:
        foreign = _last_of(self._failures, target).failure is Failure.FOREIGN_THOUGHT
        return foreign and self._requests.leave_out_thoughts(target)

    async def _send_request(self, target: UpstreamTarget) -> UpstreamResponse:
        """Return an answer with status 200; raises :class:`AttemptFailed` for any other."""
        state = self._state
        try:
            request = self._requests.to(target)
        except InvalidRequest as error:
            raise AttemptFailed(Failure.INCONVERTIBLE, error.message, status=400) from error
        answer = await self._open(target, request.body, self._requests.headers(target), state.parsed.stream)
        if answer.status == _OK:
            return answer
        try:
            async with asyncio.timeout(max(1.0, min(10.0, self._remaining_seconds(target.upstream.timers)))):
                body = await answer.body(LONGEST_ERROR)
        except (TimeoutError, AttemptFailed):
            body = b""
        finally:
            answer.close(used_up=False)
        fault = upstream_fault(answer.status, body)
        # Each time, one part at least goes, so this ends.
        if self._requests.adapt(target, fault):
            return await self._send_request(target)
        raise AttemptFailed(
            failure_of(fault),
            fault.message,
            status=answer.status,
            fault=fault,
            # Only clients of the same format understand the upstream's own body, if it is in the format itself.
            body=body if target.format is state.incoming.format and is_own_error(target.format, body) else b"",
            retry_after=fault.retry_after if answer.retry_after is None else answer.retry_after,
        )

    async def _with_heartbeats(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Execute ``work``. If it takes long, begin the answer and send heartbeats."""
        task = asyncio.create_task(work)
        streamed = self._state.parsed.stream
        every = HEARTBEAT_SECONDS if streamed else JSON_HEARTBEAT_SECONDS
        try:
            while True:
                done, _ = await asyncio.wait({task}, timeout=every)
                if done:
                    return task.result()
                if not self._sink.begun:
                    # No header names upstream or model, because they are unknown at this time.
                    await self._begin(None, EVENT_STREAM if streamed else JSON)
                # JSON ignores blanks before a document (RFC 8259, section 2).
                await self._sink.send(heartbeat(self._state.incoming.format) if streamed else b" ")
        finally:
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def _begin(self, target: UpstreamTarget | None, content_type: str) -> None:
        named = {"x-opencode-upstream": target.id} if target else {}
        if target and self._state.fallback:
            named |= {"x-opencode-model": self._state.model.id, "x-opencode-fallback": self._state.fallback.value}
        dropped = self._requests.to(target).dropped if target else self._state.parsed.dropped
        if dropped:
            log.count("HintsDropped", len(dropped))
            named["x-opencode-dropped"] = _UNPRINTABLE.sub("_", ", ".join(dropped))[:LONGEST_HEADER]
        await self._sink.begin(_OK, {"content-type": content_type, **named})

    # --------------------------------------------------------------------------------------- notes

    def _remaining_seconds(self, timers: Timers) -> float:
        """Return the seconds that are left for the call at an upstream with these timers."""
        return min(self._deadline, self._state.started + timers.total) - time.monotonic()

    def _note(self, relay: StreamRelay) -> None:
        state = self._state
        state.reported, state.generated, state.complete = relay.tokens, relay.generated, relay.complete
        state.served = relay.tier or state.served

    def _note_first_byte(self) -> None:
        if self._state.first_byte is None:
            self._state.first_byte = self._state.elapsed()

    def _note_failure(self, target: UpstreamTarget, error: AttemptFailed) -> None:
        self._health.failed(target.circuit, error.failure)
        if error.failure in LOCKED_OUT and not target.byok:
            log.count("AccountRefusals")
            logger.warning("an upstream refuses the platform's account", extra={"upstream": target.id})
        logger.info(
            "an upstream failed",
            extra={
                "call": self._state.id,
                "upstream": target.id,
                "failure": error.failure,
                "status": error.status,
                "correlation_id": self._state.incoming.request.correlation_id,
            },
        )


class _Silence:
    """The time in which an upstream generates nothing, whatever else it sends."""

    def __init__(self, relay: StreamRelay) -> None:
        self._since = time.monotonic()
        self._progress = relay.progress

    def update(self, relay: StreamRelay) -> None:
        """Begin again if something was generated."""
        if relay.progress != self._progress:
            self._since, self._progress = time.monotonic(), relay.progress

    def seconds(self) -> float:
        """Return its length."""
        return time.monotonic() - self._since


def _check(relay: StreamRelay, target: UpstreamTarget) -> None:
    if relay.fault is not None:
        raise interrupted(target, relay.fault.message, relay.fault)
    if relay.garbage:
        raise interrupted(target, "it sent data that is not a stream of this format")


def _failed(fault: UpstreamFault | None, message: str) -> AttemptFailed:
    """Return the failure of an answer with status 200 that has an error in its place, or is none."""
    if fault is None:
        return AttemptFailed(Failure.BROKEN, message, status=_OK)
    return AttemptFailed(failure_of(fault), message, status=fault.status, fault=fault, retry_after=fault.retry_after)


def _last_of(failures: list[tuple[UpstreamTarget, AttemptFailed]], target: UpstreamTarget) -> AttemptFailed:
    return next(error for tried, error in reversed(failures) if tried == target)


def _pause(own: float | None, failures: list[AttemptFailed]) -> float | None:
    """Return the seconds to wait before the next round; None without a next round, or if it cannot help.

    ``own`` is the pause when no upstream requests a longer one; None after the last round.
    """
    if own is None:
        return None
    waits = [max(error.retry_after or 0.0, own) for error in failures if error.passes]
    return min(waits) if waits and min(waits) <= LONGEST_PAUSE_SECONDS else None

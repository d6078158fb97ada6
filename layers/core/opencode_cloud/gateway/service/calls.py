"""One model call from its arrival to its settlement: admit, reserve, dispatch to upstreams, pass the answer on, settle.

After the reservation, every call is settled exactly once, with the usage that the upstream reported or an estimate. If
the process is killed, the reservation is returned when its lease ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol

from opencode_cloud.gateway.formats import error_event
from opencode_cloud.gateway.models import BrokenOff, Incoming, UpstreamTarget
from opencode_cloud.gateway.service.call_state import CallState
from opencode_cloud.gateway.service.dispatcher import UpstreamDispatcher
from opencode_cloud.gateway.service.refused_parts import RefusedParts
from opencode_cloud.gateway.service.switching import ModelSwitching
from opencode_cloud.kit.errors import ServiceError, Unavailable
from opencode_cloud.kit.log import logger
from opencode_cloud.kit.retry import Backoff, retry_async

if TYPE_CHECKING:
    from opencode_cloud.budgets.service import Reservations
    from opencode_cloud.contracts.access import FallbackReason
    from opencode_cloud.contracts.usage import UsageEvent
    from opencode_cloud.gateway.service.admission import CallAdmission
    from opencode_cloud.gateway.service.health import Health
    from opencode_cloud.gateway.service.refusals import Refusals


SETTLED_AT_ONCE = 16
"""Settlements of a process at one time. Many streams can end together, and the pieces of others must not wait."""
SETTLEMENT = Backoff(first=1.0, longest=8.0, attempts=5)
"""Attempts of a settlement while the store is unavailable. All pauses together take at most 15 s."""


class Sink(Protocol):
    """The client's connection, which receives the answer."""

    begun: bool
    """True once status and headers are sent."""

    async def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Send status and headers."""
        ...

    async def send(self, data: bytes) -> None:
        """Send a part of the body, at once."""
        ...


class UpstreamResponse(Protocol):
    """An upstream's answer after its status and headers have arrived (``store.HttpResponse``)."""

    status: int
    content_type: str

    @property
    def retry_after(self) -> float | None:
        """Seconds that the upstream asks to wait; None: it does not say."""
        ...

    @property
    def service_tier(self) -> str:
        """The service tier that the headers name; empty: none."""
        ...

    async def chunk(self) -> bytes:
        """Return the next part of the body; empty at the end."""
        ...

    async def body(self, longest: int = ...) -> bytes:
        """Return the whole body."""
        ...

    def close(self, *, used_up: bool) -> None:
        """Release the connection if the body was ``used_up``, else cut it."""
        ...


class CallObserver(Protocol):
    """Is notified of each call that has ended. ``settled``: whether its budgets and its event are written."""

    def __call__(self, event: UsageEvent, *, settled: bool) -> None:
        """Handle the event."""
        ...


class _Unanswered(NamedTuple):
    """The error of a call that its model did not answer."""

    error: ServiceError
    reason: FallbackReason | None
    """The reason for which another model may answer; None: none may."""


class Calls:
    """Serves model calls, each independent of all others."""

    def __init__(
        self,
        admission: CallAdmission,
        budgets: Reservations,
        health: Health,
        open_: Callable[[UpstreamTarget, bytes, Mapping[str, str], bool], Awaitable[UpstreamResponse]],
        observer: CallObserver,
        refusals: Refusals,
        trace: Callable[[UsageEvent, Incoming], None] | None = None,
    ) -> None:
        """Serve calls. ``open_`` sends body and headers to an upstream, streamed or not.

        ``trace`` gets each call that has ended, if it has a place in a trace.
        """
        self._admission = admission
        self._budgets = budgets
        self._switching = ModelSwitching(admission, budgets)
        self._health = health
        self._refused_parts = RefusedParts()
        self._open = open_
        self._observer = observer
        self._refusals = refusals
        self._trace = trace
        self._settling: set[asyncio.Task[None]] = set()
        self._settlements = asyncio.Semaphore(SETTLED_AT_ONCE)

    async def serve(self, incoming: Incoming, sink: Sink) -> None:
        """Answer one call into ``sink``.

        Raises a :class:`ServiceError` while nothing has been sent. Later errors become events of the answer's format.
        Raises :class:`BrokenOff` if the format has no place for an error.
        """
        admitted = await self._admission.admit(incoming)
        # Reserve before any request to an upstream: the worst-case cost must fit every budget first.
        try:
            state = await self._switching.reserve(admitted)
        except ServiceError as error:
            await self._refusals.note(admitted.caller, admitted.model.id, error)
            raise
        first: ServiceError | None = None
        try:
            while unanswered := await self._answer(state, sink):
                # The client learns why the model that it asked for did not answer.
                first = first or unanswered.error
                other = await self._switching.after(state, unanswered.reason) if unanswered.reason else None
                if other is None:
                    await self._fail(state, first, sink)
                    return
                state = other
        except asyncio.CancelledError:
            state.cancelled()
            raise
        except (ServiceError, BrokenOff):
            raise
        except Exception:
            state.crashed()
            raise
        finally:
            await self._settle(state)

    async def settled(self) -> None:
        """Wait until every call that has ended is settled."""
        while self._settling:
            await asyncio.gather(*self._settling, return_exceptions=True)

    async def _answer(self, state: CallState, sink: Sink) -> _Unanswered | None:
        """Answer a call by its model; return the error if no upstream of the model began to answer."""
        dispatcher = UpstreamDispatcher(state, sink, self._health, self._refused_parts, self._open)
        try:
            await dispatcher.dispatch()
        except ServiceError as error:
            state.failed(error)
            if not dispatcher.answered:
                return _Unanswered(error, dispatcher.fallback_reason)
            await self._fail(state, error, sink)
        return None

    async def _fail(self, state: CallState, error: ServiceError, sink: Sink) -> None:
        """End a call with an error: raise it while nothing has been sent, else send it if the format can."""
        state.failed(error)
        if not sink.begun:
            raise error
        if not state.parsed.stream:
            raise BrokenOff(error.code) from error
        await sink.send(_error_event(state, error))

    async def _settle(self, state: CallState) -> None:
        # Shield settlement from cancellation: a client disconnect cancels this task, and nothing else would await it.
        task = asyncio.create_task(self._settle_once(state))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)
        await asyncio.shield(task)

    async def _settle_once(self, state: CallState) -> None:
        event = state.event()
        try:
            await self._settle_with_retries(state, event)
        except Exception:  # noqa: BLE001 - the client has its answer, whatever failed here
            # The reservation stays until its lease ends. Then the call counts as lost, and operators get an alarm.
            logger.exception("a call could not be settled", extra={"call": event.id, "cost": event.cost})
            self._observer(event, settled=False)
        else:
            self._observer(event, settled=True)
        if self._trace is not None and state.incoming.span is not None:
            self._trace(event, state.incoming)

    async def _settle_with_retries(self, state: CallState, event: UsageEvent) -> None:
        async def settle() -> None:
            async with self._settlements:
                await self._budgets.settle(state.reservation, event)

        await retry_async(settle, SETTLEMENT, Unavailable)


def _error_event(state: CallState, error: ServiceError) -> bytes:
    sequence = state.relay.sequence if state.relay else 0
    return error_event(
        state.incoming.format,
        status=int(error.status),
        code=error.code,
        message=error.message,
        details=dict(error.details),
        sequence=sequence,
        final=state.incoming.opencode,
    )

"""One model call from its arrival to its settlement: admit, reserve, ask upstreams, carry the answer, settle.

Whatever happens after the reservation, the call is settled once, with what was used as far as anybody knows. What a
killed process leaves behind is returned when its lease ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from opencode_cloud.gateway.formats import error_event
from opencode_cloud.gateway.models import BrokenOff, Incoming, Interrupted, UpstreamTarget
from opencode_cloud.gateway.service.call_state import CallState
from opencode_cloud.gateway.service.dispatcher import UpstreamDispatcher
from opencode_cloud.kit.errors import ServiceError, Unavailable
from opencode_cloud.kit.log import logger
from opencode_cloud.kit.retry import Backoff, retry_async

if TYPE_CHECKING:
    from opencode_cloud.budgets.service import Budgets
    from opencode_cloud.contracts.usage import UsageEvent
    from opencode_cloud.gateway.service.admission import CallAdmission
    from opencode_cloud.gateway.service.health import Health


SETTLEMENT = Backoff(first=1.0, longest=8.0, attempts=5)
"""Attempts of a settlement that the store cannot take. The pauses are 15 s together at most."""


class Sink(Protocol):
    """Where an answer goes: the client's connection."""

    begun: bool
    """Whether status and headers are sent."""

    async def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Send status and headers."""
        ...

    async def send(self, data: bytes) -> None:
        """Send a part of the body, at once."""
        ...


class UpstreamResponse(Protocol):
    """An upstream's answer whose head has come (``store.Opened``)."""

    status: int
    content_type: str

    @property
    def retry_after(self) -> float | None:
        """Seconds after which to come again; None: it does not say."""
        ...

    async def chunk(self) -> bytes:
        """Return what comes next; empty at the end."""
        ...

    async def body(self, longest: int = ...) -> bytes:
        """Return all of it."""
        ...

    def close(self, *, used_up: bool) -> None:
        """Let go of it, or cut it."""
        ...


class CallObserver(Protocol):
    """What is told of each call that has ended; ``settled``: whether its budgets and its event are written."""

    def __call__(self, event: UsageEvent, *, settled: bool) -> None:
        """Take note."""
        ...


class Calls:
    """Serves model calls, each independent of all others."""

    def __init__(
        self,
        admission: CallAdmission,
        budgets: Budgets,
        health: Health,
        open_: Callable[[UpstreamTarget, bytes, Mapping[str, str], bool], Awaitable[UpstreamResponse]],
        told: CallObserver,
    ) -> None:
        """Serve calls; ``open_`` sends body and headers to an upstream, streamed or not."""
        self._admission = admission
        self._budgets = budgets
        self._health = health
        self._open = open_
        self._told = told
        self._settling: set[asyncio.Task[None]] = set()

    async def serve(self, incoming: Incoming, sink: Sink) -> None:
        """Answer one call into ``sink``.

        Raises a :class:`ServiceError` while nothing is sent yet; once something is, errors go into the answer in its
        own format. Raises :class:`BrokenOff` when the format has no place for that.
        """
        state = await self._admission.admit(incoming)
        await self._budgets.reserve(state.reservation, state.event())
        try:
            await self._answer(state, sink)
        finally:
            await self._settle(state)

    async def settled(self) -> None:
        """Wait until every call that has ended is settled."""
        while self._settling:
            await asyncio.gather(*self._settling, return_exceptions=True)

    async def _answer(self, state: CallState, sink: Sink) -> None:
        dispatcher = UpstreamDispatcher(state, sink, self._health, self._open)
        try:
            await dispatcher.go()
        except ServiceError as error:
            state.failed(error)
            if not sink.begun:
                raise
            if not state.parsed.stream:
                raise BrokenOff(error.code) from error
            if not (isinstance(error, Interrupted) and error.told):
                await sink.send(_as_event(state, error))
        except asyncio.CancelledError:
            state.cancelled()
            raise
        except Exception:
            state.broke()
            raise

    async def _settle(self, state: CallState) -> None:
        """Settle also when the client's leaving ends this task: that is waited for by nobody, and must not be lost."""
        task = asyncio.create_task(self._settle_once(state))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)
        await asyncio.shield(task)

    async def _settle_once(self, state: CallState) -> None:
        event = state.event()
        try:
            await self._settle_at_last(state, event)
        except Exception:  # noqa: BLE001 - whatever it is, the client has its answer
            # The reservation stands until its lease ends, and then is returned as lost: this needs an alarm.
            logger.exception("a call could not be settled", extra={"call": event.id, "cost": event.cost})
            self._told(event, settled=False)
        else:
            self._told(event, settled=True)

    async def _settle_at_last(self, state: CallState, event: UsageEvent) -> None:
        await retry_async(lambda: self._budgets.settle(state.reservation, event), SETTLEMENT, Unavailable)


def _as_event(state: CallState, error: ServiceError) -> bytes:
    sequence = state.relay.sequence if state.relay else 0
    return error_event(
        state.incoming.format, code=error.code, message=error.message, details=dict(error.details), sequence=sequence
    )

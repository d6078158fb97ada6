"""One model call from its arrival to its settlement: admit, reserve, ask upstreams, carry the answer, settle.

Whatever happens after the reservation, the call is settled once, with what was used as far as anybody knows. What a
killed process leaves behind is returned when its lease ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from opencode_cloud.gateway.formats import error_event
from opencode_cloud.gateway.models import BrokenOff, Incoming, Interrupted, Target
from opencode_cloud.gateway.service.answering import Answering
from opencode_cloud.gateway.service.run import Run
from opencode_cloud.kit.errors import ServiceError, Unavailable
from opencode_cloud.kit.log import logger
from opencode_cloud.kit.retry import Backoff, retry_async

if TYPE_CHECKING:
    from opencode_cloud.budgets.service import Budgets
    from opencode_cloud.contracts.usage import UsageEvent
    from opencode_cloud.gateway.service.admission import Admission
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


class Answer(Protocol):
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


class Told(Protocol):
    """What is told of each call that has ended; ``settled``: whether its budgets and its event are written."""

    def __call__(self, event: UsageEvent, *, settled: bool) -> None:
        """Take note."""
        ...


class Calls:
    """Serves model calls, each independent of all others."""

    def __init__(
        self,
        admission: Admission,
        budgets: Budgets,
        health: Health,
        open_: Callable[[Target, bytes, Mapping[str, str], bool], Awaitable[Answer]],
        told: Told,
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
        run = await self._admission.admit(incoming)
        await self._budgets.reserve(run.reservation, run.event())
        try:
            await self._answer(run, sink)
        finally:
            await self._settle(run)

    async def settled(self) -> None:
        """Wait until every call that has ended is settled."""
        while self._settling:
            await asyncio.gather(*self._settling, return_exceptions=True)

    async def _answer(self, run: Run, sink: Sink) -> None:
        answering = Answering(run, sink, self._health, self._open)
        try:
            await answering.go()
        except ServiceError as error:
            run.failed(error)
            if not sink.begun:
                raise
            if not run.asked.stream:
                raise BrokenOff(error.code) from error
            if not (isinstance(error, Interrupted) and error.told):
                await sink.send(_as_event(run, error))
        except asyncio.CancelledError:
            run.cancelled()
            raise
        except Exception:
            run.broke()
            raise

    async def _settle(self, run: Run) -> None:
        """Settle also when the client's leaving ends this task: that is waited for by nobody, and must not be lost."""
        task = asyncio.create_task(self._settle_once(run))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)
        await asyncio.shield(task)

    async def _settle_once(self, run: Run) -> None:
        event = run.event()
        try:
            await self._settle_at_last(run, event)
        except Exception:  # noqa: BLE001 - whatever it is, the client has its answer
            # The reservation stands until its lease ends, and then is returned as lost: this needs an alarm.
            logger.exception("a call could not be settled", extra={"call": event.id, "cost": event.cost})
            self._told(event, settled=False)
        else:
            self._told(event, settled=True)

    async def _settle_at_last(self, run: Run, event: UsageEvent) -> None:
        await retry_async(lambda: self._budgets.settle(run.reservation, event), SETTLEMENT, Unavailable)


def _as_event(run: Run, error: ServiceError) -> bytes:
    sequence = run.relay.sequence if run.relay else 0
    return error_event(
        run.incoming.format, code=error.code, message=error.message, details=dict(error.details), sequence=sequence
    )

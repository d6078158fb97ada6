"""The sweep: what a call holds back that was lost with its process is given back when its lease ends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.contracts.ids import CallId
from opencode_cloud.contracts.usage import Outcome, Tokens
from opencode_cloud.kit.log import count, logger

if TYPE_CHECKING:
    from opencode_cloud.budgets.store import CounterStore

MOST_A_SHARD = 500
"""Reservations that one run takes from each shard of the index; the next run takes the rest."""
AT_ONCE = 16


class Sweep:
    """Ends reservations whose lease has ended."""

    def __init__(self, store: CounterStore) -> None:
        self._store = store

    async def run(self, now: int) -> int:
        """Give back what calls hold back whose lease ended before ``now`` (seconds); return how many there were.

        Each leaves an event with the outcome ``lost``: what it cost is not known. A late settlement and another sweep
        may run beside it; one of them wins, and counters change once.
        """
        calls = await self._store.expired(now, MOST_A_SHARD)
        turn = asyncio.Semaphore(AT_ONCE)

        async def take(call_id: CallId) -> bool:
            async with turn:
                try:
                    return await self._end(call_id, now)
                except Exception:  # noqa: BLE001 - one bad row must not keep the others; it is logged, and taken up again
                    logger.exception("a lease was not ended", extra={"call": call_id})
                    return False

        ended = sum(await asyncio.gather(*(take(CallId(call)) for call in calls)))
        count("ReservationsLost", ended)
        count("ReservationsOutstanding", await self._store.outstanding(now))
        return ended

    async def _end(self, call_id: CallId, now: int) -> bool:
        kept = await self._store.reservation(call_id)
        # The index lags behind the table: what it names may be settled by now.
        if kept is None or kept.lease_until > now:
            return False
        lost = msgspec.structs.replace(
            kept.facts, outcome=Outcome.LOST, cost=0, charged=0, tokens=Tokens(), reserved=kept.claimed
        )
        if not await self._store.sweep(kept, lost):
            return False
        logger.warning("a call was lost with its process", extra={"call": call_id, "workspace": lost.workspace_id})
        return True

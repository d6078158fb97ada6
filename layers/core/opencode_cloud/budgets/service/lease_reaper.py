"""The sweep: release the reservations of calls whose process died, once their lease has ended."""

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
"""The maximum of reservations that one run ends in each shard of the index; the next run ends the rest."""
AT_ONCE = 16


class LeaseReaper:
    """Ends reservations whose lease has ended."""

    def __init__(self, store: CounterStore) -> None:
        self._store = store

    async def run(self, now: int) -> int:
        """Release reservations whose lease ended before ``now`` (seconds since the epoch); return their number.

        Each gets an event with the outcome ``lost``, because its cost is unknown. A late settlement and another sweep
        may run concurrently; one of them wins, and counters change once.
        """
        calls = await self._store.expired(now, MOST_A_SHARD)
        turn = asyncio.Semaphore(AT_ONCE)

        async def take(call_id: CallId) -> bool:
            async with turn:
                try:
                    return await self._end(call_id, now)
                except Exception:  # noqa: BLE001 - one bad row must not stop the others; the next run tries it again
                    logger.exception("a lease was not ended", extra={"call": call_id})
                    return False

        ended = sum(await asyncio.gather(*(take(CallId(call)) for call in calls)))
        count("ReservationsLost", ended)
        count("ReservationsOutstanding", await self._store.outstanding(now))
        return ended

    async def _end(self, call_id: CallId, now: int) -> bool:
        reservation = await self._store.reservation(call_id)
        # The index lags behind the table, so a listed reservation may already be settled.
        if reservation is None or reservation.lease_until > now:
            return False
        lost = msgspec.structs.replace(
            reservation.facts, outcome=Outcome.LOST, cost=0, charged=0, tokens=Tokens(), reserved=reservation.claimed
        )
        if not await self._store.sweep(reservation, lost):
            return False
        logger.warning("a call was lost with its process", extra={"call": call_id, "workspace": lost.workspace_id})
        return True

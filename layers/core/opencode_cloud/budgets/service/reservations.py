"""Reserve a call's maximum on its budgets before it starts, and settle its actual usage afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.budgets.messages import details, refusal
from opencode_cloud.contracts.budgets import (
    BudgetBusy,
    BudgetExhausted,
    BudgetPeriod,
    BudgetUnit,
    BudgetUsage,
    Claim,
    RateLimited,
    Reservation,
    ReservationRefused,
    Shortage,
)
from opencode_cloud.contracts.usage import Outcome, UsageEvent
from opencode_cloud.kit.clock import now_seconds
from opencode_cloud.kit.errors import ServiceError, Unavailable
from opencode_cloud.kit.log import count, logger

if TYPE_CHECKING:
    from opencode_cloud.budgets.store import CounterStore

BUSY_SECONDS = 2
"""The ``Retry-After`` while other calls hold reservations. Most calls release what they do not use within seconds."""
LATE = ".late"
"""The suffix of the id of a call's second event. Its first event has the outcome ``lost``."""


class Reservations:
    """Reserves and settles calls. Each usually takes one round trip. Settling is idempotent."""

    def __init__(self, store: CounterStore) -> None:
        self._store = store
        # asyncio holds only weak references to tasks, so keep them until they end.
        self._returning: set[asyncio.Task[None]] = set()

    async def reserve(self, reservation: Reservation, facts: UsageEvent) -> None:
        """Reserve the most that a call may use, on all of its counters or on none.

        ``facts`` is the call's event as far as it is known. The sweep writes it if the call is lost. Raises
        :class:`BudgetExhausted` (402), :class:`BudgetBusy` or :class:`RateLimited` (429), ``budget_contention`` or
        ``store_unavailable`` (503).
        """
        await self._refuse_hopeless(reservation)
        # Shielded: a cancelled write may still have reached DynamoDB, so its result must be awaited and released.
        holding = asyncio.ensure_future(self._store.hold(reservation, facts))
        try:
            await asyncio.shield(holding)
        except asyncio.CancelledError:
            self._return_later(reservation, holding)
            raise
        except ReservationRefused as refused:
            await self._note(refused.shortages)
            raise _answer(refused.shortages) from None

    async def exchange(self, old: Reservation, new: Reservation, facts: UsageEvent) -> bool:
        """Replace what a call holds by ``new``, in one transaction: it holds the old amounts or the new, never both.

        False when the call does not hold the old amounts any more. Raises like :meth:`reserve`; then it keeps them. If
        the answer of the store is lost, the settlement finds out which of the two the call holds.
        """
        await self._refuse_hopeless(new)
        try:
            return await self._store.exchange(old, new, facts)
        except ReservationRefused as refused:
            await self._note(refused.shortages)
            raise _answer(refused.shortages) from None

    async def used_percent(self, reservation: Reservation) -> int:
        """Return how much of the call's fullest budget of money is spent or reserved, in percent, rounded down.

        0 without such a budget. A budget of 0 is full.
        """
        counters = [
            counter
            for counter in reservation.counters
            if counter.budget.unit is BudgetUnit.COST and reservation.claim.of(counter.budget)
        ]
        if not counters:
            return 0
        usages = await self._store.usages([counter.key for counter in counters])
        return max(_percent(usages[counter.key], counter.budget.limit) for counter in counters)

    async def settle(self, reservation: Reservation, event: UsageEvent) -> bool:
        """Count a call's usage and write its event, exactly once even if this is called several times.

        ``event`` must have the same id and time of arrival as the facts.
        A call whose lease was swept meanwhile is still counted, with a second event. Returns False when it was already
        settled. Raises ``store_unavailable`` or ``store_contended`` (503); the caller can retry.
        """
        used = _used(reservation, event)
        if await self._store.settle(reservation, event, used):
            _watch(reservation, used)
            return True
        late = msgspec.structs.replace(event, id=event.id + LATE)
        outcomes = await self._store.outcomes(event, [event.id, late.id])
        if late.id in outcomes or outcomes.get(event.id, Outcome.LOST) != Outcome.LOST:
            return False
        # The lease was swept. The request was already counted at reservation, so add tokens and cost only.
        if not await self._store.add(reservation, late if event.id in outcomes else event, used):
            return False
        count("LateSettles")
        return True

    async def _refuse_hopeless(self, reservation: Reservation) -> None:
        """Refuse a claim above a limit, which can never fit. One read replaces the transaction (docs/budgets.md)."""
        claim = reservation.claim
        hopeless = [counter for counter in reservation.counters if claim.of(counter.budget) > counter.budget.limit]
        if hopeless:
            usages = await self._store.usages([counter.key for counter in hopeless])
            raise _answer([Shortage(counter=c, claimed=claim.of(c.budget), usage=usages[c.key]) for c in hopeless])

    def _return_later(self, reservation: Reservation, holding: asyncio.Future[None]) -> None:
        """Release the reservation of a client that disconnected; otherwise it would last until the lease ends."""

        async def release() -> None:
            try:
                await holding
                await self._store.release(reservation)
            except (ReservationRefused, ServiceError):
                logger.info("nothing to give back of an abandoned call", extra={"call": reservation.id})

        task = asyncio.ensure_future(release())
        self._returning.add(task)
        task.add_done_callback(self._returning.discard)

    async def _note(self, shortages: Sequence[Shortage]) -> None:
        """Mark budgets for alerts if they refuse the first call in their window or since their limit changed."""
        for shortage in shortages:
            budget = shortage.counter.budget
            if shortage.lasting and budget.watched and shortage.usage.refused_limit != budget.limit:
                try:
                    await self._store.note_refusal(shortage.counter, now_seconds())
                except Unavailable:
                    # The call is refused in any case, and the next refusal sets the mark.
                    logger.warning("a refusal was not noted", extra={"counter": shortage.counter.key})


def _percent(usage: BudgetUsage, limit: int) -> int:
    return (usage.spent + usage.reserved) * 100 // limit if limit else 100


def _used(reservation: Reservation, event: UsageEvent) -> Mapping[str, int]:
    """Return the usage by counter. Requests are left out, because they were counted at reservation."""
    spent = Claim(cost=event.cost, charged=event.charged, tokens=event.tokens.total)
    budgets = {counter.key: counter.budget for counter in reservation.counters}
    return {key: spent.of(budget) for key, budget in budgets.items() if budget.unit is not BudgetUnit.REQUESTS}


def _watch(reservation: Reservation, used: Mapping[str, int]) -> None:
    """Emit a metric for calls that used more than their claim; only such calls can overrun a budget."""
    if any(used.get(counter.key, 0) > reservation.claim.of(counter.budget) for counter in reservation.counters):
        count("ClaimsExceeded")


def _answer(shortages: Sequence[Shortage]) -> ServiceError:
    """Return the refusal of the counter with the longest wait; after a shorter wait that counter would refuse again."""
    now = now_seconds()
    worst = max(shortages, key=_weight)
    budget, message, facts = worst.counter.budget, refusal(worst), details(worst)
    # At least a second: with `Retry-After: 0` clients would retry at once.
    remaining = None if worst.counter.resets_at is None else max(1, worst.counter.resets_at - now)
    if worst.hopeless or (worst.lasting and (budget.unit is BudgetUnit.COST or budget.period is BudgetPeriod.TOTAL)):
        return BudgetExhausted(message, facts, None if worst.hopeless else remaining)
    if worst.lasting:
        return RateLimited(message, facts, remaining or BUSY_SECONDS)
    # The window may end before other calls release their reservations.
    return BudgetBusy(message, facts, min(BUSY_SECONDS, remaining or BUSY_SECONDS))


def _weight(shortage: Shortage) -> tuple[bool, bool, float]:
    resets_at = shortage.counter.resets_at
    return shortage.hopeless, shortage.lasting, float("inf") if resets_at is None else resets_at

"""Process events of Stripe: once, with their effect, whichever way they come."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.errors import ServiceError, Unavailable
from opencode_cloud.kit.log import count, logger
from opencode_cloud.payments.models import (
    AppliedBy,
    EventHead,
    EventState,
    Result,
    StripeEvent,
    StripeRefused,
    TopUp,
    event_not_found,
)
from opencode_cloud.payments.models.plans import StaleRead
from opencode_cloud.payments.service.effects import TYPES, Effect, Effects

if TYPE_CHECKING:
    from opencode_cloud.outbox.service import Outbox
    from opencode_cloud.payments.service.plan_following import PlanFollowing
    from opencode_cloud.payments.service.refunding import Refunding
    from opencode_cloud.payments.service.reloading import Reloading
    from opencode_cloud.payments.store.events import EventStore
    from opencode_cloud.payments.store.top_ups import TopUpStore
    from opencode_cloud.payments.stripe_api import StripeApi

ATTEMPTS = 3
"""Attempts at a unit that conflicts with another one."""
SWEPT = timedelta(days=3)
"""Stripe delivers an event for three days."""
LOOKED_UP_AFTER = timedelta(minutes=15)
"""Age at which an unfinished top-up is looked up by itself."""
BATCH = 200
FAILURES = 5
"""Failed events in a row after which a sweep leaves the other events to the next one: Stripe is away."""


class Receiving:
    """Takes events from the webhook, the sweep and replays."""

    def __init__(
        self,
        outbox: Outbox,
        api: StripeApi,
        effects: Effects,
        events: EventStore,
        top_ups: TopUpStore,
        reloading: Reloading,
        refunding: Refunding,
        plans: PlanFollowing,
    ) -> None:
        self._outbox = outbox
        self._api = api
        self._effects = effects
        self._events = events
        self._top_ups = top_ups
        self._reloading = reloading
        self._refunding = refunding
        self._plans = plans

    def webhook(self, body: bytes, signature: str) -> StripeEvent:
        """Process a delivery. When it returns, the event is stored with its effect.

        Raises:
            SignatureRefused: (400) Stripe did not sign it.
            Unavailable: (503) Nothing is stored. Stripe delivers it again.
        """
        return self.process(self._api.verified(body, signature), AppliedBy.WEBHOOK)

    def replay(self, event_id: str) -> StripeEvent:
        """Process an event that Stripe still knows; raises ``event_not_found`` (404)."""
        head = self._api.event(event_id)
        if head is None:
            raise event_not_found()
        return self.process(head, AppliedBy.REPLAY)

    def kept(self) -> list[StripeEvent]:
        """Return events that wait for a person or a replay, the oldest first."""
        with self._outbox.unit() as unit:
            return self._events.kept(unit.connection, BATCH)

    def replay_kept(self) -> int:
        """Process the events again that could not be applied; return how many are applied now."""
        results = [self.process(each.head, AppliedBy.REPLAY) for each in self.kept()]
        return sum(each.state is EventState.APPLIED for each in results)

    def sweep(self) -> int:
        """Apply what never arrived: events of three days, unfinished top-ups, reloads, refunds, plans. Return how many.

        Without the operator's secret there is nothing to ask for.
        """
        if not self._api.is_ready:
            return 0
        heads = self._api.events(TYPES, utc_now() - SWEPT)
        with self._outbox.unit() as unit:
            known = self._events.known(unit.connection, [head.id for head in heads])
        swept = self._sweep_events([head for head in heads if head.id not in known])
        with self._outbox.unit() as unit:
            unfinished = self._top_ups.unfinished(unit.connection, utc_now() - LOOKED_UP_AFTER, BATCH)
        looked_up = sum(self.look_up(each) for each in unfinished)
        return swept + looked_up + self._reloading.sweep() + self._refunding.sweep() + self._plans.sweep()

    def _sweep_events(self, missed: Sequence[EventHead]) -> int:
        """Process events that never arrived; return how many. One bad event must not keep the others from it."""
        swept = in_a_row = 0
        for head in missed:
            try:
                self.process(head, AppliedBy.SWEEP)
            except Exception:  # noqa: BLE001 - logged, counted, and tried again in an hour
                count("StripeEventFailed")
                logger.exception("an event could not be swept", extra={"event": head.id})
                in_a_row += 1
                if in_a_row == FAILURES:
                    break
            else:
                count("StripeEventSwept")
                swept, in_a_row = swept + 1, 0
        return swept

    def look_up(self, top_up: TopUp) -> bool:
        """Apply the present state of an unfinished top-up, for which no event came yet; return whether it could."""
        try:
            # Without a session the process died before the payer got an address, so nothing can be paid.
            effect = self._effects.of_session(top_up.session_id) if top_up.session_id else self._effects.end(top_up)
            with self._outbox.unit() as unit:
                effect(unit)
        except (StripeRefused, ServiceError) as error:
            # One bad top-up must not keep the others from being looked up.
            count("TopUpLookUpFailed")
            logger.exception("a top-up could not be looked up", extra={"top_up": top_up.id, "code": error.code})
            return False
        return True

    def process(self, head: EventHead, applied_by: AppliedBy) -> StripeEvent:
        """Process one event; a known one that was applied or ignored has no further effect."""
        with self._outbox.unit() as unit:
            known = self._events.get(unit.connection, head.id)
        if known is not None and known.state is not EventState.KEPT:
            return known
        try:
            result = self._read_and_commit(head, applied_by)
        except (StripeRefused, ServiceError) as error:
            if isinstance(error, Unavailable):
                raise
            # It is genuine and does not fit our books. Everything of its unit was rolled back.
            result = self._commit(head, applied_by, _keep(error.code))
        if result.state is EventState.KEPT:
            count("StripeEventKept")
            logger.error("an event of Stripe waits for a person", extra={"event": head.id, "reason": result.reason})
        return StripeEvent(head=head, state=result.state, reason=result.reason, applied_by=applied_by)

    def _read_and_commit(self, head: EventHead, applied_by: AppliedBy) -> Result:
        for _ in range(ATTEMPTS - 1):
            try:
                return self._commit(head, applied_by, self._effect(head))
            except StaleRead:
                continue
        return self._commit(head, applied_by, self._effect(head))

    def _effect(self, head: EventHead) -> Effect:
        if head.live != self._api.live:
            return _ignore("other_mode")
        if head.account_id:
            # Its objects are not in this account, and no money of it is ours.
            return _ignore("other_account")
        return self._effects.of(head.type, head.object_id) or _ignore("type")

    def _commit(self, head: EventHead, applied_by: AppliedBy, effect: Effect) -> Result:
        for _ in range(ATTEMPTS - 1):
            try:
                return self._attempt(head, applied_by, effect)
            except Unavailable as error:
                # The unit was rolled back and did nothing outside of the database.
                if error.code != "database_busy":
                    raise
        return self._attempt(head, applied_by, effect)

    def _attempt(self, head: EventHead, applied_by: AppliedBy, effect: Effect) -> Result:
        with self._outbox.unit() as unit:
            before = self._events.take(unit.connection, head, applied_by)
            if before is not None and before is not EventState.KEPT:
                return Result(before)
            result = effect(unit)
            self._events.finish(unit.connection, head.id, result, applied_by)
            return result


def _ignore(reason: str) -> Effect:
    return lambda _unit: Result(EventState.IGNORED, reason)


def _keep(reason: str) -> Effect:
    return lambda _unit: Result(EventState.KEPT, reason)

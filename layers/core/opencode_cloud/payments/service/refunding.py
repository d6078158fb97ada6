"""Carry out orders of refunds: one refund at Stripe for each, whatever dies in between. Each step may be repeated."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.contracts.ids import RefundOrderId
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.errors import ServiceError
from opencode_cloud.kit.log import count, logger
from opencode_cloud.payments.models import EventState, StripeRefused
from opencode_cloud.payments.models.refunds import RefundOrder, RefundState
from opencode_cloud.payments.service.reloading import BATCH, KEY_KEPT, LOOKED_UP_AFTER

if TYPE_CHECKING:
    from opencode_cloud.outbox.service import Outbox
    from opencode_cloud.payments.service.effects import Effects
    from opencode_cloud.payments.store.refunds import RefundStore
    from opencode_cloud.payments.stripe_api import StripeApi

FOLLOWED_AFTER = timedelta(hours=1)
"""Age of a pending refund after which the sweep asks for its state."""


class Refunding:
    """Asks Stripe for the refunds of orders."""

    def __init__(self, outbox: Outbox, api: StripeApi, effects: Effects, store: RefundStore) -> None:
        self._outbox = outbox
        self._api = api
        self._effects = effects
        self._store = store

    def run(self, order_id: RefundOrderId) -> None:
        """Carry out an order, if that is not done yet.

        Raises ``stripe_unavailable`` (503) if the result is unknown; a repetition pays nothing back twice.
        """
        order = self._begin(order_id)
        if order is None:
            return
        if order.tried_at is not None and utc_now() - order.tried_at > KEY_KEPT:
            # Stripe may have forgotten the key of this attempt.
            if found := self._api.refund_for(order):
                self._book(found.id)
                return
            order = self._next_attempt(order)
        try:
            refund = self._api.refund(order)
        except StripeRefused as error:
            self._refused(order, error.code)
        else:
            self._book(refund.id)

    def sweep(self) -> int:
        """Continue orders that got no answer, and ask for pending refunds; return the number of all."""
        now = utc_now()
        with self._outbox.unit() as unit:
            ordered = self._store.in_state(unit.connection, RefundState.ORDERED, now - LOOKED_UP_AFTER, BATCH)
            pending = self._store.in_state(unit.connection, RefundState.PENDING, now - FOLLOWED_AFTER, BATCH)
        return sum(self._swept(each) for each in (*ordered, *pending))

    def _swept(self, order: RefundOrder) -> bool:
        try:
            if order.state is RefundState.PENDING:
                self._book(order.refund_id)
            else:
                self.run(order.id)
        except (StripeRefused, ServiceError) as error:
            # One bad order must not keep the others from being carried out.
            count("RefundSweepFailed")
            logger.exception("a refund could not be continued", extra={"order": order.id, "code": error.code})
            return False
        return True

    def _begin(self, order_id: RefundOrderId) -> RefundOrder | None:
        """Note the first request of an order before it is sent; None if there is nothing to do."""
        with self._outbox.unit() as unit:
            order = self._store.get(unit.connection, order_id, lock=True)
            if order is None or order.state is not RefundState.ORDERED:
                return None
            if order.tried_at is None:
                order = msgspec.structs.replace(order, tried_at=utc_now())
                self._store.change(unit.connection, order_id, tried_at=order.tried_at)
            return order

    def _next_attempt(self, order: RefundOrder) -> RefundOrder:
        values = {"attempt": order.attempt + 1, "tried_at": utc_now()}
        with self._outbox.unit() as unit:
            self._store.change(unit.connection, order.id, **values)
        return msgspec.structs.replace(order, **values)

    def _book(self, refund_id: str) -> None:
        """Book the refund as its webhook would, which may come before, after, or never."""
        effect = self._effects.of("refund.updated", refund_id)
        with self._outbox.unit() as unit:
            result = effect(unit) if effect else None
        if result is not None and result.state is not EventState.APPLIED:
            logger.error("a refund does not fit the books", extra={"refund": refund_id, "reason": result.reason})

    def _refused(self, tried: RefundOrder, code: str) -> None:
        """Record a definite refusal, unless a webhook has told another end."""
        with self._outbox.unit() as unit:
            order = self._store.get(unit.connection, tried.id, lock=True)
            if order is not None and order.state is RefundState.ORDERED:
                self._store.change(unit.connection, tried.id, state=RefundState.REFUSED, code=code[:64])
        count("RefundRefused")
        logger.warning("Stripe refused a refund", extra={"order": tried.id, "code": code})

"""A second paid start of a plan: it becomes no plan, is canceled at Stripe, and is paid back in full.

A payer may finish two starts, such as a page and a page that was given up. The row comes first, with its message, then
Stripe. Each step may be repeated: the row is unique for its subscription, and the refund for its payment.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from opencode_cloud.audit.service import Recorder
from opencode_cloud.contracts.actor import Actor, ActorKind
from opencode_cloud.contracts.ids import PaymentId, SecondSubscriptionId
from opencode_cloud.contracts.outbox import Topic
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.errors import Conflict, ServiceError
from opencode_cloud.kit.ids import new_id
from opencode_cloud.kit.log import count, logger
from opencode_cloud.payments.models import EventState, Result, StripeRefused
from opencode_cloud.payments.models.plans import SeatPlan, SecondSubscription
from opencode_cloud.payments.models.refunds import PAID_TWICE
from opencode_cloud.payments.service.reloading import BATCH, LOOKED_UP_AFTER

if TYPE_CHECKING:
    from opencode_cloud.audit.service import AuditTrail
    from opencode_cloud.billing.service.payments import Payments
    from opencode_cloud.kit.sql import Connection
    from opencode_cloud.outbox.service import Outbox, UnitOfWork
    from opencode_cloud.payments.service.plan_effects import PlanEffects
    from opencode_cloud.payments.service.plan_notices import PlanNotices
    from opencode_cloud.payments.service.refund_orders import RefundOrders
    from opencode_cloud.payments.store.second_subscriptions import SecondSubscriptionStore
    from opencode_cloud.payments.stripe_plans import StripePlans

ACTOR = Actor(kind=ActorKind.SYSTEM, name="payments")
EXPECTED = timedelta(days=1)
"""Time within which a second subscription ends, unless a dispute or Stripe refuses its refund."""
KEYS = tuple(f"second_subscription:{number}" for number in range(1, 6))
"""Idempotency keys of the orders of a payment: the next one counts after Stripe has refused the one before."""
DISPUTED = "payment_disputed"
"""The code of a payment whose money a dispute has withdrawn."""
NOT_BACK = "not_paid_back"
"""The reason of a result: the ledger has not booked yet that all of a payment went back."""


class SecondStarts:
    """Rules of second starts. Each method works in the unit of the caller, who has locked the row of the plan."""

    def __init__(
        self,
        store: SecondSubscriptionStore,
        audit: AuditTrail,
        payments: Payments,
        orders: RefundOrders,
        notices: PlanNotices,
    ) -> None:
        self._store = store
        self._payments = payments
        self._orders = orders
        self._notices = notices
        self._audit = Recorder[SecondSubscription](
            audit, "subscription", lambda each: each.id, lambda each: each.subscription_id
        )

    def is_known(self, connection: Connection, subscription_id: str) -> bool:
        """Tell whether a subscription is a second one. It stays one."""
        return self._store.of_subscription(connection, subscription_id) is not None

    def note(self, unit: UnitOfWork, plan: SeatPlan, subscription_id: str) -> None:
        """Write that a subscription is a second one, and send it to its end."""
        now = utc_now()
        second = SecondSubscription(
            id=SecondSubscriptionId(new_id("sec")),
            subscription_id=subscription_id,
            plan_id=plan.id,
            workspace_id=plan.workspace_id,
            created_at=now,
            updated_at=now,
        )
        self._store.add(unit.connection, second)
        unit.emit(Topic.SECOND_SUBSCRIPTION, second.id)
        after = {"plan": plan.id, "reason": PAID_TWICE}
        self._audit(unit, ACTOR, "subscription.canceled", plan.workspace_id, second, after=after)

    def pay_back(self, unit: UnitOfWork, plan: SeatPlan, payment_ids: Sequence[PaymentId]) -> Result:
        """Order all that is left of booked payments back, and tell the payers once.

        A dispute has withdrawn the money already. The rest is ordered after its end.
        """
        for payment_id in payment_ids:
            try:
                order = self._orders.pay_back(unit, ACTOR, payment_id, PAID_TWICE, KEYS)
            except Conflict as error:
                if error.code != DISPUTED:
                    raise
                return Result(EventState.APPLIED, NOT_BACK)
            if order is not None and order.idempotency_key == KEYS[0]:
                self._notices.paid_twice(unit, plan, order.amount)
        is_back = all(self._payments.is_back(unit, each) for each in payment_ids)
        return Result(EventState.APPLIED, "" if is_back else NOT_BACK)


class SecondSubscriptions:
    """Cancels second subscriptions at Stripe, and orders their payments back."""

    def __init__(
        self, outbox: Outbox, stripe: StripePlans, store: SecondSubscriptionStore, effects: PlanEffects
    ) -> None:
        self._outbox = outbox
        self._stripe = stripe
        self._store = store
        self._effects = effects

    def run(self, second_id: SecondSubscriptionId) -> None:
        """Cancel a second subscription, then order back what its invoices were paid with.

        It is canceled first, so that no renewal follows. It has ended when the ledger has booked that all went back;
        until then the sweep calls again. A payment that arrives later, such as a bank debit, is ordered back by the
        event of its invoice.

        Raises ``stripe_unavailable`` (503) or StripeRefused; a repetition is safe.
        """
        with self._outbox.unit() as unit:
            second = self._store.get(unit.connection, second_id)
            if second is None or second.ended_at is not None:
                return
            self._store.defer(unit.connection, second_id)
        self._stripe.end_now(second)
        results = [self._is_back(each) for each in self._stripe.invoices_of(second.subscription_id)]
        if results and all(results):
            with self._outbox.unit() as unit:
                self._store.end(unit.connection, second_id)
        elif second.created_at <= utc_now() - EXPECTED:
            count("SecondSubscriptionOpen")
            logger.error("a second payment of a plan is not paid back yet", extra={"second": second_id})

    def _is_back(self, invoice_id: str) -> bool:
        """Apply an invoice, as its event would; return whether all that paid it went back."""
        return self._effects.run(lambda: self._effects.of_invoice(invoice_id)).reason != NOT_BACK

    def sweep(self) -> int:
        """Continue those whose message did not reach its end; return their number."""
        with self._outbox.unit() as unit:
            waiting = self._store.waiting(unit.connection, utc_now() - LOOKED_UP_AFTER, BATCH)
        return sum(self._swept(each) for each in waiting)

    def _swept(self, second: SecondSubscription) -> bool:
        try:
            self.run(second.id)
        except (StripeRefused, ServiceError) as error:
            # One bad subscription must not keep the others from their end.
            count("SecondSubscriptionFailed")
            logger.exception("a second subscription goes on", extra={"second": second.id, "code": error.code})
            return False
        return True

"""The effect of each subscription and invoice of a plan, from its present state at Stripe.

A state that was read before another one was written is not written after it: each row has a version, which is read
before Stripe is asked and compared under the lock. So neither the order of events nor that of processes matters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.contracts.ids import PaymentId
from opencode_cloud.contracts.outbox import Topic
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.money import CENT
from opencode_cloud.payments.models import EventState, PaymentView, Result, SessionView, StripeRefused
from opencode_cloud.payments.models.plans import (
    NOT_STARTED,
    PLAN_STATES,
    UNPAID_STARTS,
    InvoiceView,
    PaidInvoice,
    PlanInvoice,
    PlanState,
    SeatPlan,
    StaleRead,
    SubscriptionView,
)

if TYPE_CHECKING:
    from opencode_cloud.billing.service.payments import Payments
    from opencode_cloud.outbox.service import Outbox, UnitOfWork
    from opencode_cloud.payments.service.plan_notices import PlanNotices
    from opencode_cloud.payments.service.seats import Seats
    from opencode_cloud.payments.service.second_subscriptions import SecondStarts
    from opencode_cloud.payments.store.plans import PlanStore
    from opencode_cloud.payments.store.top_ups import TopUpStore
    from opencode_cloud.payments.stripe_api import StripeApi
    from opencode_cloud.payments.stripe_plans import StripePlans

PlanEffect = Callable[["UnitOfWork"], Result]
APPLIED = Result(EventState.APPLIED)
ATTEMPTS = 3
"""Attempts at a state that changes while it is read."""
FIRST = "subscription_create"
"""The reason of the first invoice."""
PERIOD_REASONS = frozenset({FIRST, "subscription_cycle"})
"""Reasons of invoices that are for a whole period."""


class PlanEffects:
    """Reads plans at Stripe, and returns what they do to our books."""

    def __init__(
        self,
        outbox: Outbox,
        api: StripeApi,
        stripe: StripePlans,
        store: PlanStore,
        customers: TopUpStore,
        payments: Payments,
        notices: PlanNotices,
        seats: Seats,
        seconds: SecondStarts,
    ) -> None:
        self._outbox = outbox
        self._api = api
        self._stripe = stripe
        self._store = store
        self._customers = customers
        self._payments = payments
        self._notices = notices
        self._seats = seats
        self._seconds = seconds

    # ------------------------------------------------------------------------------------- before the unit

    def of_subscription(self, subscription_id: str) -> PlanEffect:
        """Return the effect of a subscription."""
        try:
            found, version = self._read(subscription_id)
        except StripeRefused as error:
            return _gone(error)
        return lambda unit: self._apply_subscription(unit, found, version)

    def _read(self, subscription_id: str) -> tuple[SubscriptionView, int]:
        """Return the state of a subscription, and the version of our row from before it was read."""
        with self._outbox.unit() as unit:
            version = self._store.version_of(unit.connection, subscription_id)
        return self._stripe.subscription(subscription_id), version

    def of_invoice(self, invoice_id: str) -> PlanEffect:
        """Return the effect of an invoice and of its payments. The subscription comes first, if it is unknown."""
        with self._outbox.unit() as unit:
            known = self._store.invoice(unit.connection, invoice_id)
        try:
            found = self._stripe.invoice(invoice_id)
        except StripeRefused as error:
            return _gone(error)
        payments = [self._payment(each, found) for each in found.payment_ids] if found.plan_id else []
        version, before = known.version if known else 0, self._of_unknown(found)

        def apply(unit: UnitOfWork) -> Result:
            before(unit)
            return self._apply_invoice(unit, found, payments, version)

        return apply

    def _of_unknown(self, found: InvoiceView) -> PlanEffect:
        """Return the effect of the subscription of an invoice whose event overtakes it; nothing for a known one.

        Otherwise an invoice of a second subscription would give credit before it is known to be one.
        """
        with self._outbox.unit() as unit:
            plan = self._store.get(unit.connection, found.plan_id) if found.plan_id else None
            is_second = self._seconds.is_known(unit.connection, found.subscription_id)
        if plan is None or is_second or plan.subscription_id == found.subscription_id:
            return lambda _unit: APPLIED
        return self.of_subscription(found.subscription_id)

    def of_credit_note(self, note_id: str) -> PlanEffect:
        """Return the effect of a credit note: its invoice changes. Money that it pays back is a refund."""
        return self.of_invoice(self._stripe.invoice_of_note(note_id))

    def of_session(self, session: SessionView) -> PlanEffect:
        """Return the effect of a checkout that starts a plan."""
        if session.subscription_id:
            return self.of_subscription(session.subscription_id)
        return lambda unit: self._apply_session(unit, session)

    def invoice_of(self, payment: PaymentView) -> PaidInvoice:
        """Return the plan whose invoice a payment pays, and the tax in it; empty for a payment of something else."""
        return self._stripe.invoice_of_payment(payment.id, payment.received)

    def refresh(self, subscription_id: str) -> None:
        """Write the present state of a subscription and of its last invoice, as their events would.

        Raises ``stripe_unavailable`` (503) or StripeRefused.
        """
        invoice_id = ""

        def effect() -> PlanEffect:
            nonlocal invoice_id
            found, version = self._read(subscription_id)
            invoice_id = found.invoice_id
            return lambda unit: self._apply_subscription(unit, found, version)

        self.run(effect)
        if invoice_id:
            self.run(lambda: self.of_invoice(invoice_id))

    def run(self, effect: Callable[[], PlanEffect]) -> Result:
        """Apply an effect, which is read again if another process was faster; raises :class:`StaleRead` (503)."""
        for _ in range(ATTEMPTS - 1):
            try:
                return self._once(effect())
            except StaleRead:
                continue
        return self._once(effect())

    def _once(self, effect: PlanEffect) -> Result:
        with self._outbox.unit() as unit:
            return effect(unit)

    def _payment(self, payment_id: PaymentId, invoice: InvoiceView) -> PaymentView:
        payment = self._api.payment(payment_id)
        tax = invoice.tax_in(payment.received)
        return msgspec.structs.replace(payment, plan_id=invoice.plan_id, tax=tax)

    # ------------------------------------------------------------------------------------- in the unit

    def book(self, unit: UnitOfWork, payment: PaymentView) -> bool:
        """Book a payment that succeeded, once; return False if it belongs to no known plan."""
        plan = self._store.get(unit.connection, payment.plan_id, lock=True)
        if plan is None or not self._is_ours(unit, plan, payment.customer_id):
            return False
        gross, tax = payment.received * CENT, payment.tax * CENT if plan.taxed else 0
        self._payments.plan_payment(unit, plan.workspace_id, payment.id, gross, payment.at, payment.currency, tax)
        if payment.balance_transaction_id:
            fee = payment.stripe_fee * CENT
            self._payments.settle(unit, payment.balance_transaction_id, payment.id, gross, fee, payment.at)
        return True

    def _is_ours(self, unit: UnitOfWork, plan: SeatPlan, customer_id: str) -> bool:
        return self._customers.customer(unit.connection, plan.workspace_id) == customer_id

    def _apply_subscription(self, unit: UnitOfWork, found: SubscriptionView, version: int) -> Result:
        connection = unit.connection
        plan = self._store.get(connection, found.plan_id, lock=True) if found.plan_id else None
        if plan is None:
            return Result(EventState.IGNORED, "no_plan")
        if not self._is_ours(unit, plan, found.customer_id):
            return Result(EventState.KEPT, "plan_differs")
        if self._seconds.is_known(connection, found.id):
            return APPLIED
        is_known = plan.subscription_id == found.id
        if found.status in UNPAID_STARTS and not is_known:
            return APPLIED  # The attempt that is paid becomes the plan, and no other one.
        if version != (plan.version if is_known else 0):
            raise StaleRead
        state = PLAN_STATES.get(found.status, PlanState.PAST_DUE)
        if not is_known and self._is_second(unit, plan, state):
            self._seconds.note(unit, plan, found.id)
            return APPLIED
        self._store.change(
            connection,
            plan.id,
            state=state,
            seats=found.seats,
            subscription_id=found.id,
            item_id=found.item_id,
            period_start=found.period_start,
            period_end=found.period_end,
            ends_at=found.ends_at,
            version=plan.version + 1,
            checked_at=utc_now(),
        )
        runs = state in (PlanState.ACTIVE, PlanState.PAST_DUE)
        if runs and self._seats.count(connection, plan.workspace_id) != found.seats:
            unit.emit(Topic.SEATS, plan.workspace_id)
        return APPLIED

    def _is_second(self, unit: UnitOfWork, plan: SeatPlan, state: PlanState) -> bool:
        """Tell whether a paid subscription that is unknown comes beside another one of the plan or the workspace."""
        if plan.subscription_id and plan.state is not PlanState.STARTING:
            return True
        if state is PlanState.ENDED or plan.state is not PlanState.ENDED:
            return False
        # We gave the start up, and Stripe has it after all.
        return self._store.live(unit.connection, plan.workspace_id, lock=True) is not None

    def _apply_invoice(
        self, unit: UnitOfWork, found: InvoiceView, payments: Sequence[PaymentView], version: int
    ) -> Result:
        connection = unit.connection
        plan = self._store.get(connection, found.plan_id, lock=True) if found.plan_id else None
        if plan is None:
            return Result(EventState.IGNORED, "no_plan")
        if not self._is_ours(unit, plan, found.customer_id):
            return Result(EventState.KEPT, "plan_differs")
        known = self._store.invoice(connection, found.id)
        if version != (known.version if known else 0):
            raise StaleRead
        succeeded = [payment for payment in payments if payment.status == "succeeded"]
        for payment in succeeded:
            self.book(unit, payment)
        if self._seconds.is_known(connection, found.subscription_id):
            if found.status == "paid":
                self._store.keep_invoice(connection, _row(plan, found, version + 1, failed=False))
            return self._seconds.pay_back(unit, plan, [each.id for each in succeeded])
        if found.status == "draft":
            return APPLIED  # It has no number yet, and may be deleted.
        if plan.subscription_id != found.subscription_id:
            if found.status == "paid":
                raise StaleRead  # Stripe does not say yet that the subscription is paid.
            return APPLIED  # An attempt of a start: paying it later beside another one would buy two plans.
        self._follow_invoice(unit, plan, found, known)
        return APPLIED

    def _follow_invoice(self, unit: UnitOfWork, plan: SeatPlan, found: InvoiceView, known: PlanInvoice | None) -> None:
        """Write an invoice of the plan's own subscription, grant its credit, and tell once that it is not paid."""
        if found.status == "paid":
            self._grant(unit, plan, found)
        fails = found.status == "open" and found.attempted and found.remaining > 0
        was_told = known is not None and known.failed
        if fails and not was_told:
            self._notices.unpaid(unit, plan, found)
        version = known.version + 1 if known else 1
        self._store.keep_invoice(unit.connection, _row(plan, found, version, failed=fails or was_told))

    def _grant(self, unit: UnitOfWork, plan: SeatPlan, found: InvoiceView) -> None:
        """Grant the credit that a paid period includes. A period that is over has none to use.

        It follows the money, without tax: seats that Stripe credits to the payer give theirs back in proportion.
        Otherwise seats that are added for the moment of a renewal would give credit and cost nothing.
        """
        net = found.paid - (found.tax_in(found.paid) if plan.taxed else 0)
        amount = min(found.seats * plan.seat_credit, net * CENT * plan.seat_credit // plan.seat_price)
        if found.reason not in PERIOD_REASONS or not amount or found.period_end is None:
            return
        if found.period_end > utc_now():
            self._payments.plan_credit(unit, plan.workspace_id, found.id, amount, found.period_end, found.at)

    def _apply_session(self, unit: UnitOfWork, session: SessionView) -> Result:
        plan = self._store.get(unit.connection, session.plan_id, lock=True)
        is_last = plan is not None and plan.session_id in ("", session.id) and plan.tried_at is None
        if plan is not None and is_last and session.status == "expired" and plan.state is PlanState.STARTING:
            self._store.change(unit.connection, plan.id, state=PlanState.ENDED, reason=NOT_STARTED)
        return APPLIED


def _row(plan: SeatPlan, found: InvoiceView, version: int, *, failed: bool) -> PlanInvoice:
    return PlanInvoice(
        id=found.id,
        plan_id=plan.id,
        workspace_id=plan.workspace_id,
        number=found.number,
        status=found.status,
        reason=found.reason,
        seats=found.seats,
        total=found.total * CENT,
        tax=found.tax * CENT,
        due=found.due * CENT,
        paid=found.paid * CENT,
        credited=found.credited * CENT,
        period_start=found.period_start,
        period_end=found.period_end,
        url=found.url,
        failed=failed,
        version=version,
        created_at=found.at,
        updated_at=utc_now(),
    )


def _gone(error: StripeRefused) -> PlanEffect:
    """Return the effect of an object that Stripe has deleted; raises any other refusal."""
    if error.code != "resource_missing":
        raise error
    return lambda _unit: Result(EventState.IGNORED, "gone")

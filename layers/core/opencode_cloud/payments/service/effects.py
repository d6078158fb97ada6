"""The effect of each object of Stripe, from its present state and never from an event's copy.

So events may come twice, late, in any order, and in the shape of any API version. Each effect runs in the unit that
records its event. Stripe is asked before the unit begins, so no lock waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.billing.models.payments import HoldState, Shares
from opencode_cloud.contracts.ids import PaymentId
from opencode_cloud.kit.money import CENT
from opencode_cloud.payments.models import (
    DisputeView,
    EventState,
    PaymentView,
    RefundView,
    Result,
    SessionView,
    TopUp,
    TopUpKind,
    TopUpState,
)
from opencode_cloud.payments.models.plans import StaleRead
from opencode_cloud.payments.models.refunds import RefundState

if TYPE_CHECKING:
    from opencode_cloud.billing.service.payments import Payments
    from opencode_cloud.outbox.service import Outbox, UnitOfWork
    from opencode_cloud.payments.service.documents import Documents
    from opencode_cloud.payments.service.plan_effects import PlanEffects
    from opencode_cloud.payments.service.reload_ends import ReloadEnds
    from opencode_cloud.payments.store.auto_reloads import AutoReloadStore
    from opencode_cloud.payments.store.refunds import RefundStore
    from opencode_cloud.payments.store.top_ups import TopUpStore
    from opencode_cloud.payments.stripe_api import StripeApi

Effect = Callable[["UnitOfWork"], Result]
APPLIED = Result(EventState.APPLIED)
ENDED = frozenset({TopUpState.PAID, TopUpState.FAILED, TopUpState.EXPIRED})
OPEN_DISPUTES = frozenset({"needs_response", "under_review", "appeal_needs_response", "appeal_under_review"})
REFUND_STATES = {
    "succeeded": RefundState.SUCCEEDED,
    "failed": RefundState.FAILED,
    "canceled": RefundState.FAILED,
}
"""States of orders by the status at Stripe. Any other status is on its way."""
BEFORE = {
    RefundState.PENDING: (RefundState.ORDERED,),
    RefundState.SUCCEEDED: (RefundState.ORDERED, RefundState.PENDING),
    RefundState.FAILED: (RefundState.ORDERED, RefundState.PENDING, RefundState.SUCCEEDED),
}
"""States from which an order moves on. The bank may send the money of a refund back that had succeeded."""
TYPES = (
    "checkout.session.completed",
    "checkout.session.expired",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "payment_intent.succeeded",
    "payment_intent.processing",
    "payment_intent.payment_failed",
    "payment_intent.canceled",
    "charge.refunded",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
    "customer.updated",
    "customer.subscription.created",
    "customer.subscription.updated",
    "customer.subscription.deleted",
    "invoice.finalized",
    "invoice.paid",
    "invoice.payment_failed",
    "invoice.payment_action_required",
    "invoice.updated",
    "invoice.voided",
    "invoice.marked_uncollectible",
    "credit_note.created",
    "credit_note.voided",
)
"""Types with an effect."""


class Effects:
    """Reads objects of Stripe, and returns what they do to our books."""

    def __init__(
        self,
        outbox: Outbox,
        api: StripeApi,
        top_ups: TopUpStore,
        payments: Payments,
        reloads: AutoReloadStore,
        ends: ReloadEnds,
        documents: Documents,
        refunds: RefundStore,
        plans: PlanEffects,
    ) -> None:
        self._outbox = outbox
        self._api = api
        self._top_ups = top_ups
        self._payments = payments
        self._reloads = reloads
        self._ends = ends
        self._documents = documents
        self._refunds = refunds
        self._plans = plans

    def of(self, kind: str, object_id: str) -> Effect | None:
        """Ask Stripe for the object of an event of the type ``kind``; None if such events have no effect."""
        if kind not in TYPES:
            return None
        if kind.startswith("checkout.session."):
            return self.of_session(object_id)
        if kind.startswith("payment_intent."):
            return self.of_payment(PaymentId(object_id))
        if kind.startswith("charge.dispute."):
            return self._of_dispute(object_id)
        if kind.startswith("customer.subscription."):
            return self._plans.of_subscription(object_id)
        if kind.startswith("invoice."):
            return self._plans.of_invoice(object_id)
        if kind.startswith("credit_note."):
            return self._plans.of_credit_note(object_id)
        if kind.startswith("customer."):
            return self._of_customer(object_id)
        refunds = (
            self._api.refunds_of_charge(object_id) if kind.startswith("charge.") else [self._api.refund_of(object_id)]
        )
        return self._of_refunds(refunds)

    def of_session(self, session_id: str) -> Effect:
        """Return the effect of a checkout session: that of its payment, or its end without one."""
        session = self._api.session(session_id)
        if session.plan_id:
            return self._plans.of_session(session)
        payment = self._payment(session.payment_id, session) if session.payment_id else None

        def apply(unit: UnitOfWork) -> Result:
            result = self._apply_payment(unit, payment) if payment else APPLIED
            if session.status == "expired":
                self._expire(unit, session)
            return result

        return apply

    def of_payment(self, payment_id: PaymentId) -> Effect:
        """Return the effect of a payment intent."""
        payment = self._payment(payment_id)
        return lambda unit: self._apply_payment(unit, payment)

    def _payment(self, payment_id: PaymentId, session: SessionView | None = None) -> PaymentView:
        """Return a payment with its tax. One that was not made by a purchase may pay the invoice of a plan."""
        payment = self._api.payment(payment_id)
        if payment.status != "succeeded":
            return payment
        if payment.top_up_id:
            return self._with_tax(payment, session)
        invoice = self._plans.invoice_of(payment)
        return msgspec.structs.replace(payment, plan_id=invoice.plan_id, tax=invoice.tax)

    def _with_tax(self, payment: PaymentView, session: SessionView | None) -> PaymentView:
        """Return the payment of a purchase with the tax that its checkout says. That of a reload is in our row."""
        with self._outbox.unit() as unit:
            top_up = self._top_ups.get(unit.connection, payment.top_up_id)
        if top_up is None or not top_up.taxed or _is_calculated(top_up, payment):
            return payment
        paid = session or self._api.session_of(payment.id)
        is_own = paid is not None and paid.top_up_id == top_up.id
        return msgspec.structs.replace(payment, tax=paid.tax) if paid and is_own else payment

    def end(self, top_up: TopUp) -> Effect:
        """Return the end of a top-up that never reached Stripe."""

        def apply(unit: UnitOfWork) -> Result:
            self._change(unit, top_up, state=TopUpState.EXPIRED)
            return APPLIED

        return apply

    def _of_refunds(self, refunds: Sequence[RefundView]) -> Effect:
        payments = {each.payment_id: self._payment(each.payment_id) for each in refunds if each.payment_id}

        def apply(unit: UnitOfWork) -> Result:
            for refund in refunds:
                if refund.payment_id not in payments:
                    return Result(EventState.KEPT, "payment_unknown")
                # A refund may overtake its payment.
                result = self._apply_payment(unit, payments[refund.payment_id])
                if result.state is not EventState.APPLIED:
                    return result
                self._apply_refund(unit, refund)
            return APPLIED

        return apply

    def _of_dispute(self, dispute_id: str) -> Effect:
        dispute = self._api.dispute(dispute_id)
        payment = self._payment(dispute.payment_id) if dispute.payment_id else None

        def apply(unit: UnitOfWork) -> Result:
            if payment is None:
                return Result(EventState.KEPT, "payment_unknown")
            result = self._apply_payment(unit, payment)
            if result.state is EventState.APPLIED:
                self._apply_dispute(unit, dispute)
            return result

        return apply

    def _of_customer(self, customer_id: str) -> Effect:
        card = self._api.card(customer_id)

        def apply(unit: UnitOfWork) -> Result:
            workspace_id = self._reloads.workspace_of(unit.connection, customer_id)
            if workspace_id is not None and card is not None:
                self._ends.new_card(unit, workspace_id, card.id)
            return APPLIED

        return apply

    # ------------------------------------------------------------------------------------- in the unit

    def _apply_payment(self, unit: UnitOfWork, payment: PaymentView) -> Result:
        if payment.plan_id and self._plans.book(unit, payment):
            return APPLIED
        top_up = self._top_ups.get(unit.connection, payment.top_up_id, lock=True) if payment.top_up_id else None
        if payment.status != "succeeded":
            if top_up and top_up.state not in ENDED:
                self._follow(unit, top_up, payment)
            return APPLIED
        fits = top_up is not None and self._fits(unit, top_up, payment)
        if not fits and self._payments.is_known(unit, payment.id):
            # An operator has given it to a workspace, such as the second payment of one purchase.
            self._settle(unit, payment)
            return APPLIED
        if top_up is None or not fits:
            # The money is real: it waits on the account `suspense` until an operator assigns it.
            self._payments.suspend(unit, payment.id, payment.received * CENT, payment.at, payment.currency)
            self._settle(unit, payment)
            return Result(EventState.KEPT, "payment_unknown" if top_up is None else "payment_differs")
        top_up = msgspec.structs.replace(top_up, tax=_tax_of(top_up, payment) * CENT)
        shares = Shares(credit=top_up.credit, fee=top_up.fee, tax=top_up.tax)
        self._payments.top_up(unit, top_up.workspace_id, payment.id, shares, payment.at, payment.currency)
        self._settle(unit, payment)
        if top_up.state is not TopUpState.PAID:
            self._change(unit, top_up, state=TopUpState.PAID, payment_id=payment.id, reason="", tax=top_up.tax)
            self._ends.paid(unit, top_up)
            self._documents.invoice(unit, top_up, payment)
        return APPLIED

    def _settle(self, unit: UnitOfWork, payment: PaymentView) -> None:
        if payment.balance_transaction_id:
            gross, fee = payment.received * CENT, payment.stripe_fee * CENT
            self._payments.settle(unit, payment.balance_transaction_id, payment.id, gross, fee, payment.at)

    def _fits(self, unit: UnitOfWork, top_up: TopUp, payment: PaymentView) -> bool:
        """Tell whether a payment is the one that the top-up asked for. Amounts are the row's, never the metadata's.

        Tax is the only amount on top of the row's: what Stripe computed, in its checkout or before the charge.
        """
        customer_id = self._top_ups.customer(unit.connection, top_up.workspace_id)
        asked = (top_up.net_cents + _tax_of(top_up, payment), top_up.currency, customer_id)
        is_other = top_up.state is TopUpState.PAID and top_up.payment_id != payment.id
        return not is_other and asked == (payment.received, payment.currency, payment.customer_id)

    def _follow(self, unit: UnitOfWork, top_up: TopUp, payment: PaymentView) -> None:
        match payment.status:
            case "processing":
                self._change(unit, top_up, state=TopUpState.PENDING, payment_id=payment.id)
            case "canceled" if top_up.kind is TopUpKind.CHECKOUT:
                self._change(unit, top_up, state=TopUpState.FAILED, reason="canceled")
            case "requires_payment_method" if top_up.state is TopUpState.PENDING:
                if payment.read_at is not None and payment.read_at <= top_up.updated_at:
                    # It may be the refusal of a card, read before the payer chose the debit that is on its way.
                    raise StaleRead
                # A bank debit came back after the end of Checkout, so no other card can be tried there.
                self._change(unit, top_up, state=TopUpState.FAILED, reason=payment.code)
                self._ends.failed(unit, top_up, payment.code)
            case "requires_payment_method":
                self._change(unit, top_up, reason=payment.code)
            case _:
                # The payer is busy, or Stripe has a new status: a later event tells the end.
                pass

    def _expire(self, unit: UnitOfWork, session: SessionView) -> None:
        top_up = self._top_ups.get(unit.connection, session.top_up_id, lock=True) if session.top_up_id else None
        # An older session of the same top-up ends without an effect.
        if not top_up or top_up.state is not TopUpState.OPEN or top_up.session_id not in ("", session.id):
            return
        if top_up.kind is TopUpKind.RELOAD:
            # The payer may open another page until the reload is given up.
            self._change(unit, top_up, session_id="")
        else:
            self._change(unit, top_up, state=TopUpState.EXPIRED)

    def _change(self, unit: UnitOfWork, top_up: TopUp, **values: object) -> None:
        self._top_ups.change(unit.connection, top_up.id, **values)

    def _apply_refund(self, unit: UnitOfWork, refund: RefundView) -> None:
        hold = self._payments.refund(unit, refund.payment_id, refund.id, refund.amount * CENT, refund.at)
        # A refund that failed never succeeds afterwards: such a read is older than what is booked.
        if refund.status == "succeeded" and hold.state is not HoldState.VOIDED:
            self._payments.refund_succeeded(unit, refund.id, refund.at)
            self._payments.refund_paid(unit, refund.id, refund.payment_id, refund.amount * CENT, refund.at)
            self._documents.credit_note(unit, hold.workspace_id, refund, hold.shares)
        elif refund.status in ("failed", "canceled"):
            self._payments.refund_failed(unit, refund.id, refund.at)
            self._documents.undo_credit_note(unit, hold.workspace_id, refund)
        self._follow_order(unit, refund)

    def _follow_order(self, unit: UnitOfWork, refund: RefundView) -> None:
        """Move the order of a refund on, never back: this read of Stripe may be older than the booked one."""
        order = self._refunds.get(unit.connection, refund.order_id, lock=True) if refund.order_id else None
        state = REFUND_STATES.get(refund.status, RefundState.PENDING)
        if order is None or order.payment_id != refund.payment_id or order.state not in BEFORE[state]:
            return
        self._refunds.change(unit.connection, order.id, state=state, refund_id=refund.id)

    def _apply_dispute(self, unit: UnitOfWork, dispute: DisputeView) -> None:
        if not dispute.withdrawn:
            return  # An inquiry takes nothing.
        self._payments.dispute(unit, dispute.payment_id, dispute.id, dispute.withdrawn * CENT, dispute.at)
        for entry_id, fee in dispute.fees:
            self._payments.dispute_fee(unit, entry_id, dispute.payment_id, fee * CENT, dispute.at)
        if dispute.status == "won":
            self._payments.dispute_won(unit, dispute.id, dispute.at)
        elif dispute.status not in OPEN_DISPUTES:
            self._payments.dispute_lost(unit, dispute.id, dispute.at)


def _tax_of(top_up: TopUp, payment: PaymentView) -> int:
    """Return the tax that Stripe computed for a payment of a purchase, in cents."""
    if not top_up.taxed:
        return 0
    return top_up.tax // CENT if _is_calculated(top_up, payment) else payment.tax


def _is_calculated(top_up: TopUp, payment: PaymentView) -> bool:
    """Tell whether a payment names the calculation that our row has."""
    return bool(top_up.calculation_id) and payment.calculation_id == top_up.calculation_id

"""Plans at Stripe: prices, subscriptions and their invoices (https://docs.stripe.com/api/subscriptions)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from opencode_cloud.contracts.ids import PaymentId, PlanId
from opencode_cloud.kit.money import CENT
from opencode_cloud.payments.models import Checkout, StripeRefused
from opencode_cloud.payments.models.plans import (
    UNPAID_STARTS,
    InvoiceView,
    NextInvoice,
    PaidInvoice,
    SeatPlan,
    SecondSubscription,
    SubscriptionView,
    share_of_tax,
)
from opencode_cloud.payments.stripe_objects import EXCLUSIVE, SEAT_PLAN, card_of, id_of, moment_of, plan_of

if TYPE_CHECKING:
    from opencode_cloud.payments.stripe_connection import StripeConnection

PRODUCT = "Seat"


class StripePlans:
    """Requests about plans."""

    def __init__(self, stripe: StripeConnection) -> None:
        self._stripe = stripe

    # ------------------------------------------------------------------------------------- writes

    def price(self, micro_cents: int, *, taxed: bool = False) -> str:
        """Return the price of a seat and month, which is made at the first use of its amount.

        A taxed plan has a price of its own, because Stripe refuses to tax a price that does not say how.
        """
        cents, prices = micro_cents // CENT, self._stripe.client.v1.prices
        key = f"seat-{cents}-usd-month-{EXCLUSIVE}" if taxed else f"seat-{cents}-usd-month"
        wanted: Any = {"lookup_keys": [key], "active": True, "limit": 1}
        if found := self._stripe.ask(lambda: prices.list(wanted)).data:
            return found[0].id
        params: Any = {
            "currency": "usd",
            "unit_amount": cents,
            "recurring": {"interval": "month"},
            "product_data": {"name": PRODUCT},
            "lookup_key": key,
            # An archived price keeps its key otherwise, and Stripe refuses the new one.
            "transfer_lookup_key": True,
        }
        if taxed:
            params["tax_behavior"] = EXCLUSIVE
        return self._stripe.write(prices.create, params, key=f"price:{key}").id

    def open_checkout(
        self, plan: SeatPlan, customer_id: str, price_id: str, success_url: str, cancel_url: str
    ) -> Checkout:
        """Open the checkout that starts a plan.

        Raises:
            StripeRefused: It cannot be opened.
            stripe_unavailable: (503) It may have been opened; the same call returns it.
        """
        metadata = {SEAT_PLAN: plan.id}
        params: Any = {
            "mode": "subscription",
            "customer": customer_id,
            "client_reference_id": plan.id,
            "success_url": success_url,
            "cancel_url": cancel_url,
            "line_items": [{"price": price_id, "quantity": plan.seats}],
            "metadata": metadata,
            "subscription_data": {"metadata": metadata},
            "billing_address_collection": "required",
            "customer_update": {"name": "auto", "address": "auto"},
            "tax_id_collection": {"enabled": True},
            **_tax(plan),
        }
        create = self._stripe.client.v1.checkout.sessions.create
        session = self._stripe.write(create, params, key=f"plan:{plan.id}:checkout:{plan.attempt}")
        return Checkout(session.id, session.url or "")

    def start(self, plan: SeatPlan, customer_id: str, price_id: str, method_id: str) -> str:
        """Start a plan by a saved card, and return the subscription. A declined card leaves none.

        Raises:
            StripeRefused: The bank declined, or asks for the card's owner.
            stripe_unavailable: (503) The result is unknown. The same call asks for it again.
        """
        params: Any = {
            "customer": customer_id,
            "items": [{"price": price_id, "quantity": plan.seats}],
            "default_payment_method": method_id,
            "payment_behavior": "error_if_incomplete",
            "metadata": {SEAT_PLAN: plan.id},
            **_tax(plan),
        }
        create = self._stripe.client.v1.subscriptions.create
        return self._stripe.write(create, params, key=f"plan:{plan.id}:start").id

    def set_seats(self, plan: SeatPlan, seats: int, number: int) -> None:
        """Set the number of seats. Stripe charges or credits the rest of the period on the next invoice."""
        items = [{"id": plan.item_id, "quantity": seats}]
        self._update(plan, {"items": items, "proration_behavior": "create_prorations"}, f"seats:{number}")

    def set_end(self, plan: SeatPlan, number: int, *, ends: bool) -> None:
        """End a plan with its period, or let it renew."""
        self._update(plan, {"cancel_at_period_end": ends}, f"end:{number}")

    def choose_card(self, plan: SeatPlan, method_id: str, number: int) -> None:
        """Charge the next renewals to a saved card."""
        self._update(plan, {"default_payment_method": method_id}, f"card:{number}")

    def end_now(self, second: SecondSubscription) -> None:
        """Cancel a second subscription at once, without an invoice. One that has ended already stays ended."""
        cancel: Callable[[Any, Any], Any] = partial(self._stripe.client.v1.subscriptions.cancel, second.subscription_id)
        try:
            self._stripe.write(cancel, {}, key=f"second:{second.id}:cancel")
        except StripeRefused as error:
            # Stripe does not find a subscription that has ended.
            if error.code != "resource_missing":
                raise

    def _update(self, plan: SeatPlan, params: Any, key: str) -> None:
        update: Callable[[Any, Any], Any] = partial(self._stripe.client.v1.subscriptions.update, plan.subscription_id)
        self._stripe.write(update, params, key=f"plan:{plan.id}:{key}")

    # ------------------------------------------------------------------------------------- reads

    def subscription(self, subscription_id: str) -> SubscriptionView:
        """Return the present state of a subscription."""
        expand: Any = {"expand": ["default_payment_method", "customer.invoice_settings.default_payment_method"]}
        found: Any = self._stripe.ask(lambda: self._stripe.client.v1.subscriptions.retrieve(subscription_id, expand))
        item = found["items"].data[0]
        of_customer = getattr(getattr(found.customer, "invoice_settings", None), "default_payment_method", None)
        card = found.default_payment_method or of_customer
        end = moment_of(item.current_period_end)
        # A subscription in the flexible billing mode may say its end by `cancel_at` alone.
        ends_at = moment_of(found.cancel_at) if found.cancel_at else end if found.cancel_at_period_end else None
        return SubscriptionView(
            id=found.id,
            status=found.status,
            plan_id=plan_of(found.metadata),
            customer_id=id_of(found.customer),
            item_id=item.id,
            seats=item.quantity or 0,
            period_start=moment_of(item.current_period_start),
            period_end=end,
            ends_at=ends_at,
            invoice_id=id_of(found.latest_invoice),
            card=card_of(card) if card is not None else None,
        )

    def subscription_for(self, customer_id: str, plan: SeatPlan) -> str:
        """Return the subscription of a plan whose request got no answer; empty if Stripe has none that is paid."""
        params: Any = {"customer": customer_id, "status": "all", "limit": 100}
        found = self._stripe.ask(lambda: list(self._stripe.client.v1.subscriptions.list(params).auto_paging_iter()))
        own = (each for each in found if plan_of(each.metadata) == plan.id and each.status not in UNPAID_STARTS)
        return next((each.id for each in own), "")

    def invoice(self, invoice_id: str) -> InvoiceView:
        """Return the present state of an invoice."""
        invoices, expand = self._stripe.client.v1.invoices, {"expand": ["payments"]}
        params: Any = expand
        found: Any = self._stripe.ask(lambda: invoices.retrieve(invoice_id, params))
        page: Any = {"limit": 100}
        lines: list[Any] = self._stripe.ask(lambda: list(invoices.line_items.list(invoice_id, page).auto_paging_iter()))
        whole = [each for each in lines if _is_period(each)]
        return InvoiceView(
            id=found.id,
            status=found.status or "",
            plan_id=_plan_of_invoice(found),
            subscription_id=_subscription_of_invoice(found),
            customer_id=id_of(found.customer),
            number=found.number or "",
            reason=found.billing_reason or "",
            seats=sum(each.quantity or 0 for each in whole),
            total=found.total,
            tax=_tax_of(found),
            due=found.amount_due,
            paid=found.amount_paid,
            remaining=found.amount_remaining,
            credited=found.pre_payment_credit_notes_amount + found.post_payment_credit_notes_amount,
            period_start=moment_of(whole[0].period.start) if whole else None,
            period_end=moment_of(whole[0].period.end) if whole else None,
            url=found.hosted_invoice_url or "",
            attempted=found.attempted,
            next_attempt_at=moment_of(found.next_payment_attempt) if found.next_payment_attempt else None,
            payment_ids=tuple(_paid(found)),
            at=moment_of(found.created),
        )

    def invoices_of(self, subscription_id: str) -> list[str]:
        """Return the invoices of a subscription."""
        params: Any = {"subscription": subscription_id, "limit": 100}
        found = self._stripe.ask(lambda: list(self._stripe.client.v1.invoices.list(params).auto_paging_iter()))
        return [each.id for each in found]

    def invoice_of_note(self, note_id: str) -> str:
        """Return the invoice that a credit note corrects."""
        return id_of(self._stripe.ask(lambda: self._stripe.client.v1.credit_notes.retrieve(note_id)).invoice)

    def invoice_of_payment(self, payment_id: PaymentId, amount: int) -> PaidInvoice:
        """Return the plan whose invoice a payment of ``amount`` cents pays, and its tax; empty for another payment."""
        params: Any = {
            "payment": {"type": "payment_intent", "payment_intent": payment_id},
            "expand": ["data.invoice"],
            "limit": 1,
        }
        found = self._stripe.ask(lambda: self._stripe.client.v1.invoice_payments.list(params)).data
        if not found:
            return PaidInvoice()
        invoice: Any = found[0].invoice
        return PaidInvoice(plan_id=_plan_of_invoice(invoice), tax=share_of_tax(_tax_of(invoice), amount, invoice.total))

    def next_invoice(self, subscription_id: str) -> NextInvoice:
        """Return the invoice of the next renewal; raises StripeRefused if there is none."""
        params: Any = {"subscription": subscription_id}
        found: Any = self._stripe.ask(lambda: self._stripe.client.v1.invoices.create_preview(params))
        at = moment_of(found.next_payment_attempt or found.period_end)
        return NextInvoice(due=found.amount_due * CENT, tax=_tax_of(found) * CENT, at=at)


def _tax(plan: SeatPlan) -> dict[str, Any]:
    """Return the parameters that let Stripe compute tax on the invoices of a plan."""
    return {"automatic_tax": {"enabled": True}} if plan.taxed else {}


def _tax_of(invoice: Any) -> int:
    """Return the tax in the total of an invoice, in cents."""
    taxes: list[Any] = invoice.total_taxes or []
    return sum(each.amount for each in taxes)


def _plan_of_invoice(invoice: Any) -> PlanId:
    return plan_of(getattr(_subscription_details(invoice), "metadata", None))


def _subscription_of_invoice(invoice: Any) -> str:
    return id_of(getattr(_subscription_details(invoice), "subscription", None))


def _subscription_details(invoice: Any) -> Any:
    return getattr(getattr(invoice, "parent", None), "subscription_details", None)


def _is_period(line: Any) -> bool:
    """Tell whether a line is for the seats of a whole period, and not for a change within one."""
    details = getattr(line.parent, "subscription_item_details", None)
    return details is not None and not details.proration


def _paid(invoice: Any) -> list[PaymentId]:
    payments: list[Any] = invoice.payments.data if invoice.payments else []
    ids = [id_of(getattr(each.payment, "payment_intent", None)) for each in payments if each.status == "paid"]
    return [PaymentId(each) for each in ids if each]

"""Stripe through its library (https://docs.stripe.com/api): webhooks, customers, payments and their returns.

Objects of the library are no mappings, and a field that an answer lacks raises AttributeError. So optional fields are
read by ``getattr``, and everything else is an error worth an alarm. Plans have :mod:`stripe_plans`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, cast

import msgspec
import stripe

from opencode_cloud.contracts.ids import PaymentId, WorkspaceId
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.log import logger
from opencode_cloud.kit.money import CENT
from opencode_cloud.payments.models import (
    CardView,
    Checkout,
    DisputeView,
    EventHead,
    PaymentView,
    RefundView,
    SessionView,
    SignatureRefused,
    StripeRefused,
    TaxCalculation,
    TopUp,
)
from opencode_cloud.payments.models.refunds import RefundOrder
from opencode_cloud.payments.stripe_connection import StripeConnection
from opencode_cloud.payments.stripe_objects import (
    EXCLUSIVE,
    REFUND_ORDER,
    TOP_UP,
    EventBody,
    buyer_of,
    calculation_of,
    card_of,
    id_of,
    line_item,
    lines_of,
    moment_of,
    refund_view,
    seconds_of,
    session_view,
    signed_at,
    top_up_of,
)

MOST_TYPES = 20
"""The most types that a list of events filters by."""
TOLERANCE_SECONDS = 300
"""Age of a signature; the library checks only the past."""

_verify: Callable[[str, str, str, int], bool] = cast("Any", stripe.WebhookSignature).verify_header


class StripeApi(StripeConnection):
    """Requests to Stripe about customers and payments."""

    # ------------------------------------------------------------------------------------- webhooks

    def verified(self, body: bytes, header: str) -> EventHead:
        """Return the event of a signed request.

        Raises:
            SignatureRefused: (400) These bytes were not signed by a valid secret within five minutes.
        """
        try:
            text = body.decode()
        except UnicodeDecodeError as error:
            raise SignatureRefused from error
        # The library cannot compare a signature that is not ASCII.
        if not header.isascii():
            raise SignatureRefused
        # The operator may have rolled the secret since this process read it.
        if not self._signed(text, header) and not (self.forget() and self._signed(text, header)):
            raise SignatureRefused
        try:
            return msgspec.json.decode(text, type=EventBody).head()
        except msgspec.DecodeError as error:
            raise SignatureRefused from error

    def _signed(self, text: str, header: str) -> bool:
        for number, secret in enumerate(self.secret().webhook_secrets):
            try:
                _verify(text, header, secret, TOLERANCE_SECONDS)
            except stripe.SignatureVerificationError:
                continue
            if signed_at(header) > time.time() + TOLERANCE_SECONDS:
                return False
            logger.debug("a webhook was signed", extra={"secret": number})
            return True
        return False

    @property
    def live(self) -> bool:
        """Whether the key is of the live mode."""
        return "_live_" in self.secret().api_key

    # ------------------------------------------------------------------------------------- writes

    def create_customer(self, workspace_id: WorkspaceId, name: str) -> str:
        """Create the customer of a workspace and return its id; the same one for the same workspace."""
        params: Any = {"name": name, "metadata": {"workspace": workspace_id}}
        return self.write(self.client.v1.customers.create, params, key=f"customer:{workspace_id}").id

    def open_checkout(self, top_up: TopUp, customer_id: str, success_url: str, cancel_url: str) -> Checkout:
        """Open the checkout of a top-up. The card is saved, so that a later payment needs no typing.

        Raises:
            StripeRefused: It cannot be opened.
            stripe_unavailable: (503) It may have been opened; the same call returns it.
        """
        metadata = {TOP_UP: top_up.id}
        params: Any = {
            "mode": "payment",
            "customer": customer_id,
            "client_reference_id": top_up.id,
            "success_url": success_url,
            "cancel_url": cancel_url,
            "line_items": [
                line_item(name, cents, top_up.currency, taxed=top_up.taxed) for name, cents in lines_of(top_up)
            ],
            "metadata": metadata,
            "payment_intent_data": {"metadata": metadata, "setup_future_usage": "off_session"},
            "billing_address_collection": "required",
            "customer_update": {"name": "auto", "address": "auto"},
            "tax_id_collection": {"enabled": True},
        }
        if top_up.taxed:
            params["automatic_tax"] = {"enabled": True}
        session = self.write(
            self.client.v1.checkout.sessions.create, params, key=f"top_up:{top_up.id}:checkout:{top_up.attempt}"
        )
        return Checkout(session.id, session.url or "")

    def tax_on(self, top_up: TopUp, customer_id: str) -> TaxCalculation:
        """Let Stripe compute the tax on a purchase without a page, by the customer's address; the same one each time.

        Raises:
            StripeRefused: The address is not enough, or Stripe Tax is not set up.
            stripe_unavailable: (503) The result is unknown. The same call returns it.
        """
        lines = [{"amount": cents, "reference": name, "tax_behavior": EXCLUSIVE} for name, cents in lines_of(top_up)]
        params: Any = {"currency": top_up.currency.lower(), "customer": customer_id, "line_items": lines}
        key = f"top_up:{top_up.id}:tax:{top_up.attempt}"
        found: Any = self.write(self.client.v1.tax.calculations.create, params, key=key)
        return TaxCalculation(id=found.id, tax=found.amount_total - top_up.net_cents)

    def charge(self, top_up: TopUp, customer_id: str, method_id: str) -> PaymentId:
        """Charge a saved card without its owner, and return the payment intent. Its state tells what became of it.

        A top-up has one payment intent, so it is paid at most once: a later attempt confirms the same one.

        Raises:
            StripeRefused: The bank declined. ``payment_id`` names the intent, if there is one.
            stripe_unavailable: (503) The result is unknown. The same call asks for it again.
        """
        key = f"top_up:{top_up.id}:charge:{top_up.attempt}"
        payments: Any = self.client.v1.payment_intents
        confirmed: Any = {"payment_method": method_id, "off_session": True}
        if top_up.payment_id:
            self.write(partial(payments.confirm, top_up.payment_id), confirmed, key=key)
            return top_up.payment_id
        params: Any = {
            **confirmed,
            "amount": top_up.gross_cents,
            "currency": top_up.currency.lower(),
            "customer": customer_id,
            "confirm": True,
            "description": "Automatic reload of credit",
            "metadata": {TOP_UP: top_up.id},
        }
        if top_up.calculation_id:
            # Stripe then keeps its own records of the tax, also of refunds.
            params["hooks"] = {"inputs": {"tax": {"calculation": top_up.calculation_id}}}
        return PaymentId(self.write(payments.create, params, key=key).id)

    def cancel(self, payment_id: PaymentId) -> None:
        """Cancel a payment intent, so that it is never paid; raises StripeRefused if it is paid or on its way."""
        cancel: Any = self.client.v1.payment_intents.cancel
        self.write(partial(cancel, payment_id), {}, key=f"payment:{payment_id}:cancel")

    def expire(self, session_id: str) -> None:
        """End a checkout session, so that it is never paid; raises StripeRefused if it has ended already."""
        expire: Any = self.client.v1.checkout.sessions.expire
        self.write(partial(expire, session_id), {}, key=f"session:{session_id}:expire")

    def refund(self, order: RefundOrder) -> RefundView:
        """Pay a part of a payment back; the same refund for the same attempt of an order.

        Raises:
            StripeRefused: Stripe pays nothing back, such as more than what is left of the payment.
            stripe_unavailable: (503) The result is unknown. The same call asks for it again.
        """
        params: Any = {
            "payment_intent": order.payment_id,
            "amount": order.amount // CENT,
            "metadata": {REFUND_ORDER: order.id},
        }
        return refund_view(self.write(self.client.v1.refunds.create, params, key=f"refund:{order.id}:{order.attempt}"))

    def choose_card(self, customer_id: str, method_id: str) -> None:
        """Make a saved card the one that reloads are charged to."""
        params: Any = {"invoice_settings": {"default_payment_method": method_id}}
        self.ask(lambda: self.client.v1.customers.update(customer_id, params))

    def open_portal(self, customer_id: str, return_url: str) -> str:
        """Return the address of the portal, where a customer changes cards."""
        params: Any = {"customer": customer_id, "return_url": return_url}
        return self.ask(lambda: self.client.v1.billing_portal.sessions.create(params)).url

    # ------------------------------------------------------------------------------------- reads

    def session(self, session_id: str) -> SessionView:
        """Return the present state of a checkout session."""
        return session_view(self.ask(lambda: self.client.v1.checkout.sessions.retrieve(session_id)))

    def session_of(self, payment_id: PaymentId) -> SessionView | None:
        """Return the checkout session that a payment intent belongs to; None without one."""
        params: Any = {"payment_intent": payment_id, "limit": 1}
        found = self.ask(lambda: self.client.v1.checkout.sessions.list(params)).data
        return session_view(found[0]) if found else None

    def payment(self, payment_id: PaymentId) -> PaymentView:
        """Return the present state of a payment intent."""
        read_at, expand = utc_now(), cast("Any", {"expand": ["latest_charge.balance_transaction"]})
        found = self.ask(lambda: self.client.v1.payment_intents.retrieve(payment_id, expand))
        charge = found.latest_charge if isinstance(found.latest_charge, stripe.Charge) else None
        entry = charge.balance_transaction if charge else None
        if isinstance(entry, stripe.BalanceTransaction) and entry.currency != found.currency:
            entry = None  # The account settles in another currency, whose fee is not in our books.
        failure = found.last_payment_error
        return PaymentView(
            id=PaymentId(found.id),
            status=found.status,
            received=found.amount_received,
            currency=found.currency.upper(),
            customer_id=id_of(found.customer),
            top_up_id=top_up_of(found.metadata),
            code=str(getattr(failure, "decline_code", None) or getattr(failure, "code", None) or ""),
            at=moment_of(charge.created if charge else found.created),
            balance_transaction_id=id_of(entry),
            stripe_fee=entry.fee if isinstance(entry, stripe.BalanceTransaction) else 0,
            calculation_id=calculation_of(found),
            buyer=buyer_of(charge),
            read_at=read_at,
        )

    def payment_for(self, customer_id: str, top_up: TopUp) -> PaymentId:
        """Return the payment intent of a top-up whose request got no answer; empty if Stripe has none."""
        params: Any = {"customer": customer_id, "created": {"gte": seconds_of(top_up.created_at) - 3600}, "limit": 100}
        found = self.ask(lambda: list(self.client.v1.payment_intents.list(params).auto_paging_iter()))
        return next((PaymentId(each.id) for each in found if top_up_of(each.metadata) == top_up.id), PaymentId(""))

    def card(self, customer_id: str) -> CardView | None:
        """Return the card that reloads are charged to; None if the customer has chosen none, or was deleted."""
        params: Any = {"expand": ["invoice_settings.default_payment_method"]}
        found: Any = self.ask(lambda: self.client.v1.customers.retrieve(customer_id, params))
        chosen = None if getattr(found, "deleted", False) else found.invoice_settings.default_payment_method
        return None if chosen is None else card_of(chosen)

    def newest_card(self, customer_id: str) -> CardView | None:
        """Return the method that the customer has saved last; None without one."""
        params: Any = {"limit": 1}
        found = self.ask(lambda: self.client.v1.customers.payment_methods.list(customer_id, params))
        return card_of(found.data[0]) if found.data else None

    def refund_of(self, refund_id: str) -> RefundView:
        """Return the present state of a refund."""
        return refund_view(self.ask(lambda: self.client.v1.refunds.retrieve(refund_id)))

    def refunds_of_charge(self, charge_id: str) -> list[RefundView]:
        """Return all refunds of a charge, the oldest first."""
        params: Any = {"charge": charge_id, "limit": 100}
        found = self.ask(lambda: list(self.client.v1.refunds.list(params).auto_paging_iter()))
        return [refund_view(each) for each in reversed(found)]

    def refund_for(self, order: RefundOrder) -> RefundView | None:
        """Return the refund of an order whose request got no answer; None if Stripe has none."""
        params: Any = {"payment_intent": order.payment_id, "limit": 100}
        found = self.ask(lambda: list(self.client.v1.refunds.list(params).auto_paging_iter()))
        return next((each for each in map(refund_view, found) if each.order_id == order.id), None)

    def dispute(self, dispute_id: str) -> DisputeView:
        """Return the present state of a dispute."""
        found = self.ask(lambda: self.client.v1.disputes.retrieve(dispute_id))
        return DisputeView(
            id=found.id,
            status=found.status,
            # The entries of the balance are in the currency of the payout, the dispute in that of the charge.
            withdrawn=found.amount if any(each.amount < 0 for each in found.balance_transactions) else 0,
            # A fee in another currency is not in our books.
            fees=tuple((each.id, each.fee) for each in found.balance_transactions if _has_fee(each, found.currency)),
            payment_id=PaymentId(id_of(found.payment_intent)),
            at=moment_of(found.created),
        )

    def event(self, event_id: str) -> EventHead | None:
        """Return an event; None if Stripe does not know it, or not any more."""
        try:
            return _head(self.ask(lambda: self.client.v1.events.retrieve(event_id)))
        except StripeRefused:
            return None

    def events(self, types: Sequence[str], since: datetime) -> list[EventHead]:
        """Return the events of some types since a time (naive UTC), the oldest first."""
        found: list[EventHead] = []
        for first in range(0, len(types), MOST_TYPES):
            some = list(types[first : first + MOST_TYPES])
            params: Any = {"types": some, "created": {"gte": seconds_of(since)}, "limit": 100}
            page = self.ask(lambda params=params: list(self.client.v1.events.list(params).auto_paging_iter()))
            found += [_head(each) for each in reversed(page)]
        return sorted(found, key=lambda each: each.created_at)


def _has_fee(entry: stripe.BalanceTransaction, currency: str) -> bool:
    return bool(entry.fee) and entry.currency == currency


def _head(event: stripe.Event) -> EventHead:
    about: Any = event.data.object
    return EventHead(
        id=event.id,
        type=event.type,
        object_id=str(about["id"]) if "id" in about else "",
        live=event.livemode,
        created_at=moment_of(event.created),
    )

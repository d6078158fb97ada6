"""Stripe through its library, which no other module imports (https://docs.stripe.com/api).

Objects of the library are no mappings, and a field that an answer lacks raises AttributeError. So optional fields are
read by ``getattr``, and everything else is an error worth an alarm.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, TypeVar, cast

import msgspec
import stripe

from opencode_cloud.contracts.ids import PaymentId, WorkspaceId
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
    TopUp,
    payments_off,
    stripe_away,
)
from opencode_cloud.payments.models.refunds import RefundOrder
from opencode_cloud.payments.stripe_objects import (
    REFUND_ORDER,
    TOP_UP,
    EventBody,
    buyer_of,
    card_of,
    id_of,
    line_item,
    moment_of,
    refund_view,
    seconds_of,
    signed_at,
    top_up_of,
)

API_VERSION = "2026-10-28.endive"
"""The version of Stripe's API, for answers. An endpoint has its own for events, whose contents are not read."""
CONNECT_SECONDS = 3
ANSWER_SECONDS = 8
"""The library waits 80 s by itself, longer than an HTTP API does."""
RETRIES = 2
"""Repetitions of a request that got no answer. The library sends the same idempotency key again."""
TOLERANCE_SECONDS = 300
"""Age of a signature; the library checks only the past."""
UNSET = "{}"
"""The secret of a new deployment."""
DEFINITE_ANSWERS = frozenset({400, 402, 404})
"""Statuses of a definite answer: the same request would get it again. A new key of the operator ends 401 and 403."""
SECRET_SECONDS = 60
"""Shortest time between two reads of the secret, so that unsigned requests do not cause one each."""

stripe.enable_telemetry = False
_verify: Callable[[str, str, str, int], bool] = cast("Any", stripe.WebhookSignature).verify_header

Answer = TypeVar("Answer")


class StripeSecret(msgspec.Struct):
    """The operator's secret, stored as JSON."""

    api_key: str
    webhook_secrets: tuple[str, ...]
    """All that are valid: two during a rotation."""


class StripeApi:
    """Requests to Stripe.

    Every write that makes or pays something has an idempotency key that is derived from our own id.
    """

    def __init__(self, url: str, secret: Callable[[], str], forget_secret: Callable[[], None]) -> None:
        """Speak to the API at ``url``.

        Args:
            url: The origin of the API.
            secret: Returns the secret as stored, JSON; empty while the operator has not set it.
            forget_secret: Drops the cached secret: the operator may have changed it.
        """
        self._url = url
        self._secret = secret
        self._forget_secret = forget_secret
        self._forgotten_at = -math.inf
        self._built: tuple[str, stripe.StripeClient] | None = None

    @property
    def is_ready(self) -> bool:
        """Whether the operator has set the secret."""
        return self._secret() not in ("", UNSET)

    def check(self) -> None:
        """Raise ``payments_off`` (404) unless the operator has set the secret."""
        if not self.is_ready:
            raise payments_off()

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
        if not self._signed(text, header) and not (self._forget() and self._signed(text, header)):
            raise SignatureRefused
        try:
            return msgspec.json.decode(text, type=EventBody).head()
        except msgspec.DecodeError as error:
            raise SignatureRefused from error

    def _signed(self, text: str, header: str) -> bool:
        for number, secret in enumerate(self._read().webhook_secrets):
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
        return "_live_" in self._read().api_key

    # ------------------------------------------------------------------------------------- writes

    def create_customer(self, workspace_id: WorkspaceId, name: str) -> str:
        """Create the customer of a workspace and return its id; the same one for the same workspace."""
        params: Any = {"name": name, "metadata": {"workspace": workspace_id}}
        return self._write(self._client.v1.customers.create, params, key=f"customer:{workspace_id}").id

    def open_checkout(self, top_up: TopUp, customer_id: str, success_url: str, cancel_url: str) -> Checkout:
        """Open the checkout of a top-up. The card is saved, so that a later payment needs no typing.

        Raises:
            StripeRefused: It cannot be opened.
            stripe_unavailable: (503) It may have been opened; the same call returns it.
        """
        amounts = [("Credit", top_up.credit), ("Processing fee", top_up.fee)]
        metadata = {TOP_UP: top_up.id}
        params: Any = {
            "mode": "payment",
            "customer": customer_id,
            "client_reference_id": top_up.id,
            "success_url": success_url,
            "cancel_url": cancel_url,
            "line_items": [line_item(name, amount, top_up.currency) for name, amount in amounts if amount],
            "metadata": metadata,
            "payment_intent_data": {"metadata": metadata, "setup_future_usage": "off_session"},
            "billing_address_collection": "required",
            "customer_update": {"name": "auto", "address": "auto"},
            "tax_id_collection": {"enabled": True},
        }
        session = self._write(
            self._client.v1.checkout.sessions.create, params, key=f"top_up:{top_up.id}:checkout:{top_up.attempt}"
        )
        return Checkout(session.id, session.url or "")

    def charge(self, top_up: TopUp, customer_id: str, method_id: str) -> PaymentId:
        """Charge a saved card without its owner, and return the payment intent. Its state tells what became of it.

        A top-up has one payment intent, so it is paid at most once: a later attempt confirms the same one.

        Raises:
            StripeRefused: The bank declined. ``payment_id`` names the intent, if there is one.
            stripe_unavailable: (503) The result is unknown. The same call asks for it again.
        """
        key = f"top_up:{top_up.id}:charge:{top_up.attempt}"
        payments: Any = self._client.v1.payment_intents
        confirmed: Any = {"payment_method": method_id, "off_session": True}
        if top_up.payment_id:
            self._write(partial(payments.confirm, top_up.payment_id), confirmed, key=key)
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
        return PaymentId(self._write(payments.create, params, key=key).id)

    def cancel(self, payment_id: PaymentId) -> None:
        """Cancel a payment intent, so that it is never paid; raises StripeRefused if it is paid or on its way."""
        cancel: Any = self._client.v1.payment_intents.cancel
        self._write(partial(cancel, payment_id), {}, key=f"payment:{payment_id}:cancel")

    def expire(self, session_id: str) -> None:
        """End a checkout session, so that it is never paid; raises StripeRefused if it has ended already."""
        expire: Any = self._client.v1.checkout.sessions.expire
        self._write(partial(expire, session_id), {}, key=f"session:{session_id}:expire")

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
        return refund_view(
            self._write(self._client.v1.refunds.create, params, key=f"refund:{order.id}:{order.attempt}")
        )

    def choose_card(self, customer_id: str, method_id: str) -> None:
        """Make a saved card the one that reloads are charged to."""
        params: Any = {"invoice_settings": {"default_payment_method": method_id}}
        self._ask(lambda: self._client.v1.customers.update(customer_id, params))

    def open_portal(self, customer_id: str, return_url: str) -> str:
        """Return the address of the portal, where a customer changes cards."""
        params: Any = {"customer": customer_id, "return_url": return_url}
        return self._ask(lambda: self._client.v1.billing_portal.sessions.create(params)).url

    # ------------------------------------------------------------------------------------- reads

    def session(self, session_id: str) -> SessionView:
        """Return the present state of a checkout session."""
        found = self._ask(lambda: self._client.v1.checkout.sessions.retrieve(session_id))
        return SessionView(
            id=found.id,
            status=found.status or "",
            payment_id=PaymentId(id_of(found.payment_intent)),
            top_up_id=top_up_of(found.metadata),
            url=found.url or "",
        )

    def payment(self, payment_id: PaymentId) -> PaymentView:
        """Return the present state of a payment intent."""
        expand: Any = {"expand": ["latest_charge.balance_transaction"]}
        found = self._ask(lambda: self._client.v1.payment_intents.retrieve(payment_id, expand))
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
            buyer=buyer_of(charge),
        )

    def payment_for(self, customer_id: str, top_up: TopUp) -> PaymentId:
        """Return the payment intent of a top-up whose request got no answer; empty if Stripe has none."""
        params: Any = {"customer": customer_id, "created": {"gte": seconds_of(top_up.created_at) - 3600}, "limit": 100}
        found = self._ask(lambda: list(self._client.v1.payment_intents.list(params).auto_paging_iter()))
        return next((PaymentId(each.id) for each in found if top_up_of(each.metadata) == top_up.id), PaymentId(""))

    def card(self, customer_id: str) -> CardView | None:
        """Return the card that reloads are charged to; None if the customer has chosen none, or was deleted."""
        params: Any = {"expand": ["invoice_settings.default_payment_method"]}
        found: Any = self._ask(lambda: self._client.v1.customers.retrieve(customer_id, params))
        chosen = None if getattr(found, "deleted", False) else found.invoice_settings.default_payment_method
        return None if chosen is None else card_of(chosen)

    def newest_card(self, customer_id: str) -> CardView | None:
        """Return the method that the customer has saved last; None without one."""
        params: Any = {"limit": 1}
        found = self._ask(lambda: self._client.v1.customers.payment_methods.list(customer_id, params))
        return card_of(found.data[0]) if found.data else None

    def refund_of(self, refund_id: str) -> RefundView:
        """Return the present state of a refund."""
        return refund_view(self._ask(lambda: self._client.v1.refunds.retrieve(refund_id)))

    def refunds_of_charge(self, charge_id: str) -> list[RefundView]:
        """Return all refunds of a charge, the oldest first."""
        params: Any = {"charge": charge_id, "limit": 100}
        found = self._ask(lambda: list(self._client.v1.refunds.list(params).auto_paging_iter()))
        return [refund_view(each) for each in reversed(found)]

    def refund_for(self, order: RefundOrder) -> RefundView | None:
        """Return the refund of an order whose request got no answer; None if Stripe has none."""
        params: Any = {"payment_intent": order.payment_id, "limit": 100}
        found = self._ask(lambda: list(self._client.v1.refunds.list(params).auto_paging_iter()))
        return next((each for each in map(refund_view, found) if each.order_id == order.id), None)

    def dispute(self, dispute_id: str) -> DisputeView:
        """Return the present state of a dispute."""
        found = self._ask(lambda: self._client.v1.disputes.retrieve(dispute_id))
        return DisputeView(
            id=found.id,
            status=found.status,
            withdrawn=max((-each.amount for each in found.balance_transactions), default=0),
            payment_id=PaymentId(id_of(found.payment_intent)),
            at=moment_of(found.created),
        )

    def event(self, event_id: str) -> EventHead | None:
        """Return an event; None if Stripe does not know it, or not any more."""
        try:
            return _head(self._ask(lambda: self._client.v1.events.retrieve(event_id)))
        except StripeRefused:
            return None

    def events(self, types: Sequence[str], since: datetime) -> list[EventHead]:
        """Return the events of some types (at most 20) since a time (naive UTC), the oldest first."""
        params: Any = {"types": list(types), "created": {"gte": seconds_of(since)}, "limit": 100}
        found = self._ask(lambda: list(self._client.v1.events.list(params).auto_paging_iter()))
        return [_head(each) for each in reversed(found)]

    # ------------------------------------------------------------------------------------- internals

    def _read(self) -> StripeSecret:
        self.check()
        return msgspec.json.decode(self._secret(), type=StripeSecret)

    def _forget(self) -> bool:
        """Drop the cached secret unless that was done within the last minute; return whether it was dropped."""
        if time.monotonic() < self._forgotten_at + SECRET_SECONDS:
            return False
        self._forgotten_at = time.monotonic()
        self._forget_secret()
        return True

    @property
    def _client(self) -> stripe.StripeClient:
        key = self._read().api_key
        if self._built is None or self._built[0] != key:
            client = stripe.StripeClient(
                key,
                stripe_version=API_VERSION,
                base_addresses={"api": self._url},
                max_network_retries=RETRIES,
                http_client=stripe.RequestsClient(timeout=(CONNECT_SECONDS, ANSWER_SECONDS)),
            )
            self._built = (key, client)
        return self._built[1]

    def _write(self, method: Callable[[Any, Any], Answer], params: Any, *, key: str) -> Answer:
        return self._ask(lambda: method(params, {"idempotency_key": key}))

    def _ask(self, request: Callable[[], Answer]) -> Answer:
        try:
            return request()
        except stripe.StripeError as error:
            if isinstance(error, stripe.AuthenticationError):
                self._forget()
            if error.http_status in DEFINITE_ANSWERS and not isinstance(error, stripe.IdempotencyError):
                raise _refusal(error) from error
            logger.warning("Stripe gave no result", extra={"status": error.http_status, "code": error.code})
            raise stripe_away() from error


def _head(event: stripe.Event) -> EventHead:
    about: Any = event.data.object
    return EventHead(
        id=event.id,
        type=event.type,
        object_id=str(about["id"]) if "id" in about else "",
        live=event.livemode,
        created_at=moment_of(event.created),
    )


def _refusal(error: stripe.StripeError) -> StripeRefused:
    details: Any = getattr(error, "error", None)
    decline, intent = getattr(details, "decline_code", None), getattr(details, "payment_intent", None)
    return StripeRefused(str(error.code or type(error).__name__), str(decline or ""), id_of(intent))

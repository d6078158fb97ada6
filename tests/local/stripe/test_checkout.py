"""Checkout and the portal, as a browser goes through them."""

from __future__ import annotations

import re
import time
from typing import Any

import httpx
import pytest
import stripe

from tests.local.stripe.conftest import error_of
from tests.stripe_stand_in import StandIn

BACK = "http://127.0.0.1:9/back"


def session_of(client: stripe.StripeClient, **more: Any) -> stripe.checkout.Session:
    lines = [
        {"price_data": {"currency": "usd", "unit_amount": amount, "product_data": {"name": name}}, "quantity": 1}
        for amount, name in ((2000, "Credit"), (123, "Processing fee"))
    ]
    usual: Any = {"mode": "payment", "success_url": f"{BACK}?session={{CHECKOUT_SESSION_ID}}", "line_items": lines}
    return client.v1.checkout.sessions.create(usual | more)


def type_card(session: stripe.checkout.Session, number: str, **more: str) -> httpx.Response:
    return httpx.post(str(session.url), data={"number": number, "email": "payer@example.com"} | more)


@pytest.fixture
def saving(stand_in: StandIn) -> stripe.checkout.Session:
    client = stand_in.client()
    customer = client.v1.customers.create({})
    data = {"setup_future_usage": "off_session", "metadata": {"topup": "top_1"}}
    return session_of(client, customer=customer.id, payment_intent_data=data, client_reference_id="top_1")


def test_a_new_session_is_open_and_unpaid(client: stripe.StripeClient) -> None:
    made = session_of(client, metadata={"topup": "1"})

    assert (made.status, made.payment_status, made.amount_total) == ("open", "unpaid", 2123)
    assert made.payment_intent is None
    listed = client.v1.checkout.sessions.line_items.list(made.id).data
    assert [each.amount_total for each in listed] == [2000, 123]


def test_a_paid_session_sends_the_payer_back_and_saves_the_card(
    stand_in: StandIn, saving: stripe.checkout.Session
) -> None:
    answer = type_card(saving, "4242 4242 4242 4242")

    assert answer.headers["location"] == f"{BACK}?session={saving.id}"
    client = stand_in.client()
    paid = client.v1.checkout.sessions.retrieve(saving.id, {"expand": ["payment_intent.payment_method"]})
    assert (paid.status, paid.payment_status, paid.client_reference_id) == ("complete", "paid", "top_1")
    assert isinstance(paid.payment_intent, stripe.PaymentIntent)
    assert paid.payment_intent.metadata.to_dict() == {"topup": "top_1"}
    card = paid.payment_intent.payment_method
    assert isinstance(card, stripe.PaymentMethod)
    assert card.customer == saving.customer


def test_a_declined_payer_stays_on_the_page_and_pays_by_another_card(
    stand_in: StandIn, saving: stripe.checkout.Session
) -> None:
    declined = type_card(saving, "4000000000000002")
    assert (declined.status_code, "Your card was declined." in declined.text) == (200, True)

    type_card(saving, "4242424242424242")

    client = stand_in.client()
    assert client.v1.checkout.sessions.retrieve(saving.id).payment_status == "paid"
    paid = [each for each in client.v1.charges.list({"customer": str(saving.customer)}).data if each.paid]
    assert len(paid) == 1
    assert len(client.v1.payment_intents.list({"customer": str(saving.customer)}).data) == 1


def test_a_typing_error_charges_nothing(stand_in: StandIn, saving: stripe.checkout.Session) -> None:
    assert "Your card number is invalid." in type_card(saving, "1234").text
    assert stand_in.client().v1.charges.list().data == []


@pytest.mark.parametrize(("answer", "status"), [("complete", "paid"), ("fail", "unpaid")])
def test_a_session_waits_for_authentication(
    stand_in: StandIn, saving: stripe.checkout.Session, answer: str, status: str
) -> None:
    step = type_card(saving, "4000002760003184").headers["location"]
    assert stand_in.client().v1.checkout.sessions.retrieve(saving.id).status == "open"

    httpx.post(f"{stand_in.server.url}{step}", data={"answer": answer})

    assert stand_in.client().v1.checkout.sessions.retrieve(saving.id).payment_status == status


@pytest.mark.parametrize(("arrives", "told"), [(True, "async_payment_succeeded"), (False, "async_payment_failed")])
def test_a_bank_debit_completes_the_session_before_it_is_paid(
    stand_in: StandIn, saving: stripe.checkout.Session, arrives: bool, told: str
) -> None:
    type_card(saving, "", method="bank")
    client = stand_in.client()
    pending = client.v1.checkout.sessions.retrieve(saving.id)
    assert (pending.status, pending.payment_status) == ("complete", "unpaid")

    stand_in.control("payment_intents/settle", payment_intent=pending.payment_intent, paid=arrives)

    after = client.v1.checkout.sessions.retrieve(saving.id)
    assert after.payment_status == ("paid" if arrives else "unpaid")
    types = [each.type for each in client.v1.events.list({"limit": 100}).data]
    assert f"checkout.session.{told}" in types


def test_an_expired_session_takes_no_payment(stand_in: StandIn, saving: stripe.checkout.Session) -> None:
    client = stand_in.client()
    client.v1.checkout.sessions.expire(saving.id)

    assert "This page has ended" in type_card(saving, "4242424242424242").text
    assert client.v1.checkout.sessions.retrieve(saving.id).status == "expired"
    assert error_of(lambda: client.v1.checkout.sessions.expire(saving.id)).http_status == 400


def test_a_session_lives_from_30_minutes_to_a_day(client: stripe.StripeClient) -> None:
    session_of(client, expires_at=int(time.time()) + 3600)
    for ahead in (60, 90_000):
        late = error_of(lambda seconds=ahead: session_of(client, expires_at=int(time.time()) + seconds))
        assert late.error.param == "expires_at"


def test_a_page_that_is_sent_twice_pays_once(stand_in: StandIn, saving: stripe.checkout.Session) -> None:
    type_card(saving, "4242424242424242")

    assert "This page has ended" in type_card(saving, "4242424242424242").text
    assert len(stand_in.client().v1.charges.list().data) == 1


def test_a_session_subscribes(stand_in: StandIn) -> None:
    client = stand_in.client()
    price = client.v1.prices.create(
        {"currency": "usd", "unit_amount": 1000, "recurring": {"interval": "month"}, "product_data": {"name": "Seat"}}
    )
    made = client.v1.checkout.sessions.create(
        {
            "mode": "subscription",
            "success_url": BACK,
            "line_items": [{"price": price.id, "quantity": 3}],
            "subscription_data": {"metadata": {"workspace": "w"}},
        }
    )

    type_card(made, "4242424242424242")

    done = client.v1.checkout.sessions.retrieve(made.id, {"expand": ["subscription"]})
    assert isinstance(done.subscription, stripe.Subscription)
    assert done.subscription.status == "active"
    assert done.subscription.metadata.to_dict() == {"workspace": "w"}
    assert done.subscription["items"].data[0].quantity == 3


def test_a_session_subscribes_by_a_card_that_asks_its_payer(stand_in: StandIn) -> None:
    client = stand_in.client()
    price = client.v1.prices.create(
        {"currency": "usd", "unit_amount": 1000, "recurring": {"interval": "month"}, "product_data": {"name": "Seat"}}
    )
    lines: Any = [{"price": price.id, "quantity": 3}]
    made = client.v1.checkout.sessions.create({"mode": "subscription", "success_url": BACK, "line_items": lines})

    bank = type_card(made, "4000002760003184").headers["location"]
    assert client.v1.checkout.sessions.retrieve(made.id).status == "open"
    (waiting,) = client.v1.subscriptions.list({"status": "all"}).data
    assert waiting.status == "incomplete"
    origin = str(made.url).partition("/pages/")[0]
    assert httpx.post(f"{origin}{bank}", data={"answer": "complete"}).headers["location"] == BACK

    done = client.v1.checkout.sessions.retrieve(made.id, {"expand": ["subscription", "invoice"]})
    assert (done.status, done.payment_status) == ("complete", "paid")
    assert isinstance(done.subscription, stripe.Subscription)
    assert isinstance(done.invoice, stripe.Invoice)
    assert (done.subscription.id, done.subscription.status) == (waiting.id, "active")
    assert done.invoice.status == "paid"


def test_the_portal_replaces_a_card(stand_in: StandIn) -> None:
    client = stand_in.client()
    customer = client.v1.customers.create({"payment_method": "pm_card_visa"})
    portal = client.v1.billing_portal.sessions.create({"customer": customer.id, "return_url": BACK})
    old = re.findall(r"value=(pm_\w+)", httpx.get(portal.url).text)

    httpx.post(portal.url, data={"number": "5555555555554444"})
    httpx.post(portal.url, data={"detach": old[0]})

    cards = client.v1.customers.payment_methods.list(customer.id).data
    assert [each.card.last4 for each in cards if each.card] == ["4444"]
    settings = client.v1.customers.retrieve(customer.id).invoice_settings
    assert settings is not None
    assert settings.default_payment_method == cards[0].id

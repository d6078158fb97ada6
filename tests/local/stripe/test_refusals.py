"""The stand-in refuses the requests that Stripe refuses, so that none works only here."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.local.stripe.conftest import error_of
from tests.stripe_stand_in import StandIn

MONTH = {"interval": "month"}


def price(client: stripe.StripeClient, **more: Any) -> stripe.Price:
    usual: Any = {"currency": "usd", "unit_amount": 2000, "recurring": MONTH, "product_data": {"name": "Seat"}}
    return client.v1.prices.create(usual | more)


def line(amount: int = 2000, currency: str = "usd", quantity: int = 1) -> dict[str, Any]:
    data = {"currency": currency, "unit_amount": amount, "product_data": {"name": "Credit"}}
    return {"price_data": data, "quantity": quantity}


def paid(client: stripe.StripeClient, **more: Any) -> stripe.PaymentIntent:
    usual: Any = {"amount": 2000, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True}
    return client.v1.payment_intents.create(usual | more)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"amount": -100}, "amount_too_small"),
        ({"amount": 49}, "amount_too_small"),
        ({"amount": 100_000_000}, "amount_too_large"),
        ({"currency": "xyz"}, None),
    ],
)
def test_amounts_and_currencies_of_payments(client: stripe.StripeClient, given: Any, code: str | None) -> None:
    assert error_of(lambda: paid(client, **given)).code == code
    if "amount" in given:
        open_one = client.v1.payment_intents.create({"amount": 2000, "currency": "usd"})
        assert error_of(lambda: client.v1.payment_intents.update(open_one.id, given)).code == code


@pytest.mark.parametrize(
    "given",
    [
        {"unit_amount": -1},
        {"currency": "xyz"},
        {"recurring": MONTH | {"interval_count": 0}},
        {"recurring": {"interval": "year", "interval_count": 4}},
    ],
)
def test_prices_that_cannot_be(client: stripe.StripeClient, given: Any) -> None:
    assert error_of(lambda: price(client, **given)).http_status == 400


def test_a_lookup_key_belongs_to_one_price_also_to_an_archived_one_until_it_is_transferred(
    client: stripe.StripeClient,
) -> None:
    first = price(client, lookup_key="seat")
    client.v1.prices.update(first.id, {"active": False})
    assert "already uses that lookup key" in str(error_of(lambda: price(client, lookup_key="seat")))

    second = price(client, lookup_key="seat", transfer_lookup_key=True)

    found = client.v1.prices.list({"lookup_keys": ["seat"]}).data
    assert [each.id for each in found] == [second.id]


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"line_items": [line(49)]}, "at least 50"),
        ({"line_items": [line(-2000)]}, "non-negative"),
        ({"line_items": [line(quantity=0)]}, "greater than or equal to 1"),
        ({"line_items": [line(), line(currency="eur")]}, "same currency"),
        ({"mode": "subscription"}, "recurring price"),
        ({"success_url": "billing"}, "Not a valid URL"),
        ({"tax_id_collection": {"enabled": True}}, "business name"),
    ],
)
def test_sessions_that_cannot_be(client: stripe.StripeClient, customer: stripe.Customer, given: Any, part: str) -> None:
    usual: Any = {"mode": "payment", "customer": customer.id, "success_url": "http://127.0.0.1:9/"}
    usual["line_items"] = [line()]
    assert part in str(error_of(lambda: client.v1.checkout.sessions.create(usual | given)))


def test_a_recurring_price_is_not_paid_once(client: stripe.StripeClient) -> None:
    lines = [{"price": price(client).id, "quantity": 1}]
    params: Any = {"mode": "payment", "success_url": "http://127.0.0.1:9/", "line_items": lines}
    assert "`payment` mode" in str(error_of(lambda: client.v1.checkout.sessions.create(params)))


class TestSubscriptions:
    @pytest.fixture
    def usual(self, client: stripe.StripeClient, customer: stripe.Customer) -> Any:
        card = client.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
        items = [{"price": price(client).id, "quantity": 2}]
        return {"customer": customer.id, "items": items, "default_payment_method": card.id}

    def test_the_card_is_the_customers(self, client: stripe.StripeClient, usual: Any) -> None:
        other = client.v1.customers.create({})
        foreign = client.v1.payment_methods.attach("pm_card_visa", {"customer": other.id}).id
        made = client.v1.subscriptions.create(usual)
        for method in (foreign, "pm_card_visa"):
            wrong: Any = {"default_payment_method": method}
            for call in (
                lambda wrong=wrong: client.v1.subscriptions.create(usual | wrong),
                lambda wrong=wrong: client.v1.subscriptions.update(made.id, wrong),
            ):
                assert error_of(call).code == "resource_missing"

    def test_quantities_are_not_negative_and_prices_differ(self, client: stripe.StripeClient, usual: Any) -> None:
        first = usual["items"][0]
        for items in ([first | {"quantity": -1}], [first, first]):
            assert error_of(lambda items=items: client.v1.subscriptions.create(usual | {"items": items}))
        made = client.v1.subscriptions.create(usual)
        change: Any = {"items": [{"id": made["items"].data[0].id, "quantity": -1}]}
        assert error_of(lambda: client.v1.subscriptions.update(made.id, change)).code == "parameter_invalid_integer"

    def test_a_customer_has_one_currency(self, client: stripe.StripeClient, usual: Any) -> None:
        made = client.v1.subscriptions.create(usual)
        euro: Any = {"items": [{"price": price(client, currency="eur").id}]}
        for call in (
            lambda: client.v1.subscriptions.create(usual | euro),
            lambda: client.v1.subscriptions.update(made.id, euro),
        ):
            assert "combine currencies" in str(error_of(call))


def test_a_failed_charge_is_not_refunded(client: stripe.StripeClient) -> None:
    failed = error_of(lambda: paid(client, payment_method="pm_card_chargeDeclined"))
    charge: Any = {"charge": failed.error.payment_intent["latest_charge"]}
    assert "nothing to refund" in str(error_of(lambda: client.v1.refunds.create(charge)))


def test_a_refund_names_its_charge_or_its_payment(client: stripe.StripeClient) -> None:
    made = paid(client)
    both: Any = {"charge": made.latest_charge, "payment_intent": made.id}
    assert "only specify one" in str(error_of(lambda: client.v1.refunds.create(both)))


def test_a_detached_card_is_never_used_again(client: stripe.StripeClient, customer: stripe.Customer) -> None:
    card = client.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id}).id
    client.v1.payment_methods.detach(card)
    for call in (
        lambda: paid(client, customer=customer.id, payment_method=card),
        lambda: client.v1.payment_methods.attach(card, {"customer": customer.id}),
    ):
        assert "may not be used again" in str(error_of(call))


def test_a_dispute_that_has_ended_takes_no_evidence(stand_in: StandIn) -> None:
    client = stand_in.client()
    dispute = stand_in.control("disputes/open", charge=paid(client).latest_charge)
    stand_in.control("disputes/end", dispute=dispute, won=False)
    evidence: Any = {"evidence": {"uncategorized_text": "winning_evidence"}}
    assert "already closed" in str(error_of(lambda: client.v1.disputes.update(dispute, evidence)))
    assert client.v1.disputes.retrieve(dispute).status == "lost"

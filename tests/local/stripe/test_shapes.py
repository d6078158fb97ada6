"""Every object that the stand-in answers or posts is one that the library's classes describe."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from local.stripe import objects
from tests.local.stripe.conftest import error_of
from tests.local.stripe.shapes import object_problems
from tests.stripe_stand_in import StandIn

EPOCH = 1_800_000_000
DAY = 86_400


def everything(account: StandIn) -> None:
    """Make objects of every kind, in many states."""
    api = account.client().v1
    clock = api.test_helpers.test_clocks.create({"frozen_time": EPOCH})
    customer = api.customers.create(
        {"test_clock": clock.id, "email": "a@example.com", "payment_method": "pm_card_visa", "address": {"city": "Ulm"}}
    )
    card = api.customers.payment_methods.list(customer.id).data[0].id
    api.customers.update(customer.id, {"invoice_settings": {"default_payment_method": card}})
    for token in ("pm_card_visa", "pm_card_createDispute", "pm_card_createDisputeInquiry", "pm_usBankAccount_success"):
        paid = api.payment_intents.create(
            {"amount": 2123, "currency": "usd", "payment_method": token, "confirm": True, "customer": customer.id}
        )
    account.control("payment_intents/settle", payment_intent=paid.id)
    for token in ("pm_card_pendingRefund", "pm_card_refundFail"):
        paid = api.payment_intents.create({"amount": 900, "currency": "usd", "payment_method": token, "confirm": True})
        api.refunds.create({"payment_intent": paid.id, "amount": 400})
    asking: Any = {
        "amount": 900,
        "currency": "usd",
        "payment_method": "pm_card_authenticationRequired",
        "confirm": True,
    }
    api.payment_intents.create(asking)
    error_of(lambda: api.payment_intents.create(asking | {"off_session": True}))
    api.setup_intents.create({"customer": customer.id, "payment_method": "pm_card_mastercard", "confirm": True})
    price = api.prices.create(
        {"currency": "usd", "unit_amount": 1000, "recurring": {"interval": "month"}, "product_data": {"name": "Seat"}}
    )
    plan = api.subscriptions.create({"customer": customer.id, "items": [{"price": price.id, "quantity": 4}]})
    item = plan["items"].data[0].id
    api.subscriptions.update(plan.id, {"items": [{"id": item, "quantity": 2}], "proration_behavior": "always_invoice"})
    api.test_helpers.test_clocks.advance(clock.id, {"frozen_time": EPOCH + 40 * DAY})
    first = api.invoices.list({"subscription": plan.id, "status": "paid"}).data[-1]
    api.credit_notes.create({"invoice": first.id, "amount": 700, "refund_amount": 400, "credit_amount": 300})
    draft = api.invoices.create({"customer": customer.id})
    api.invoice_items.create({"customer": customer.id, "invoice": draft.id, "amount": 500, "currency": "usd"})
    api.invoices.finalize_invoice(draft.id)
    api.credit_notes.void_credit_note(api.credit_notes.create({"invoice": draft.id, "amount": 100}).id)
    api.invoices.void_invoice(draft.id)
    session = api.checkout.sessions.create(
        {
            "mode": "payment",
            "success_url": "http://127.0.0.1/",
            "line_items": [
                {
                    "price_data": {"currency": "usd", "unit_amount": 2000, "product_data": {"name": "Credit"}},
                    "quantity": 1,
                }
            ],
        }
    )
    account.control("checkout/complete", session=session.id)
    api.billing_portal.sessions.create({"customer": customer.id})
    api.webhook_endpoints.create({"url": "http://127.0.0.1:9/", "enabled_events": ["coupon.created"]})


LISTS = (
    "balance_transactions charges checkout/sessions credit_notes customers disputes events invoice_payments "
    "invoiceitems invoices payment_intents payment_methods prices products refunds subscriptions?status=all "
    "test_helpers/test_clocks webhook_endpoints"
)


def answered(account: StandIn) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name in LISTS.split():
        separator = "&" if "?" in name else "?"
        found += account.raw("GET", f"/v1/{name}{separator}limit=100").json()["data"]
    return found


def test_every_object_has_the_fields_and_types_of_its_class(stand_in: StandIn) -> None:
    everything(stand_in)

    wrong = [problem for each in answered(stand_in) for problem in object_problems(each)]

    assert sorted(set(wrong)) == []


def test_objects_in_events_have_the_shape_of_their_class(stand_in: StandIn) -> None:
    everything(stand_in)
    events = [each for each in answered(stand_in) if each["object"] == "event"]
    told = [each for each in events if each["type"] != "invoice.upcoming"]

    wrong = [f"{each['type']}: {one}" for each in told for one in object_problems(each["data"]["object"])]

    assert sorted(set(wrong)) == []
    assert len({each["type"] for each in events}) > 25


def test_the_library_knows_every_type_of_event(stand_in: StandIn) -> None:
    everything(stand_in)
    known = objects.fields("event")["type"].__args__

    assert {each["type"] for each in answered(stand_in) if each["object"] == "event"} <= set(known)


def test_an_object_with_a_field_that_the_class_lacks_is_a_fault_of_the_stand_in() -> None:
    with pytest.raises(objects.ShapeError, match="no colour"):
        objects.make(
            "item", colour="red", currency="usd", amount_discount=0, amount_subtotal=1, amount_tax=0, amount_total=1
        )
    with pytest.raises(objects.ShapeError, match="needs created"):
        objects.make("product", active=True)


def test_the_checker_finds_unknown_missing_and_mistyped_fields() -> None:
    made = objects.make(
        "test_helpers.test_clock", created=1, deletes_after=2, frozen_time=3, status="ready", status_details={}
    )

    assert object_problems(made) == []
    assert object_problems(made | {"tempo": 1}) == ["<test_helpers.test_clock>: unknown field tempo"]
    assert len(object_problems(made | {"created": "today"})) == 1
    assert len(object_problems({name: value for name, value in made.items() if name != "created"})) == 1


def test_optional_fields_are_null_and_fields_on_request_are_absent(client: stripe.StripeClient) -> None:
    made = client.v1.customers.create({})

    assert made.email is None
    assert "subscriptions" not in made

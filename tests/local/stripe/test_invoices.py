"""Invoices, and subscriptions under a test clock."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import stripe

from local.stripe.resources.periods import end_of
from tests.local.stripe.conftest import error_of
from tests.stripe_stand_in import StandIn

DAY = 86_400


def seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def payer(client: stripe.StripeClient, token: str, clock: str | None = None) -> str:
    given: Any = {"test_clock": clock} if clock else {}
    given["payment_method"] = token
    made = client.v1.customers.create(given)
    card = client.v1.customers.payment_methods.list(made.id).data[0].id
    client.v1.customers.update(made.id, {"invoice_settings": {"default_payment_method": card}})
    return made.id


def draft(client: stripe.StripeClient, customer: str, *amounts: int) -> stripe.Invoice:
    made = client.v1.invoices.create({"customer": customer, "auto_advance": False})
    for amount in amounts:
        client.v1.invoice_items.create(
            {"customer": customer, "invoice": made.id, "amount": amount, "currency": "usd", "description": "Line"}
        )
    return client.v1.invoices.retrieve(made.id)


def test_a_final_invoice_has_a_number_and_a_payment(client: stripe.StripeClient) -> None:
    customer = payer(client, "pm_card_visa")
    made = draft(client, customer, 2000, 123)
    assert (made.status, made.number, made.total) == ("draft", None, 2123)

    client.v1.invoices.finalize_invoice(made.id)
    paid = client.v1.invoices.pay(made.id, {"expand": ["payments"]})

    assert (paid.status, paid.amount_paid, paid.amount_remaining) == ("paid", 2123, 0)
    assert paid.number is not None
    assert paid.payments is not None
    intent = paid.payments.data[0].payment.payment_intent
    assert isinstance(intent, str)
    found = client.v1.invoice_payments.list({"payment": {"type": "payment_intent", "payment_intent": intent}})
    assert [each.invoice for each in found.data] == [made.id]


def test_numbers_are_given_when_invoices_become_final(client: stripe.StripeClient) -> None:
    customer = payer(client, "pm_card_visa")
    first, dropped, last = (draft(client, customer, 500) for _ in range(3))
    client.v1.invoices.delete(dropped.id)

    numbers = [str(client.v1.invoices.finalize_invoice(each.id).number) for each in (last, first)]

    assert [number.rpartition("-")[2] for number in numbers] == ["0001", "0002"]


def test_a_final_invoice_takes_no_more_items(client: stripe.StripeClient) -> None:
    customer = payer(client, "pm_card_visa")
    made = draft(client, customer, 500)
    client.v1.invoices.finalize_invoice(made.id)
    item: Any = {"customer": customer, "invoice": made.id, "amount": 1, "currency": "usd"}

    assert error_of(lambda: client.v1.invoice_items.create(item)).http_status == 400


def test_a_void_invoice_cannot_be_paid(client: stripe.StripeClient) -> None:
    customer = payer(client, "pm_card_visa")
    made = draft(client, customer, 500)
    client.v1.invoices.finalize_invoice(made.id)

    assert client.v1.invoices.void_invoice(made.id).status == "void"
    assert error_of(lambda: client.v1.invoices.pay(made.id)).http_status == 400


def test_an_invoice_that_needs_its_payer_is_paid_on_its_own_page(stand_in: StandIn) -> None:
    client = stand_in.client()
    customer = payer(client, "pm_card_authenticationRequired")
    made = draft(client, customer, 2123)

    error = error_of(lambda: client.v1.invoices.pay(made.id, {"off_session": True}))

    assert error.code == "invoice_payment_intent_requires_action"
    page = str(client.v1.invoices.retrieve(made.id).hosted_invoice_url)
    step = httpx.post(page, data={"number": "4000 0027 6000 3184"})
    httpx.post(f"{stand_in.server.url}{step.headers['location']}", data={"answer": "complete"})
    assert client.v1.invoices.retrieve(made.id).status == "paid"
    told = [each.type for each in client.v1.events.list({"limit": 100}).data]
    assert "invoice.payment_action_required" in told


def test_without_a_default_card_nothing_is_charged(client: stripe.StripeClient, customer: stripe.Customer) -> None:
    client.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    made = draft(client, customer.id, 2123)

    error_of(lambda: client.v1.invoices.pay(made.id))

    assert client.v1.invoices.retrieve(made.id).status == "open"
    assert client.v1.charges.list({"customer": customer.id}).data == []


@pytest.fixture
def clock(stand_in: StandIn) -> stripe.test_helpers.TestClock:
    return stand_in.client().v1.test_helpers.test_clocks.create({"frozen_time": seconds("2026-01-31T10:00:00")})


def seats(client: stripe.StripeClient, customer: str, quantity: int, **more: Any) -> stripe.Subscription:
    price = client.v1.prices.create(
        {"currency": "usd", "unit_amount": 1000, "recurring": {"interval": "month"}, "product_data": {"name": "Seat"}}
    )
    given: Any = {"customer": customer, "items": [{"price": price.id, "quantity": quantity}]} | more
    return client.v1.subscriptions.create(given)


def test_a_subscription_that_begins_on_the_31st_renews_on_the_last_day(
    stand_in: StandIn, clock: stripe.test_helpers.TestClock
) -> None:
    client = stand_in.client()
    made = seats(client, payer(client, "pm_card_visa", clock.id), 4)
    ends = [made["items"].data[0].current_period_end]
    for day in ("2026-03-01", "2026-04-01", "2026-05-01"):
        client.v1.test_helpers.test_clocks.advance(clock.id, {"frozen_time": seconds(day)})
        ends.append(client.v1.subscriptions.retrieve(made.id)["items"].data[0].current_period_end)

    assert ends == [seconds(f"2026-{day}T10:00:00") for day in ("02-28", "03-31", "04-30", "05-31")]
    assert len(client.v1.invoices.list({"subscription": made.id, "status": "paid"}).data) == 4


def test_a_renewal_is_announced_before_it_is_charged(stand_in: StandIn, clock: stripe.test_helpers.TestClock) -> None:
    client = stand_in.client()
    seats(client, payer(client, "pm_card_visa", clock.id), 4)

    client.v1.test_helpers.test_clocks.advance(clock.id, {"frozen_time": seconds("2026-02-22")})

    told = client.v1.events.list({"type": "invoice.upcoming"}).data
    assert len(told) == 1
    assert told[0].data.object["total"] == 4000


def test_fewer_seats_are_credited_in_proportion(stand_in: StandIn, clock: stripe.test_helpers.TestClock) -> None:
    client = stand_in.client()
    made = seats(client, payer(client, "pm_card_visa", clock.id), 4)
    client.v1.test_helpers.test_clocks.advance(clock.id, {"frozen_time": seconds("2026-02-14T10:00:00")})

    client.v1.subscriptions.update(made.id, {"items": [{"id": made["items"].data[0].id, "quantity": 2}]})

    items = client.v1.invoice_items.list({"customer": str(made.customer), "pending": True}).data
    assert sorted(each.amount for each in items) == [-2000, 1000]


def test_a_renewal_that_fails_is_tried_again_and_then_ends(
    stand_in: StandIn, clock: stripe.test_helpers.TestClock
) -> None:
    client = stand_in.client()
    customer = payer(client, "pm_card_visa", clock.id)
    made = seats(client, customer, 1)
    bad = client.v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": customer})
    client.v1.customers.update(customer, {"invoice_settings": {"default_payment_method": bad.id}})

    client.v1.test_helpers.test_clocks.advance(clock.id, {"frozen_time": seconds("2026-03-01")})
    assert client.v1.subscriptions.retrieve(made.id).status == "past_due"
    client.v1.test_helpers.test_clocks.advance(clock.id, {"frozen_time": seconds("2026-03-20")})

    assert client.v1.subscriptions.retrieve(made.id).status == "canceled"
    assert len(client.v1.events.list({"type": "invoice.payment_failed"}).data) == 4


def test_a_subscription_can_end_with_its_period(stand_in: StandIn, clock: stripe.test_helpers.TestClock) -> None:
    client = stand_in.client()
    made = seats(client, payer(client, "pm_card_visa", clock.id), 1)
    client.v1.subscriptions.update(made.id, {"cancel_at_period_end": True})

    client.v1.test_helpers.test_clocks.advance(clock.id, {"frozen_time": seconds("2026-03-01")})

    assert client.v1.subscriptions.retrieve(made.id).status == "canceled"
    assert len(client.v1.invoices.list({"subscription": made.id}).data) == 1


def test_an_incomplete_subscription_becomes_active_when_its_own_invoice_is_paid(stand_in: StandIn) -> None:
    client = stand_in.client()
    customer = payer(client, "pm_card_chargeCustomerFail")
    made = seats(client, customer, 1, expand=["latest_invoice.confirmation_secret"])
    assert made.status == "incomplete"
    assert isinstance(made.latest_invoice, stripe.Invoice)
    assert made.latest_invoice.confirmation_secret is not None

    client.v1.invoices.pay(made.latest_invoice.id, {"payment_method": "pm_card_visa"})

    assert client.v1.subscriptions.retrieve(made.id).status == "active"
    assert len(client.v1.charges.list({"customer": customer}).data) == 2


def test_a_clock_moves_forward_and_not_too_far(stand_in: StandIn, clock: stripe.test_helpers.TestClock) -> None:
    client = stand_in.client()
    seats(client, payer(client, "pm_card_visa", clock.id), 1)
    for at in (clock.frozen_time, clock.frozen_time + 70 * DAY):
        moved = error_of(lambda to=at: client.v1.test_helpers.test_clocks.advance(clock.id, {"frozen_time": to}))
        assert moved.error.param == "frozen_time"


def test_periods_never_skip_or_repeat_a_day() -> None:
    anchor = seconds("2024-01-31T00:00:00")
    at, days = anchor, []
    for _ in range(25):
        at = end_of(anchor, "month", 1, at)
        days.append(datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d"))

    assert days[:4] == ["2024-02-29", "2024-03-31", "2024-04-30", "2024-05-31"]
    assert len(set(days)) == 25
    assert days[-1] == "2026-02-28"


def test_a_preview_shows_the_next_renewal_with_what_changes_of_seats_add(
    stand_in: StandIn, clock: stripe.test_helpers.TestClock
) -> None:
    client = stand_in.client()
    made = seats(client, payer(client, "pm_card_visa", clock.id), 4)
    client.v1.test_helpers.test_clocks.advance(clock.id, {"frozen_time": seconds("2026-02-14T10:00:00")})
    client.v1.subscriptions.update(made.id, {"items": [{"id": made["items"].data[0].id, "quantity": 6}]})

    found = client.v1.invoices.create_preview({"subscription": made.id})

    assert (found.total, found.amount_due, found.status) == (7000, 7000, "draft")
    assert found.next_payment_attempt == made["items"].data[0].current_period_end
    assert len(client.v1.invoices.list({"subscription": made.id}).data) == 1
    client.v1.subscriptions.update(made.id, {"cancel_at_period_end": True})
    error = error_of(lambda: client.v1.invoices.create_preview({"subscription": made.id}))
    assert error.code == "invoice_upcoming_none"


def test_a_negative_invoice_becomes_credit_of_the_customer_which_later_ones_use(
    stand_in: StandIn, clock: stripe.test_helpers.TestClock
) -> None:
    client = stand_in.client()
    made = seats(client, payer(client, "pm_card_visa", clock.id), 10)
    client.v1.subscriptions.update(made.id, {"items": [{"id": made["items"].data[0].id, "quantity": 1}]})
    for day in ("2026-03-01", "2026-04-01"):
        client.v1.test_helpers.test_clocks.advance(clock.id, {"frozen_time": seconds(day)})

    last, first = client.v1.invoices.list({"subscription": made.id, "limit": 2}).data

    assert (first.total, first.amount_due, first.ending_balance, first.status) == (-8000, 0, -8000, "paid")
    assert (last.total, last.starting_balance, last.amount_due, last.ending_balance) == (1000, -8000, 0, -7000)
    assert client.v1.customers.retrieve(str(made.customer)).balance == -7000


def test_a_credit_note_lowers_an_open_invoice_and_gives_back_of_a_paid_one(client: stripe.StripeClient) -> None:
    customer = payer(client, "pm_card_visa")
    made = draft(client, customer, 2000)
    client.v1.invoices.finalize_invoice(made.id)
    client.v1.credit_notes.create({"invoice": made.id, "amount": 500})
    paid = client.v1.invoices.pay(made.id)
    assert (paid.amount_paid, paid.pre_payment_credit_notes_amount) == (1500, 500)

    note = client.v1.credit_notes.create(
        {"invoice": made.id, "amount": 1000, "refund_amount": 700, "credit_amount": 300}
    )

    assert (note.post_payment_amount, note.refunds[0].amount_refunded) == (1000, 700)
    assert client.v1.customers.retrieve(customer).balance == -300
    assert [each.amount for each in client.v1.refunds.list({"limit": 3}).data] == [700]
    assert error_of(lambda: client.v1.credit_notes.void_credit_note(note.id)).http_status == 400


def test_a_subscription_that_must_be_paid_at_once_leaves_nothing_behind(client: stripe.StripeClient) -> None:
    customer = payer(client, "pm_card_chargeCustomerFail")

    error = error_of(lambda: seats(client, customer, 1, payment_behavior="error_if_incomplete"))

    assert error.code == "card_declined"
    assert client.v1.subscriptions.list({"customer": customer, "status": "all"}).data == []
    assert [each.status for each in client.v1.invoices.list({"customer": customer}).data] == ["void"]

"""Payments, authentication, refunds and disputes."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import stripe

from tests.local.stripe.conftest import error_of
from tests.stripe_stand_in import StandIn


def payment(token: str, **more: Any) -> Any:
    usual = {"amount": 2123, "currency": "usd", "payment_method": token, "allowed_payment_method_types": ["card"]}
    return usual | {"confirm": True} | more


def events(client: stripe.StripeClient) -> list[str]:
    return [each.type for each in client.v1.events.list({"limit": 100}).data]


def test_a_good_card_pays_at_once(client: stripe.StripeClient) -> None:
    made = client.v1.payment_intents.create(payment("pm_card_visa", metadata={"topup": "1"}))

    assert (made.status, made.amount_received) == ("succeeded", 2123)
    assert isinstance(made.latest_charge, str)
    charge = client.v1.charges.retrieve(made.latest_charge)
    assert (charge.paid, charge.amount, charge.metadata.to_dict()) == (True, 2123, {"topup": "1"})


@pytest.mark.parametrize(
    ("token", "code", "decline_code"),
    [
        ("pm_card_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", None),
        ("pm_card_chargeDeclinedProcessingError", "processing_error", None),
    ],
)
def test_a_decline_names_its_reason_and_the_intent(
    client: stripe.StripeClient, token: str, code: str, decline_code: str | None
) -> None:
    error = error_of(lambda: client.v1.payment_intents.create(payment(token)))

    assert type(error) is stripe.CardError
    assert (error.code, getattr(error.error, "decline_code", None)) == (code, decline_code)
    told: Any = error.error
    intent = client.v1.payment_intents.retrieve(told.payment_intent.id)
    assert (intent.status, intent.payment_method) == ("requires_payment_method", None)
    assert intent.last_payment_error is not None
    assert intent.last_payment_error.code == code


def test_a_declined_intent_is_paid_by_another_card(client: stripe.StripeClient) -> None:
    error = error_of(lambda: client.v1.payment_intents.create(payment("pm_card_chargeDeclined")))
    intent = error.error.payment_intent.id

    assert client.v1.payment_intents.confirm(intent, {"payment_method": "pm_card_visa"}).status == "succeeded"


def test_an_absent_payer_cannot_authenticate(client: stripe.StripeClient, customer: stripe.Customer) -> None:
    made = payment("pm_card_authenticationRequired", customer=customer.id, off_session=True)

    error = error_of(lambda: client.v1.payment_intents.create(made))

    assert (error.code, error.error.decline_code) == ("authentication_required", "authentication_required")
    assert error.error.payment_intent.status == "requires_payment_method"


def test_a_present_payer_authenticates_on_a_page(stand_in: StandIn) -> None:
    client = stand_in.client()
    made = client.v1.payment_intents.create(
        payment("pm_card_authenticationRequired", return_url="http://127.0.0.1:9/back")
    )
    assert made.status == "requires_action"
    assert made.next_action is not None
    assert made.next_action.redirect_to_url is not None
    page = str(made.next_action.redirect_to_url.url)

    assert "Authenticate 21.23 USD" in httpx.get(page).text
    answer = httpx.post(page, data={"answer": "complete"})

    assert client.v1.payment_intents.retrieve(made.id).status == "succeeded"
    assert answer.status_code == 303


def test_a_payer_who_fails_to_authenticate_has_not_paid(stand_in: StandIn) -> None:
    client = stand_in.client()
    made = client.v1.payment_intents.create(payment("pm_card_authenticationRequired"))

    httpx.post(f"{stand_in.server.url}/pages/authenticate/{made.id}", data={"answer": "fail"})

    after = client.v1.payment_intents.retrieve(made.id)
    assert (after.status, after.amount_received) == ("requires_payment_method", 0)
    assert after.last_payment_error is not None
    assert after.last_payment_error.code == "payment_intent_authentication_failure"


def test_a_card_set_up_on_session_pays_off_session(stand_in: StandIn) -> None:
    client = stand_in.client()
    customer = client.v1.customers.create({})
    setup = client.v1.setup_intents.create(
        {"customer": customer.id, "payment_method": "pm_card_authenticationRequiredOnSetup", "confirm": True}
    )
    assert setup.status == "requires_action"
    httpx.post(f"{stand_in.server.url}/pages/authenticate/{setup.id}", data={"answer": "complete"})
    card = client.v1.setup_intents.retrieve(setup.id).payment_method
    assert isinstance(card, str)

    made = client.v1.payment_intents.create(payment(card, customer=customer.id, off_session=True))

    assert made.status == "succeeded"


def test_a_card_of_another_customer_is_refused(client: stripe.StripeClient, customer: stripe.Customer) -> None:
    card = client.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})

    error = error_of(lambda: client.v1.payment_intents.create(payment(card.id)))

    assert error.http_status == 400


def test_a_detached_card_is_no_default_any_more(client: stripe.StripeClient, customer: stripe.Customer) -> None:
    card = client.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    client.v1.customers.update(customer.id, {"invoice_settings": {"default_payment_method": card.id}})

    client.v1.payment_methods.detach(card.id)

    after = client.v1.customers.retrieve(customer.id)
    assert after.invoice_settings is not None
    assert after.invoice_settings.default_payment_method is None


def test_refunds_add_up_to_the_charge_and_not_beyond(client: stripe.StripeClient) -> None:
    made = client.v1.payment_intents.create(payment("pm_card_visa"))
    for amount, refunded in ((700, 700), (700, 1400), (723, 2123)):
        client.v1.refunds.create({"payment_intent": made.id, "amount": amount})
        charge = client.v1.payment_intents.retrieve(made.id, {"expand": ["latest_charge"]}).latest_charge
        assert isinstance(charge, stripe.Charge)
        assert (charge.amount_refunded, charge.refunded) == (refunded, refunded == 2123)

    assert error_of(lambda: client.v1.refunds.create({"payment_intent": made.id})).code == "charge_already_refunded"


def test_a_refund_of_more_than_is_left_is_refused(client: stripe.StripeClient) -> None:
    made = client.v1.payment_intents.create(payment("pm_card_visa"))

    assert error_of(lambda: client.v1.refunds.create({"payment_intent": made.id, "amount": 2124})).http_status == 400


def test_a_pending_refund_arrives_later(stand_in: StandIn) -> None:
    client = stand_in.client()
    made = client.v1.payment_intents.create(payment("pm_card_pendingRefund"))
    refund = client.v1.refunds.create({"payment_intent": made.id})
    assert refund.status == "pending"

    stand_in.control("refunds/complete", refund=refund.id)

    assert client.v1.refunds.retrieve(refund.id).status == "succeeded"
    assert "refund.updated" in events(client)


def test_a_refund_that_fails_gives_the_money_back_to_us(stand_in: StandIn) -> None:
    client = stand_in.client()
    made = client.v1.payment_intents.create(payment("pm_card_refundFail"))

    refund = client.v1.refunds.create({"payment_intent": made.id})

    assert refund.status == "failed"
    entries = client.v1.balance_transactions.list({"source": refund.id}).data
    assert sum(each.amount for each in entries) == 0
    charge = client.v1.payment_intents.retrieve(made.id, {"expand": ["latest_charge"]}).latest_charge
    assert isinstance(charge, stripe.Charge)
    assert charge.amount_refunded == 0


def test_a_dispute_withdraws_and_a_won_one_reinstates(stand_in: StandIn) -> None:
    client = stand_in.client()
    made = client.v1.payment_intents.create(payment("pm_card_createDispute"))
    dispute = client.v1.disputes.list({"payment_intent": made.id}).data[0]
    assert (dispute.status, dispute.amount) == ("needs_response", 2123)
    assert [each.amount for each in dispute.balance_transactions] == [-2123]
    assert error_of(lambda: client.v1.refunds.create({"payment_intent": made.id})).code == "charge_disputed"

    client.v1.disputes.update(dispute.id, {"evidence": {"uncategorized_text": "winning_evidence"}})

    after = client.v1.disputes.retrieve(dispute.id)
    assert after.status == "won"
    assert sum(each.net for each in after.balance_transactions) == 0
    wanted = ["created", "funds_withdrawn", "updated", "closed", "funds_reinstated"]
    told = [each.removeprefix("charge.dispute.") for each in events(client) if each.startswith("charge.dispute.")]
    assert told[::-1] == wanted


def test_a_dispute_can_be_over_a_part_and_be_lost(stand_in: StandIn) -> None:
    client = stand_in.client()
    made = client.v1.payment_intents.create(payment("pm_card_visa"))
    dispute_id = stand_in.control("disputes/open", charge=made.latest_charge, amount=500)

    client.v1.disputes.close(dispute_id)

    after = client.v1.disputes.retrieve(dispute_id)
    assert (after.status, after.amount) == ("lost", 500)
    assert [each.amount for each in after.balance_transactions] == [-500]


def test_an_inquiry_withdraws_nothing_and_allows_a_refund(stand_in: StandIn) -> None:
    client = stand_in.client()
    made = client.v1.payment_intents.create(payment("pm_card_createDisputeInquiry"))
    inquiry = client.v1.disputes.list({"payment_intent": made.id}).data[0]

    assert (inquiry.status, inquiry.is_charge_refundable) == ("warning_needs_response", True)
    assert inquiry.balance_transactions == []
    assert client.v1.refunds.create({"payment_intent": made.id}).status == "succeeded"
    stand_in.control("disputes/end", dispute=inquiry.id, won=False)
    assert client.v1.disputes.retrieve(inquiry.id).status == "warning_closed"

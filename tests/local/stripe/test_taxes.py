"""Stripe Tax at the stand-in: on checkouts, subscriptions and calculations, and what is refused."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import stripe

from tests.local.stripe.conftest import error_of
from tests.local.stripe.shapes import object_problems
from tests.stripe_stand_in import StandIn

BERLIN = {"line1": "Sample Street 1", "city": "Berlin", "postal_code": "10115", "country": "DE"}
ON = {"enabled": True}
LOCATION = "customer_tax_location_invalid"
START = 1_800_000_000
DAY = 86_400


def line(amount: int, behaviour: str | None = "exclusive") -> Any:
    data: dict[str, Any] = {"currency": "usd", "unit_amount": amount, "product_data": {"name": "Credit"}}
    return {"price_data": data | ({"tax_behavior": behaviour} if behaviour else {}), "quantity": 1}


def session_of(client: stripe.StripeClient, customer: str, **more: Any) -> stripe.checkout.Session:
    usual: Any = {
        "mode": "payment",
        "customer": customer,
        "customer_update": {"address": "auto"},
        "success_url": "http://127.0.0.1:9/",
        "automatic_tax": ON,
        "line_items": [line(2000), line(123)],
        "payment_intent_data": {"setup_future_usage": "off_session"},
    }
    return client.v1.checkout.sessions.create(usual | more)


def submitted(stand_in: StandIn, **given: Any) -> Any:
    """Do what the page's button does; return the answer, also of a refusal."""
    headers = {"Authorization": f"Bearer {stand_in.key}"}
    return httpx.post(f"{stand_in.server.url}/_stand_in/checkout/complete", json=given, headers=headers).json()


def calculation_of(client: stripe.StripeClient, customer: str, *amounts: int, **more: Any) -> Any:
    lines = [{"amount": each, "reference": f"L{index}"} for index, each in enumerate(amounts)]
    usual: Any = {"currency": "usd", "customer": customer, "line_items": lines}
    return client.v1.tax.calculations.create(usual | more)


def seat(client: stripe.StripeClient, **more: Any) -> str:
    usual: Any = {"currency": "usd", "unit_amount": 2000, "recurring": {"interval": "month"}}
    usual |= {"product_data": {"name": "Seat"}, "tax_behavior": "exclusive"}
    return client.v1.prices.create(usual | more).id


@pytest.fixture
def berlin(client: stripe.StripeClient) -> str:
    customer: Any = {"address": BERLIN, "payment_method": "pm_card_visa"}
    made = client.v1.customers.create(customer)
    card = client.v1.customers.payment_methods.list(made.id).data[0].id
    client.v1.customers.update(made.id, {"invoice_settings": {"default_payment_method": card}})
    return made.id


class TestCheckout:
    def test_tax_of_the_typed_address_comes_on_top_and_the_address_is_saved(self, stand_in: StandIn) -> None:
        client = stand_in.client()
        customer = client.v1.customers.create({}).id
        session = session_of(client, customer)
        assert (session.amount_total, session.automatic_tax.status) == (2123, "requires_location_inputs")

        stand_in.control("checkout/complete", session=session.id, details=BERLIN)

        paid: Any = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent", "line_items"]})
        # 380 and 23.37 cents: each line is rounded.
        assert [each.amount_tax for each in paid.line_items.data] == [380, 23]
        assert (paid.amount_subtotal, paid.total_details.amount_tax, paid.amount_total) == (2123, 403, 2526)
        assert (paid.payment_intent.amount_received, paid.automatic_tax.status) == (2526, "complete")
        address = client.v1.customers.retrieve(customer).address
        assert address is not None
        assert address.country == "DE"

    @pytest.mark.parametrize(
        ("country", "tax"), [("NL", 2100 // 5 + 26), ("GB", 425), ("US", 0), ("CH", 0)], ids=["NL", "GB", "US", "CH"]
    )
    def test_rates_are_those_of_the_country(self, stand_in: StandIn, country: str, tax: int) -> None:
        client = stand_in.client()
        session = session_of(client, client.v1.customers.create({}).id)
        stand_in.control("checkout/complete", session=session.id, details={"country": country, "postal_code": "10001"})
        details: Any = client.v1.checkout.sessions.retrieve(session.id).total_details
        assert details.amount_tax == tax

    def test_an_address_that_is_not_enough_is_refused_and_nothing_is_paid(self, stand_in: StandIn) -> None:
        client = stand_in.client()
        session = session_of(client, client.v1.customers.create({}).id)
        for details in ({}, {"country": "US"}, {"country": "XX"}):
            assert submitted(stand_in, session=session.id, details=details)["error"]["code"] == LOCATION
        assert client.v1.payment_intents.list().data == []

    def test_another_address_after_a_declined_card_changes_the_amount_of_the_payment(self, stand_in: StandIn) -> None:
        client = stand_in.client()
        session = session_of(client, client.v1.customers.create({}).id)
        submitted(stand_in, session=session.id, details=BERLIN, payment_method="pm_card_chargeDeclined")

        stand_in.control("checkout/complete", session=session.id, details={"country": "NL"})

        assert [each.amount_received for each in client.v1.payment_intents.list().data] == [2569]

    def test_it_needs_the_customers_address_or_leave_to_save_the_typed_one(self, client: stripe.StripeClient) -> None:
        customer = client.v1.customers.create({}).id
        name: Any = {"customer_update": {"name": "auto"}}
        error = error_of(lambda: session_of(client, customer, **name))
        assert (error.code, "requires a valid address" in str(error)) == (LOCATION, True)

    def test_a_price_says_how_tax_relates_to_it_or_the_account_does(self, client: stripe.StripeClient) -> None:
        customer = client.v1.customers.create({}).id
        silent: Any = {"line_items": [line(2000, None)]}
        assert "tax_behavior" in str(error_of(lambda: session_of(client, customer, **silent)))

        client.v1.tax.settings.update({"defaults": {"tax_behavior": "exclusive"}})

        assert client.v1.tax.settings.retrieve().defaults.tax_behavior == "exclusive"
        assert session_of(client, customer, **silent).automatic_tax.enabled

    def test_prices_with_tax_in_them_are_not_known_here(self, client: stripe.StripeClient) -> None:
        customer = client.v1.customers.create({}).id
        inclusive: Any = {"line_items": [line(2000, "inclusive")]}
        assert error_of(lambda: session_of(client, customer, **inclusive)).http_status == 501


class TestCalculations:
    def test_it_has_the_shape_of_its_class_and_the_tax_of_each_line(self, stand_in: StandIn) -> None:
        client = stand_in.client()
        customer: Any = {"address": BERLIN}
        made = calculation_of(client, client.v1.customers.create(customer).id, 2000, 123)

        found = stand_in.raw("GET", f"/v1/tax/calculations/{made.id}?expand[]=line_items").json()
        assert object_problems(found) == []
        assert (found["tax_amount_exclusive"], found["amount_total"]) == (403, 2526)
        assert [each["amount_tax"] for each in found["line_items"]["data"]] == [380, 23]

    @pytest.mark.parametrize("address", [None, {"country": "US"}, {"country": "XX"}, {"city": "Berlin"}])
    def test_an_address_that_is_not_enough_is_refused(self, client: stripe.StripeClient, address: Any) -> None:
        customer = client.v1.customers.create({"address": address} if address else {})
        assert error_of(lambda: calculation_of(client, customer.id, 2000)).code == LOCATION

    def test_bad_lines_are_refused(self, client: stripe.StripeClient, berlin: str) -> None:
        same: Any = {"line_items": [{"amount": 1, "reference": "A"}, {"amount": 2, "reference": "A"}]}
        assert "unique" in str(error_of(lambda: calculation_of(client, berlin, **same)))
        assert error_of(lambda: calculation_of(client, berlin, -1)).http_status == 400
        inclusive: Any = {"line_items": [{"amount": 1, "tax_behavior": "inclusive"}]}
        assert error_of(lambda: calculation_of(client, berlin, **inclusive)).http_status == 501

    def test_an_exempt_customer_pays_none(self, client: stripe.StripeClient, berlin: str) -> None:
        client.v1.customers.update(berlin, {"tax_exempt": "reverse"})
        made = calculation_of(client, berlin, 2000)
        assert (made.amount_total, made.tax_breakdown[0].taxability_reason) == (2000, "reverse_charge")

    def test_a_payment_that_names_it_is_recorded_and_so_is_its_refund(self, stand_in: StandIn) -> None:
        client = stand_in.client()
        customer: Any = {"address": BERLIN}
        made = calculation_of(client, client.v1.customers.create(customer).id, 2000)
        usual: Any = {"amount": made.amount_total, "currency": "usd", "payment_method": "pm_card_visa"}
        usual |= {"confirm": True, "hooks": {"inputs": {"tax": {"calculation": made.id}}}}
        first = client.v1.payment_intents.create(usual)
        client.v1.refunds.create({"payment_intent": first.id})
        second = client.v1.payment_intents.create(usual)

        found = stand_in.raw("GET", f"/v1/tax/associations/find?payment_intent={first.id}").json()
        assert object_problems(found) == []
        assert [each["status"] for each in found["tax_transaction_attempts"]] == ["committed", "committed"]
        again: Any = client.v1.tax.associations.find({"payment_intent": second.id})
        reason = again.tax_transaction_attempts[0].errored.reason
        assert reason == "another_payment_associated_with_calculation"

    def test_an_unknown_calculation_is_refused(self, client: stripe.StripeClient) -> None:
        given: Any = {"amount": 2000, "currency": "usd", "hooks": {"inputs": {"tax": {"calculation": "taxcalc_1"}}}}
        assert error_of(lambda: client.v1.payment_intents.create(given)).code == "resource_missing"
        plain = client.v1.payment_intents.create({"amount": 2000, "currency": "usd"})
        missing: Any = {"payment_intent": plain.id}
        assert error_of(lambda: client.v1.tax.associations.find(missing)).code == "resource_missing"


class TestSubscriptions:
    def start(self, client: stripe.StripeClient, customer: str, **more: Any) -> Any:
        usual: Any = {"customer": customer, "items": [{"price": seat(client), "quantity": 3}], "automatic_tax": ON}
        return client.v1.subscriptions.create(usual | more)

    def test_its_invoices_have_the_tax_and_so_has_the_preview(self, client: stripe.StripeClient, berlin: str) -> None:
        made = self.start(client, berlin)

        invoice: Any = client.v1.invoices.retrieve(made.latest_invoice)
        assert (invoice.subtotal, invoice.total, invoice.amount_paid) == (6000, 7140, 7140)
        assert [(each.amount, each.taxable_amount) for each in invoice.total_taxes] == [(1140, 6000)]
        assert [tax.amount for each in invoice.lines.data for tax in each.taxes] == [1140]
        assert client.v1.invoices.create_preview({"subscription": made.id}).amount_due == 7140

    def test_its_objects_have_the_shapes_of_their_classes(self, stand_in: StandIn) -> None:
        client = stand_in.client()
        customer: Any = {"address": BERLIN, "payment_method": "pm_card_visa"}
        owner = client.v1.customers.create(customer).id
        card = client.v1.customers.payment_methods.list(owner).data[0].id
        made = self.start(client, owner, default_payment_method=card)
        session = session_of(client, owner)
        stand_in.control("checkout/complete", session=session.id, details=BERLIN)
        for path in ("invoices", "subscriptions", "checkout/sessions"):
            for each in stand_in.raw("GET", f"/v1/{path}?customer={owner}").json()["data"]:
                assert object_problems(each) == []
        assert made.automatic_tax.enabled

    def test_a_change_within_a_period_is_taxed_and_untaxed_in_proportion(self, stand_in: StandIn) -> None:
        client = stand_in.client()
        clock = client.v1.test_helpers.test_clocks.create({"frozen_time": START}).id
        customer: Any = {"address": BERLIN, "payment_method": "pm_card_visa", "test_clock": clock}
        owner = client.v1.customers.create(customer).id
        card = client.v1.customers.payment_methods.list(owner).data[0].id
        made = self.start(client, owner, default_payment_method=card)
        client.v1.test_helpers.test_clocks.advance(clock, {"frozen_time": START + 10 * DAY})
        change: Any = {"items": [{"id": made["items"].data[0].id, "quantity": 1}]}
        client.v1.subscriptions.update(made.id, change | {"proration_behavior": "always_invoice"})

        last: Any = client.v1.invoices.list({"subscription": made.id, "limit": 1}).data[0]
        assert last.subtotal < 0
        assert last.total == last.subtotal + sum(each.amount for each in last.total_taxes)
        assert client.v1.customers.retrieve(owner).balance == last.total

    def test_an_address_that_is_not_enough_is_refused_at_the_start(
        self, client: stripe.StripeClient, customer: stripe.Customer
    ) -> None:
        assert error_of(lambda: self.start(client, customer.id)).code == LOCATION

    def test_an_address_that_is_lost_later_ends_the_tax_and_not_the_renewal(self, stand_in: StandIn) -> None:
        client = stand_in.client()
        clock = client.v1.test_helpers.test_clocks.create({"frozen_time": START}).id
        customer: Any = {"address": BERLIN, "payment_method": "pm_card_visa", "test_clock": clock}
        owner = client.v1.customers.create(customer).id
        card = client.v1.customers.payment_methods.list(owner).data[0].id
        made = self.start(client, owner, default_payment_method=card)
        client.v1.customers.update(owner, {"address": ""})
        client.v1.test_helpers.test_clocks.advance(clock, {"frozen_time": START + 32 * DAY})

        last: Any = client.v1.invoices.list({"subscription": made.id, "limit": 1}).data[0]
        assert (last.total, last.automatic_tax.disabled_reason) == (6000, "finalization_requires_location_inputs")
        ended = client.v1.subscriptions.retrieve(made.id).automatic_tax
        assert (ended.enabled, ended.disabled_reason) == (False, "requires_location_inputs")

    def test_a_price_without_a_word_about_tax_is_refused(self, client: stripe.StripeClient, berlin: str) -> None:
        silent: Any = {"items": [{"price": seat(client, tax_behavior="unspecified")}]}
        assert "tax_behavior" in str(error_of(lambda: self.start(client, berlin, **silent)))

    def test_checkout_starts_it_with_the_tax_of_the_typed_address(self, stand_in: StandIn) -> None:
        client = stand_in.client()
        owner = client.v1.customers.create({}).id
        more: Any = {"mode": "subscription", "line_items": [{"price": seat(client), "quantity": 3}]}
        usual: Any = {"customer": owner, "customer_update": {"address": "auto"}, "automatic_tax": ON}
        made = client.v1.checkout.sessions.create(usual | more | {"success_url": "http://127.0.0.1:9/"})

        stand_in.control("checkout/complete", session=made.id, details=BERLIN)

        paid: Any = client.v1.checkout.sessions.retrieve(made.id, {"expand": ["invoice", "subscription"]})
        assert (paid.amount_total, paid.invoice.total, paid.invoice.amount_paid) == (7140, 7140, 7140)
        assert paid.subscription.automatic_tax.enabled

    def test_a_credit_note_over_taxed_lines_is_not_known_here(self, client: stripe.StripeClient, berlin: str) -> None:
        made = self.start(client, berlin)
        note: Any = {"invoice": made.latest_invoice, "amount": 100, "refund_amount": 100}
        assert error_of(lambda: client.v1.credit_notes.create(note)).http_status == 501

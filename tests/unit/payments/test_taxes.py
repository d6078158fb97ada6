"""Tax is what Stripe computes: it is paid on top of the credit, kept apart from it, and returned with it."""

from __future__ import annotations

import urllib.parse
from contextlib import suppress
from dataclasses import replace
from typing import Any

import msgspec
import pytest
import stripe
from sqlalchemy import select

from local.stripe import StripeStandIn
from opencode_cloud.billing.models.accounts import AccountKind
from opencode_cloud.contracts.ids import RefundOrderId, SecondSubscriptionId
from opencode_cloud.contracts.outbox import Topic
from opencode_cloud.kit.errors import Unavailable, Unprocessable
from opencode_cloud.payments.models import TAX_LOCATION, TAX_REFUSED, PaymentView, StripeRefused, TopUp, TopUpState
from opencode_cloud.payments.models.plans import PlanState, share_of_tax
from opencode_cloud.payments.stripe_plans import StripePlans
from opencode_cloud.schema.payments import payment_customers, top_ups
from tests.unit.billing.books import CENT, DOLLAR, Books
from tests.unit.crashes import Crash, dying_before
from tests.unit.payments.plans import PlanShop
from tests.unit.payments.reloads import BASE, ReloadShop, join
from tests.unit.payments.shop import BACK, PAYER, SEAT_TERMS, TWENTY, Shop
from tests.unit.usage.events import WORKSPACE

BERLIN = {"line1": "Sample Street 1", "city": "Berlin", "postal_code": "10115", "country": "DE"}
DUTCH = {"country": "NL"}
NEW_YORK = {"postal_code": "10001", "country": "US"}
TAX = 403
"""Cents: 19 % of $20.00 and of the fee of $1.23, each rounded."""
GROSS = 2123 + TAX


@pytest.fixture
def taxed(books: Books, stripe_server: StripeStandIn) -> Shop:
    shop = Shop(books, stripe_server, plan_terms=replace(SEAT_TERMS, taxed=True), taxed=True)
    shop.address = BERLIN
    return shop


def switch(shop: Shop, *, on: bool) -> None:
    """Change the setting, as another deployment would."""
    shop.taxed, shop.plan_terms = on, replace(SEAT_TERMS, taxed=on)
    shop.build()


def owed(shop: Shop) -> int:
    """Return the tax that the books owe, in cents."""
    return -shop.sum(AccountKind.TAX_PAYABLE) // CENT


def pay_back(shop: Shop, top_up: TopUp, *cents: int) -> None:
    for amount in cents:
        shop.client.refunds.create({"payment_intent": shop.top_up(top_up).payment_id, "amount": amount})
        shop.deliver_all()


class TestCheckout:
    def test_tax_comes_on_top_and_the_credit_stays_the_credit(self, taxed: Shop) -> None:
        top_up = taxed.buy()
        taxed.deliver_all()

        assert taxed.balance == TWENTY
        assert (owed(taxed), taxed.sum(AccountKind.FEES_INCOME)) == (TAX, -123 * CENT)
        found = taxed.top_up(top_up)
        assert (found.state, found.tax, found.gross_cents) == (TopUpState.PAID, TAX * CENT, GROSS)
        ((_, _, invoice),) = taxed.documents.of_workspace(WORKSPACE, None, 10)
        assert (invoice.tax_cents, invoice.total_cents) == (TAX, GROSS)
        assert [line.cents for line in invoice.lines] == [2000, 123]
        assert taxed.kept() == []
        taxed.books.verify()

    def test_the_end_is_the_same_in_any_order_of_events(self, taxed: Shop) -> None:
        taxed.buy()
        taxed.deliver(*taxed.events()[::-1])
        taxed.deliver_all()

        assert (taxed.balance, owed(taxed)) == (TWENTY, TAX)
        taxed.books.verify()

    def test_the_payer_who_comes_back_before_the_events_is_credited(self, taxed: Shop) -> None:
        top_up = taxed.buy()
        assert taxed.receiving.look_up(taxed.top_up(top_up))
        assert (taxed.balance, owed(taxed)) == (TWENTY, TAX)

    def test_where_no_tax_is_due_nothing_is_added(self, taxed: Shop) -> None:
        taxed.address = NEW_YORK
        taxed.buy()
        taxed.deliver_all()

        assert (taxed.balance, owed(taxed)) == (TWENTY, 0)
        ((_, _, invoice),) = taxed.documents.of_workspace(WORKSPACE, None, 10)
        assert (invoice.tax_cents, invoice.total_cents) == (0, 2123)

    @pytest.mark.parametrize("difference", [-1, 1, -TAX])
    def test_another_amount_than_credit_fee_and_tax_is_not_credited(
        self, taxed: Shop, monkeypatch: pytest.MonkeyPatch, difference: int
    ) -> None:
        read = taxed.api.payment

        def tampered(payment_id: Any) -> PaymentView:
            found = read(payment_id)
            return msgspec.structs.replace(found, received=found.received + difference)

        monkeypatch.setattr(taxed.api, "payment", tampered)
        top_up = taxed.buy()
        taxed.deliver_all()

        assert set(taxed.kept()) == {"payment_differs"}
        assert (taxed.balance, owed(taxed)) == (0, 0)
        assert taxed.sum(AccountKind.SUSPENSE) == -(GROSS + difference) * CENT
        assert taxed.top_up(top_up).state is TopUpState.OPEN

    def test_a_payment_beside_its_checkout_pays_no_tax_and_is_not_credited(self, taxed: Shop) -> None:
        """A payment that only names the top-up has no checkout that could say which part of it is tax."""
        top_up, _ = taxed.begin()
        with taxed.books.database.transaction() as connection:
            customer = connection.execute(select(payment_customers.c.customer_id)).scalar_one()
        wanted: Any = {"amount": GROSS, "currency": "usd", "customer": customer, "payment_method": "pm_card_visa"}
        taxed.client.payment_intents.create(wanted | {"confirm": True, "metadata": {"top_up": top_up.id}})
        taxed.deliver_all()

        assert set(taxed.kept()) == {"payment_differs"}
        assert taxed.balance == 0

    def test_a_purchase_keeps_the_setting_with_which_it_began(self, taxed: Shop) -> None:
        _, with_tax = taxed.begin()
        switch(taxed, on=False)
        _, without = taxed.begin()
        switch(taxed, on=True)
        for session in (with_tax, without):
            taxed.complete(session)
        taxed.deliver_all()

        assert (taxed.balance, owed(taxed)) == (2 * TWENTY, TAX)
        assert taxed.kept() == []

    def test_without_the_setting_stripe_gets_what_it_always_got(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sent: list[Any] = []
        write = shop.api.write

        def noted(method: Any, params: Any, *, key: str) -> Any:
            sent.append(params)
            return write(method, params, key=key)

        monkeypatch.setattr(shop.api, "write", noted)
        top_up, _ = shop.begin()

        names = [("Credit", 2000), ("Processing fee", 123)]
        assert sent[-1] == {
            "mode": "payment",
            "customer": sent[-1]["customer"],
            "client_reference_id": top_up.id,
            "success_url": f"{BACK}?top_up={top_up.id}",
            "cancel_url": BACK,
            "line_items": [
                {
                    "price_data": {"currency": "usd", "unit_amount": cents, "product_data": {"name": name}},
                    "quantity": 1,
                }
                for name, cents in names
            ],
            "metadata": {"top_up": top_up.id},
            "payment_intent_data": {"metadata": {"top_up": top_up.id}, "setup_future_usage": "off_session"},
            "billing_address_collection": "required",
            "customer_update": {"name": "auto", "address": "auto"},
            "tax_id_collection": {"enabled": True},
        }

    def test_without_the_setting_no_request_speaks_of_tax(
        self, reload_shop: ReloadShop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shop, asked = reload_shop.shop, list[str]()
        request = stripe.RequestsClient.request

        def noted(client: Any, method: str, url: str, headers: Any, post_data: Any = None) -> Any:
            asked.append(f"{method} {urllib.parse.unquote(url)} {urllib.parse.unquote(str(post_data))}")
            return request(client, method, url, headers, post_data)

        monkeypatch.setattr(stripe.RequestsClient, "request", noted)
        reload_shop.spend(16 * DOLLAR)
        reload_shop.work()
        shop.buy()
        shop.planning.begin(PAYER, WORKSPACE, BASE, BACK)
        shop.planning.cancel(PAYER, WORKSPACE)
        shop.planning.begin_by_card(PAYER, WORKSPACE, BASE)
        shop.deliver_all()

        sent = [each.replace("tax_id_collection", "") for each in asked]
        assert len(sent) > 20
        for word in ("tax", "hooks", "/v1/checkout/sessions?payment_intent"):
            assert [each for each in sent if word in each] == []

    def test_parts_of_a_refund_return_their_tax_and_the_whole_returns_all_of_it(self, taxed: Shop) -> None:
        top_up = taxed.buy()
        taxed.deliver_all()

        pay_back(taxed, top_up, GROSS // 2)
        assert taxed.sum(AccountKind.TAX_PAYABLE) == -TAX * CENT // 2
        pay_back(taxed, top_up, 600, GROSS - 1863)

        assert (taxed.balance, taxed.sum(AccountKind.TAX_PAYABLE), taxed.sum(AccountKind.FEES_INCOME)) == (0, 0, 0)
        documents = [each for _, _, each in taxed.documents.of_workspace(WORKSPACE, None, 10)]
        assert sum(each.total_cents for each in documents) == 0
        assert sum(each.tax_cents for each in documents) == 0
        taxed.books.verify()

    def test_a_lost_dispute_takes_the_tax_too(self, taxed: Shop) -> None:
        top_up = taxed.buy()
        taxed.deliver_all()
        dispute = taxed.stand_in.control("disputes/open", charge=taxed.intent_of(top_up).latest_charge.id)
        taxed.deliver_all()
        assert taxed.balance == 0
        taxed.stand_in.control("disputes/end", dispute=dispute, won=False)
        taxed.deliver_all()

        assert (taxed.balance, taxed.sum(AccountKind.TAX_PAYABLE)) == (0, 0)
        taxed.books.verify()


@pytest.fixture
def reloading(taxed: Shop) -> ReloadShop:
    owner = taxed.books.place.person("owner@example.com")
    join(taxed, owner.account_id, "owner")
    return ReloadShop(taxed)


def spend_below(reloading: ReloadShop) -> None:
    reloading.spend(16 * DOLLAR)
    reloading.work()


class TestReloads:
    def test_a_reload_charges_the_tax_that_stripe_computed(self, reloading: ReloadShop) -> None:
        shop = reloading.shop
        spend_below(reloading)
        shop.deliver_all()

        assert reloading.charges == [GROSS]
        assert (shop.balance, owed(shop)) == (24 * DOLLAR, 2 * TAX)
        assert reloading.state == ("idle", "")
        newest = shop.documents.of_workspace(WORKSPACE, None, 10)[0][2]
        assert (newest.tax_cents, newest.total_cents) == (TAX, GROSS)
        assert shop.kept() == []
        shop.books.verify()

    def test_stripe_records_the_tax_of_the_payment_and_of_its_refund(self, reloading: ReloadShop) -> None:
        shop = reloading.shop
        spend_below(reloading)
        row = shop.rows(select(top_ups).where(top_ups.c.kind == "reload"))[0]
        shop.client.refunds.create({"payment_intent": row["payment_id"]})
        shop.deliver_all()

        found = shop.client.tax.associations.find({"payment_intent": row["payment_id"]})
        assert found.calculation == row["calculation_id"]
        assert [each.status for each in found.tax_transaction_attempts] == ["committed", "committed"]
        assert owed(shop) == TAX

    def test_each_attempt_asks_one_payment_for_one_amount(self, reloading: ReloadShop) -> None:
        shop = reloading.shop
        reloading.take_card("pm_card_chargeCustomerFail")
        spend_below(reloading)
        shop.client.customers.update(reloading.customer, {"address": DUTCH})
        reloading.take_card("pm_card_visa")
        reloading.later(hours=2)
        shop.reloading.run(WORKSPACE)
        shop.deliver_all()

        assert reloading.charges == [GROSS]
        assert len(shop.client.payment_intents.list().data) == 2
        assert (shop.balance, owed(shop)) == (24 * DOLLAR, 2 * TAX)

    @pytest.mark.parametrize("path", ["/v1/tax/calculations", "/v1/payment_intents"])
    @pytest.mark.parametrize("fault", ["drop_before", "drop_after"])
    def test_an_answer_that_is_lost_changes_neither_amount_nor_number(
        self, reloading: ReloadShop, path: str, fault: str
    ) -> None:
        shop = reloading.shop
        shop.stand_in.fault(fault, method="POST", path=path, times=3)
        reloading.spend(16 * DOLLAR)
        with pytest.raises(Unavailable):
            reloading.work()
        shop.reloading.run(WORKSPACE)
        shop.deliver_all()

        assert reloading.charges == [GROSS]
        assert (shop.balance, owed(shop)) == (24 * DOLLAR, 2 * TAX)
        assert reloading.state == ("idle", "")

    def test_an_address_that_is_not_enough_stops_the_reloads_and_charges_nothing(self, reloading: ReloadShop) -> None:
        shop = reloading.shop
        shop.client.customers.update(reloading.customer, {"address": ""})
        spend_below(reloading)

        assert (reloading.charges, reloading.state) == ([], ("stopped", TAX_LOCATION))
        (mail,) = reloading.mails()
        assert mail["reason"] == "the address of the customer is not enough to compute the tax"

        shop.client.customers.update(reloading.customer, {"address": BERLIN})
        shop.reload_settings.retry(PAYER, WORKSPACE)
        reloading.work()
        assert (reloading.charges, reloading.state) == ([GROSS], ("idle", ""))

    def test_another_refusal_of_the_tax_stops_them_too(
        self, reloading: ReloadShop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refused(*_: Any) -> Any:
            raise StripeRefused("stripe_tax_inactive")

        monkeypatch.setattr(reloading.shop.api, "tax_on", refused)
        spend_below(reloading)
        assert (reloading.charges, reloading.state) == ([], ("stopped", TAX_REFUSED))

    def test_a_payment_of_another_calculation_is_not_credited(
        self, reloading: ReloadShop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shop, read = reloading.shop, reloading.shop.api.payment

        def other(payment_id: Any) -> PaymentView:
            found = read(payment_id)
            return msgspec.structs.replace(found, calculation_id=found.calculation_id and "taxcalc_other")

        monkeypatch.setattr(shop.api, "payment", other)
        spend_below(reloading)
        shop.deliver_all()

        assert set(shop.kept()) == {"payment_differs"}
        assert shop.balance == 4 * DOLLAR

    @pytest.mark.slow
    def test_a_crash_at_any_statement_charges_one_amount_once(self, reloading: ReloadShop) -> None:
        shop, charges, finished = reloading.shop, 0, False
        while not finished:
            reloading.spend(shop.balance)
            charges += 1
            with suppress(Crash), dying_before(shop.books.database, charges):
                shop.reloading.run(WORKSPACE)
                finished = True
            reloading.later(hours=1)
            shop.receiving.sweep()
            reloading.work()
            assert reloading.charges == [GROSS] * charges
            assert (shop.balance, owed(shop)) == (TWENTY, TAX * (charges + 1))
            assert reloading.state == ("idle", "")
        assert charges > 20
        shop.deliver_all()
        shop.books.verify()

    def test_a_reload_that_its_owner_finishes_has_the_tax_of_the_page(self, reloading: ReloadShop) -> None:
        shop = reloading.shop
        reloading.take_card("pm_card_authenticationRequired")
        spend_below(reloading)
        assert reloading.state[0] == "action_required"
        page = shop.reload_settings.finish(PAYER, WORKSPACE, BACK)
        shop.address = DUTCH
        shop.complete(page.rpartition("/")[2])
        shop.deliver_all()

        # 21 % of $20.00 and $1.23.
        assert reloading.charges == [2123 + 446]
        assert (shop.balance, owed(shop)) == (24 * DOLLAR, TAX + 446)
        assert shop.kept() == []
        shop.books.verify()


@pytest.fixture
def planned(taxed: Shop) -> PlanShop:
    return PlanShop(taxed)


class TestPlans:
    def test_income_is_the_net_and_the_tax_is_owed(self, planned: PlanShop) -> None:
        shop = planned.shop
        plan = planned.started()

        assert (plan.state, planned.paid()) == (PlanState.ACTIVE, [7140])
        assert shop.sum(AccountKind.PLAN_INCOME) == -60 * DOLLAR
        assert (owed(shop), shop.balance) == (1140, 15 * DOLLAR)
        (invoice,) = planned.invoices()
        assert (invoice["tax"], invoice["total"]) == (1140 * CENT, 7140 * CENT)
        upcoming = shop.planning.next_invoice(plan)
        assert upcoming
        assert (upcoming.tax, upcoming.due) == (1140 * CENT, 7140 * CENT)
        shop.books.verify()

    def test_a_payment_whose_event_comes_first_has_the_same_tax(self, planned: PlanShop) -> None:
        planned.start()
        planned.shop.deliver(*planned.shop.events()[::-1])
        planned.shop.deliver_all()
        assert (owed(planned.shop), planned.shop.sum(AccountKind.PLAN_INCOME)) == (1140, -60 * DOLLAR)
        assert planned.shop.kept() == []

    def test_a_renewal_after_a_seat_has_left_is_taxed_on_what_is_paid(self, planned: PlanShop) -> None:
        planned.started()
        planned.dismiss(planned.people[-1])
        planned.advance(days=10)
        planned.shop.following.set_seats(WORKSPACE)
        planned.advance(days=25)
        planned.shop.deliver_all()

        renewal = planned.invoices()[-1]
        assert renewal["paid"] == renewal["total"] < 2 * 2380 * CENT
        net = renewal["total"] - renewal["tax"]
        assert planned.shop.sum(AccountKind.PLAN_INCOME) == -60 * DOLLAR - net
        assert owed(planned.shop) == 1140 + renewal["tax"] // CENT
        # A quarter of the net, as the credit of a seat is a quarter of its price.
        assert planned.shop.balance == 15 * DOLLAR + net // 4
        planned.shop.books.verify()

    def test_a_start_by_card_needs_an_address(self, planned: PlanShop) -> None:
        planned.save_card()
        with pytest.raises(Unprocessable) as refused:
            planned.shop.planning.begin_by_card(PAYER, WORKSPACE, BASE)
        assert TAX_LOCATION in str(refused.value)
        assert (planned.plan.state, planned.paid()) == (PlanState.ENDED, [])

        planned.shop.client.customers.update(planned.customer, {"address": BERLIN})
        assert planned.shop.planning.begin_by_card(PAYER, WORKSPACE, BASE).state is PlanState.ACTIVE
        assert (planned.paid(), owed(planned.shop)) == ([7140], 1140)

    def test_a_plan_keeps_the_setting_with_which_it_began(self, planned: PlanShop) -> None:
        switch(planned.shop, on=False)
        planned.started()
        switch(planned.shop, on=True)
        planned.advance(days=32)
        planned.shop.deliver_all()

        assert planned.paid() == [6000, 6000]
        assert (owed(planned.shop), planned.shop.sum(AccountKind.PLAN_INCOME)) == (0, -120 * DOLLAR)

    def test_a_second_paid_start_goes_back_with_its_tax(self, planned: PlanShop) -> None:
        shop = planned.shop
        planned.started()
        wanted: Any = {
            "customer": planned.customer,
            "items": [{"price": StripePlans(shop.api).price(20 * DOLLAR, taxed=True), "quantity": 3}],
            "default_payment_method": planned.save_card(),
            "metadata": {"seat_plan": planned.plan.id},
            "automatic_tax": {"enabled": True},
        }
        shop.client.subscriptions.create(wanted)
        shop.deliver_all()
        while told := [*shop.books.place.told(Topic.SECOND_SUBSCRIPTION), *shop.books.place.told(Topic.REFUND)]:
            shop.books.place.messages.clear()
            for each in told:
                if each.startswith("sec_"):
                    shop.seconds.run(SecondSubscriptionId(each))
                else:
                    shop.refunding.run(RefundOrderId(each))
        shop.deliver_all()

        assert [each.amount for each in shop.client.refunds.list().data] == [7140]
        assert (owed(shop), shop.sum(AccountKind.PLAN_INCOME)) == (1140, -60 * DOLLAR)
        shop.books.verify()

    def test_a_refund_of_the_payment_returns_its_tax(self, planned: PlanShop) -> None:
        planned.started()
        paid = next(each for each in planned.shop.client.payment_intents.list().data if each.status == "succeeded")
        planned.shop.client.refunds.create({"payment_intent": paid.id})
        planned.shop.deliver_all()

        assert (owed(planned.shop), planned.shop.sum(AccountKind.PLAN_INCOME)) == (0, 0)
        planned.shop.books.verify()


@pytest.mark.parametrize(
    ("tax", "paid", "total", "share"),
    [(1140, 7140, 7140, 1140), (1140, 5950, 7140, 950), (0, 6000, 6000, 0), (3, 1, 6, 1), (-190, 0, -1190, 0)],
)
def test_a_payment_of_a_part_of_an_invoice_has_the_share_of_its_tax(
    tax: int, paid: int, total: int, share: int
) -> None:
    assert share_of_tax(tax, paid, total) == share

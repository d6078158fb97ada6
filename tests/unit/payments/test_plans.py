"""Plans per seat: started once, charged by Stripe, booked once whatever arrives when."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import Any

import httpx
import msgspec
import pytest
import stripe
from sqlalchemy import select, update

from opencode_cloud.billing.models.accounts import AccountKind
from opencode_cloud.billing.models.transactions import TransactionKind
from opencode_cloud.billing.store.checks import clearing
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.errors import Conflict, NotFound, ServiceError, Unavailable, Unprocessable
from opencode_cloud.payments.models.plans import InvoiceView, PlanState, PlanTerms, StaleRead
from opencode_cloud.payments.stripe_plans import StripePlans
from opencode_cloud.schema.audit import audit_entries
from opencode_cloud.schema.payments import plans
from opencode_cloud.schema.workspaces import workspaces
from tests.unit.billing.books import CENT, DOLLAR
from tests.unit.payments.plans import PlanShop
from tests.unit.payments.reloads import BASE
from tests.unit.payments.shop import BACK, PAYER
from tests.unit.usage.events import WORKSPACE


class TestStarting:
    def test_a_checkout_starts_a_plan_with_a_seat_for_each_member(self, place_with_plan: PlanShop) -> None:
        plan = place_with_plan.started()
        assert (plan.state, plan.seats, plan.ends_at) == (PlanState.ACTIVE, 3, None)
        assert place_with_plan.paid() == [6000]
        shop = place_with_plan.shop
        assert shop.sum(AccountKind.PLAN_INCOME) == -60 * DOLLAR
        assert shop.sum(AccountKind.STRIPE_CLEARING) == 0
        assert shop.kept() == []
        shop.books.verify()

    @pytest.mark.parametrize("seed", range(2))
    def test_its_events_in_any_order_and_ten_times_count_once(self, place_with_plan: PlanShop, seed: int) -> None:
        place_with_plan.start()
        shop = place_with_plan.shop
        events = shop.events() * 10
        random.Random(seed).shuffle(events)
        shop.deliver(*events)
        assert place_with_plan.plan.state is PlanState.ACTIVE
        assert shop.sum(AccountKind.PLAN_INCOME) == -60 * DOLLAR
        assert shop.balance == 15 * DOLLAR
        assert [each.kind for each in shop.books.transactions()].count(TransactionKind.PLAN_CREDIT) == 1
        assert shop.kept() == []

    def test_its_events_at_once_count_once(self, place_with_plan: PlanShop) -> None:
        place_with_plan.start()
        shop = place_with_plan.shop
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(lambda event: _try(lambda: shop.deliver(event)), shop.events() * 3))
        shop.deliver_all()
        assert (shop.balance, shop.sum(AccountKind.PLAN_INCOME)) == (15 * DOLLAR, -60 * DOLLAR)
        assert place_with_plan.plan.state is PlanState.ACTIVE
        assert shop.kept() == []
        shop.books.verify()

    def test_the_payer_who_comes_back_sees_the_plan_before_any_event(self, place_with_plan: PlanShop) -> None:
        begun = place_with_plan.start()
        found = place_with_plan.shop.planning.look_up(WORKSPACE, begun.id)
        assert found is not None
        assert found.state is PlanState.ACTIVE

    def test_the_saved_card_starts_a_plan_without_a_page(self, place_with_plan: PlanShop) -> None:
        place_with_plan.save_card()
        plan = place_with_plan.shop.planning.begin_by_card(PAYER, WORKSPACE, BASE)
        assert (plan.state, plan.seats) == (PlanState.ACTIVE, 3)
        place_with_plan.shop.deliver_all()
        assert place_with_plan.paid() == [6000]
        assert place_with_plan.shop.balance == 15 * DOLLAR

    @pytest.mark.parametrize("card", ["pm_card_chargeCustomerFail", "pm_card_authenticationRequired"])
    def test_a_card_that_does_not_pay_leaves_no_plan_and_another_one_may_start(
        self, place_with_plan: PlanShop, card: str
    ) -> None:
        place_with_plan.save_card(card)
        planning, shop = place_with_plan.shop.planning, place_with_plan.shop
        with pytest.raises(Unprocessable) as caught:
            planning.begin_by_card(PAYER, WORKSPACE, BASE)
        assert caught.value.code == "plan_refused"
        shop.deliver_all()
        assert place_with_plan.plan.state is PlanState.ENDED
        assert (shop.kept(), place_with_plan.mails("plan-unpaid")) == ([], [])
        place_with_plan.started()
        assert (place_with_plan.plan.state, place_with_plan.paid()) == (PlanState.ACTIVE, [6000])

    def test_without_a_saved_card_it_asks_for_one(self, place_with_plan: PlanShop) -> None:
        with pytest.raises(Conflict) as caught:
            place_with_plan.shop.planning.begin_by_card(PAYER, WORKSPACE, BASE)
        assert caught.value.code == "no_card"

    @pytest.mark.parametrize("fault", ["drop_before", "drop_after", "error"])
    def test_a_start_without_an_answer_is_repeated_and_charged_once(
        self, place_with_plan: PlanShop, fault: str
    ) -> None:
        place_with_plan.save_card()
        shop = place_with_plan.shop
        shop.stand_in.fault(fault, method="POST", path="/v1/subscriptions", times=3)
        with pytest.raises(Unavailable):
            shop.planning.begin_by_card(PAYER, WORKSPACE, BASE)
        if fault == "error":
            # Stripe keeps a 500 under the key, so the sweep finds out what it did.
            shop.stand_in.control("idempotency_keys/forget")
        assert _try(lambda: shop.planning.begin_by_card(PAYER, WORKSPACE, BASE))
        assert (place_with_plan.plan.state, place_with_plan.paid()) == (PlanState.ACTIVE, [6000])

    @pytest.mark.parametrize("fault", ["drop_before", "drop_after"])
    def test_a_repeated_start_goes_on_with_the_first_card(self, place_with_plan: PlanShop, fault: str) -> None:
        place_with_plan.save_card()
        shop = place_with_plan.shop
        shop.stand_in.fault(fault, method="POST", path="/v1/subscriptions", times=3)
        with pytest.raises(Unavailable):
            shop.planning.begin_by_card(PAYER, WORKSPACE, BASE)
        first = place_with_plan.plan.card_id
        assert first
        place_with_plan.save_card("pm_card_mastercard")
        assert _try(lambda: shop.planning.begin_by_card(PAYER, WORKSPACE, BASE))
        plan = place_with_plan.plan
        assert (plan.state, place_with_plan.paid(), plan.card_id) == (PlanState.ACTIVE, [6000], first)
        assert shop.client.subscriptions.retrieve(plan.subscription_id).default_payment_method == first

    def test_two_tabs_lead_to_one_page_and_one_plan(self, place_with_plan: PlanShop) -> None:
        planning = place_with_plan.shop.planning
        first, page = planning.begin(PAYER, WORKSPACE, BASE, BACK)
        second, again = planning.begin(PAYER, WORKSPACE, BASE, BACK)
        assert (first.id, page) == (second.id, again)

    def test_two_starts_at_once_make_one_plan(self, place_with_plan: PlanShop) -> None:
        shop = place_with_plan.shop
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: _try(lambda: shop.planning.begin(PAYER, WORKSPACE, BASE, BACK)), range(4)))
        assert len(shop.rows(select(plans))) == 1

    def test_a_second_plan_is_refused(self, place_with_plan: PlanShop) -> None:
        place_with_plan.started()
        for begin in (
            lambda: place_with_plan.shop.planning.begin(PAYER, WORKSPACE, BASE, BACK),
            lambda: place_with_plan.shop.planning.begin_by_card(PAYER, WORKSPACE, BASE),
        ):
            with pytest.raises(Conflict) as caught:
                begin()
            assert caught.value.code == "plan_exists"

    def test_a_page_that_nobody_finishes_ends_by_its_event(self, place_with_plan: PlanShop) -> None:
        shop = place_with_plan.shop
        plan, _ = shop.planning.begin(PAYER, WORKSPACE, BASE, BACK)
        shop.stand_in.control("checkout/expire", session=place_with_plan.row(plan.id)["session_id"])
        shop.deliver_all()
        assert (place_with_plan.plan.state, place_with_plan.plan.reason) == (PlanState.ENDED, "not_started")

    def test_a_page_that_stripe_has_forgotten_does_not_block_the_next_start(self, place_with_plan: PlanShop) -> None:
        shop = place_with_plan.shop
        plan, _ = shop.planning.begin(PAYER, WORKSPACE, BASE, BACK)
        with shop.books.database.transaction() as connection:
            lost = {"session_id": "cs_test_lost", "created_at": utc_now() - timedelta(hours=1)}
            connection.execute(update(plans).where(plans.c.id == plan.id).values(lost))
        shop.following.sweep()
        assert place_with_plan.plan.state is PlanState.ENDED
        place_with_plan.started()
        assert place_with_plan.plan.state is PlanState.ACTIVE

    def test_a_start_that_is_canceled_cannot_be_paid(self, place_with_plan: PlanShop) -> None:
        shop = place_with_plan.shop
        plan, _ = shop.planning.begin(PAYER, WORKSPACE, BASE, BACK)
        shop.planning.cancel(PAYER, WORKSPACE)
        session = shop.client.checkout.sessions.retrieve(place_with_plan.row(plan.id)["session_id"])
        assert (session.status, place_with_plan.plan.state) == ("expired", PlanState.ENDED)

    def test_while_the_result_of_a_start_by_card_is_unknown_no_page_is_opened(self, place_with_plan: PlanShop) -> None:
        place_with_plan.save_card()
        shop = place_with_plan.shop
        shop.stand_in.fault("drop_before", method="POST", path="/v1/subscriptions", times=3)
        with pytest.raises(Unavailable):
            shop.planning.begin_by_card(PAYER, WORKSPACE, BASE)
        for step in (
            lambda: shop.planning.begin(PAYER, WORKSPACE, BASE, BACK),
            lambda: shop.planning.cancel(PAYER, WORKSPACE),
        ):
            with pytest.raises(Unavailable):
                step()
        assert shop.planning.begin_by_card(PAYER, WORKSPACE, BASE).state is PlanState.ACTIVE
        assert place_with_plan.paid() == [6000]

    def test_a_page_that_opens_beside_a_start_by_card_is_closed(
        self, place_with_plan: PlanShop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        place_with_plan.save_card()
        shop = place_with_plan.shop
        opened = shop.planning._stripe.open_checkout

        def beside(*arguments: Any) -> Any:
            checkout = opened(*arguments)
            shop.planning.begin_by_card(PAYER, WORKSPACE, BASE)
            return checkout

        monkeypatch.setattr(shop.planning._stripe, "open_checkout", beside)
        with pytest.raises(Unavailable):
            shop.planning.begin(PAYER, WORKSPACE, BASE, BACK)
        (session,) = shop.client.checkout.sessions.list({"customer": place_with_plan.customer}).data
        assert (session.status, place_with_plan.plan.state) == ("expired", PlanState.ACTIVE)

    def test_a_first_payment_that_waits_for_its_payer_is_no_plan_until_an_attempt_is_paid(
        self, place_with_plan: PlanShop
    ) -> None:
        """Checkout may make a subscription for each attempt that the bank asks about."""
        shop = place_with_plan.shop
        plan, _ = shop.planning.begin(PAYER, WORKSPACE, BASE, BACK)
        asked: Any = {"customer": place_with_plan.customer, "payment_behavior": "default_incomplete"}
        asked |= {"items": [{"price": StripePlans(shop.api).price(20 * DOLLAR), "quantity": 3}]}
        waiting = shop.client.subscriptions.create(asked | {"metadata": {"seat_plan": plan.id}})
        ask: Any = {"payment_method": "pm_card_authenticationRequired", "off_session": False}
        with suppress(stripe.StripeError):
            shop.client.invoices.pay(waiting.latest_invoice, ask)
        shop.deliver_all()
        shop.receiving.sweep()
        assert (place_with_plan.plan.state, place_with_plan.plan.subscription_id) == (PlanState.STARTING, "")

        shop.stand_in.control("checkout/complete", session=place_with_plan.row(plan.id)["session_id"])
        shop.deliver_all()

        assert (place_with_plan.plan.state, shop.kept()) == (PlanState.ACTIVE, [])
        assert place_with_plan.plan.subscription_id != waiting.id
        assert (place_with_plan.paid(), shop.balance) == ([6000], 15 * DOLLAR)
        assert place_with_plan.mails("plan-unpaid") == []

    def test_a_card_that_the_bank_asks_about_starts_a_plan_after_its_payer_has_confirmed(
        self, place_with_plan: PlanShop
    ) -> None:
        """3-D Secure, which fails at first: nothing is charged, no mail is sent, and the page is still there."""
        shop, number = place_with_plan.shop, "4000002760003184"
        plan, page = shop.planning.begin(PAYER, WORKSPACE, BASE, BACK)
        for answer, state, charged in (
            ("fail", PlanState.STARTING, []),
            ("complete", PlanState.ACTIVE, [6000]),
        ):
            bank = httpx.post(page, data={"number": number, "email": "payer@example.com"}).headers["location"]
            assert "/pages/authenticate/" in bank
            shop.deliver_all()
            shop.receiving.sweep()
            assert place_with_plan.plan.state is PlanState.STARTING
            assert shop.planning.begin(PAYER, WORKSPACE, BASE, BACK)[1] == page
            done = httpx.post(f"{shop.server.url}{bank}", data={"answer": answer})
            assert answer == "fail" or done.headers["location"] == f"{BACK}?plan={plan.id}"
            shop.deliver_all()
            assert (place_with_plan.plan.state, place_with_plan.paid()) == (state, charged)
        assert (shop.kept(), place_with_plan.mails("plan-unpaid"), len(place_with_plan.invoices())) == ([], [], 1)
        assert shop.balance == 15 * DOLLAR
        with pytest.raises(Conflict):
            shop.planning.begin(PAYER, WORKSPACE, BASE, BACK)

    def test_a_start_that_is_canceled_at_the_bank_s_page_and_paid_there_runs(self, place_with_plan: PlanShop) -> None:
        shop = place_with_plan.shop
        _, page = shop.planning.begin(PAYER, WORKSPACE, BASE, BACK)
        bank = httpx.post(page, data={"number": "4000002760003184", "email": "payer@example.com"}).headers["location"]
        assert shop.planning.cancel(PAYER, WORKSPACE).state is PlanState.ENDED
        httpx.post(f"{shop.server.url}{bank}", data={"answer": "complete"})
        shop.deliver_all()
        assert (place_with_plan.plan.state, place_with_plan.paid(), shop.kept()) == (PlanState.ACTIVE, [6000], [])

    def test_a_price_that_was_archived_is_replaced(self, place_with_plan: PlanShop) -> None:
        shop = place_with_plan.shop
        prices = StripePlans(shop.api)
        archived = prices.price(20 * DOLLAR)
        shop.client.prices.update(archived, {"active": False})
        shop.stand_in.control("idempotency_keys/forget")
        assert prices.price(20 * DOLLAR) != archived
        assert place_with_plan.started().runs

    def test_a_deployment_without_a_price_offers_none(self, place_with_plan: PlanShop) -> None:
        shop = place_with_plan.shop
        shop.plan_terms = PlanTerms()
        shop.build()
        with pytest.raises(NotFound) as caught:
            shop.planning.begin(PAYER, WORKSPACE, BASE, BACK)
        assert caught.value.code == "plan_not_offered"

    def test_an_event_that_overtakes_the_answer_is_fine(self, place_with_plan: PlanShop) -> None:
        """Case 15: the row is there before Stripe is asked."""
        place_with_plan.save_card()
        shop = place_with_plan.shop
        api: Any = shop.api
        ask = api.ask

        def overtaken(request: Any) -> Any:
            answer = ask(request)
            api.ask = ask
            shop.deliver_all()
            api.ask = overtaken
            return answer

        api.ask = overtaken
        plan = shop.planning.begin_by_card(PAYER, WORKSPACE, BASE)
        assert (plan.state, shop.balance, shop.kept()) == (PlanState.ACTIVE, 15 * DOLLAR, [])

    def test_a_subscription_that_was_made_elsewhere_is_left_alone_and_its_money_waits(
        self, place_with_plan: PlanShop
    ) -> None:
        shop, api = place_with_plan.shop, place_with_plan.shop.client
        place_with_plan.save_card()
        price = api.prices.create(
            {"currency": "usd", "unit_amount": 900, "recurring": {"interval": "month"}, "product_data": {"name": "X"}}
        )
        api.subscriptions.create({"customer": place_with_plan.customer, "items": [{"price": price.id}]})
        shop.deliver_all()
        assert shop.planning.get(WORKSPACE) is None
        assert (shop.kept(), shop.sum(AccountKind.SUSPENSE)) == (["payment_unknown"], -900 * CENT)


class TestRenewals:
    def test_each_period_is_paid_and_its_credit_ends_with_it(self, place_with_plan: PlanShop) -> None:
        plan, shop = place_with_plan.started(), place_with_plan.shop
        end = plan.period_end
        assert end is not None
        assert shop.books.available(at=end - timedelta(seconds=1)) == 15 * DOLLAR
        assert shop.books.available(at=end) == 0
        place_with_plan.advance(days=32)
        shop.deliver_all()
        assert shop.books.available(at=end) == 15 * DOLLAR
        assert place_with_plan.paid() == [6000, 6000]
        assert shop.sum(AccountKind.PLAN_INCOME) == -120 * DOLLAR
        assert (place_with_plan.plan.period_start, place_with_plan.plan.state) == (end, PlanState.ACTIVE)
        shop.books.verify()

    def test_a_renewal_that_fails_tells_once_and_leads_back_to_pay(self, place_with_plan: PlanShop) -> None:
        place_with_plan.started()
        _spoil(place_with_plan)
        place_with_plan.advance(days=32)
        shop = place_with_plan.shop
        shop.deliver_all()
        shop.deliver_all()
        assert place_with_plan.plan.state is PlanState.PAST_DUE
        (told,) = place_with_plan.mails("plan-unpaid")
        assert (told["amount"], told["url"]) == ("$60.00", f"{BASE}/console/{WORKSPACE}/payments/plan")
        unpaid = shop.planning.unpaid(place_with_plan.plan)
        assert unpaid is not None
        assert unpaid.url.startswith(shop.server.url)
        assert shop.balance == 15 * DOLLAR  # of the first period only
        # The payer pays the invoice on its page.
        shop.client.invoices.pay(unpaid.id, {"payment_method": "pm_card_visa"})
        shop.deliver_all()
        assert (place_with_plan.plan.state, shop.planning.unpaid(place_with_plan.plan)) == (PlanState.ACTIVE, None)
        assert shop.balance == 30 * DOLLAR
        assert shop.sum(AccountKind.PLAN_INCOME) == -120 * DOLLAR

    def test_an_invoice_that_is_paid_in_part_grants_no_credit_yet(
        self, place_with_plan: PlanShop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        place_with_plan.started()
        _spoil(place_with_plan)
        read = StripePlans.invoice

        def paid_in_part(plans: StripePlans, invoice_id: str) -> InvoiceView:
            """Read an invoice as Stripe's partial payments leave it. The stand-in has none."""
            found = read(plans, invoice_id)
            return found if found.status == "paid" else msgspec.structs.replace(found, paid=3000, remaining=3000)

        monkeypatch.setattr(StripePlans, "invoice", paid_in_part)
        place_with_plan.advance(days=32)
        shop = place_with_plan.shop
        shop.deliver_all()
        assert shop.balance == 15 * DOLLAR  # of the first period only
        unpaid = shop.planning.unpaid(place_with_plan.plan)
        assert unpaid is not None
        shop.client.invoices.pay(unpaid.id, {"payment_method": "pm_card_visa"})
        shop.deliver_all()
        assert shop.balance == 30 * DOLLAR

    def test_a_renewal_that_is_never_paid_ends_the_plan(self, place_with_plan: PlanShop) -> None:
        place_with_plan.started()
        _spoil(place_with_plan)
        for _ in range(2):
            place_with_plan.advance(days=32 if len(place_with_plan.invoices()) < 2 else 20)
            place_with_plan.shop.deliver_all()
        assert place_with_plan.plan.state is PlanState.ENDED
        assert len(place_with_plan.mails("plan-unpaid")) == 1
        assert place_with_plan.paid() == [6000]
        # Another plan may start.
        place_with_plan.started()
        assert place_with_plan.plan.state is PlanState.ACTIVE

    def test_another_card_is_used_only_after_it_is_chosen(self, place_with_plan: PlanShop) -> None:
        place_with_plan.started()
        saved, planning = place_with_plan.save_card("pm_card_mastercard"), place_with_plan.shop.planning
        own, other = planning.cards(place_with_plan.plan, WORKSPACE)
        assert own is not None
        assert other is not None
        assert (own.brand, other.brand) == ("visa", "mastercard")
        planning.choose_card(PAYER, WORKSPACE)
        assert place_with_plan.subscription.default_payment_method == saved

    def test_a_running_plan_keeps_its_terms(self, place_with_plan: PlanShop) -> None:
        """Case 24: a change of the catalogue moves no money."""
        place_with_plan.started()
        shop = place_with_plan.shop
        shop.plan_terms = PlanTerms(seat_price=99 * DOLLAR, seat_credit=DOLLAR)
        shop.build()
        place_with_plan.advance(days=32)
        shop.deliver_all()
        assert place_with_plan.paid() == [6000, 6000]
        assert shop.balance == 30 * DOLLAR

    def test_an_open_invoice_that_is_voided_moves_no_money(self, place_with_plan: PlanShop) -> None:
        place_with_plan.started()
        _spoil(place_with_plan)
        place_with_plan.advance(days=32)
        shop = place_with_plan.shop
        shop.deliver_all()
        unpaid = shop.planning.unpaid(place_with_plan.plan)
        assert unpaid is not None
        shop.client.invoices.void_invoice(unpaid.id)
        shop.deliver_all()
        assert [row["status"] for row in place_with_plan.invoices()] == ["paid", "void"]
        assert (shop.balance, shop.sum(AccountKind.PLAN_INCOME)) == (15 * DOLLAR, -60 * DOLLAR)

    def test_webhooks_that_never_came_are_swept(self, place_with_plan: PlanShop) -> None:
        place_with_plan.start()
        place_with_plan.shop.receiving.sweep()
        assert (place_with_plan.plan.state, place_with_plan.shop.balance) == (PlanState.ACTIVE, 15 * DOLLAR)


class TestMoneyBack:
    def test_a_refund_takes_income_and_leaves_the_credit(self, place_with_plan: PlanShop) -> None:
        place_with_plan.started()
        shop = place_with_plan.shop
        charge = shop.client.charges.list({"limit": 1}).data[0]
        for amount in (1000, 5000):
            shop.client.refunds.create({"charge": charge.id, "amount": amount})
        events = shop.events() * 3
        random.Random(1).shuffle(events)
        shop.deliver(*events)
        assert shop.sum(AccountKind.PLAN_INCOME) == shop.sum(AccountKind.REFUNDS) == 0
        assert shop.balance == 15 * DOLLAR
        with shop.books.database.transaction() as connection:
            assert list(clearing(connection, utc_now() + timedelta(days=9))) == []
        shop.books.verify()

    def test_a_refund_that_overtakes_its_payment_ends_the_same(self, place_with_plan: PlanShop) -> None:
        place_with_plan.start()
        shop = place_with_plan.shop
        shop.client.refunds.create({"charge": shop.client.charges.list({"limit": 1}).data[0].id})
        shop.deliver(*reversed(shop.events()))
        assert shop.sum(AccountKind.PLAN_INCOME) == shop.sum(AccountKind.STRIPE_CLEARING) == 0
        assert shop.kept() == []

    def test_a_credit_note_is_shown_and_its_refund_is_booked_once(self, place_with_plan: PlanShop) -> None:
        place_with_plan.started()
        shop = place_with_plan.shop
        (invoice,) = place_with_plan.invoices()
        shop.client.credit_notes.create(
            {"invoice": invoice["id"], "amount": 2000, "refund_amount": 1500, "credit_amount": 500}
        )
        shop.deliver(*shop.events(), *reversed(shop.events()))
        assert place_with_plan.invoices()[0]["credited"] == 20 * DOLLAR
        assert shop.sum(AccountKind.PLAN_INCOME) == -45 * DOLLAR
        # The rest waits at Stripe, and lowers the next invoice.
        place_with_plan.advance(days=32)
        shop.deliver_all()
        assert place_with_plan.paid() == [6000, 5500]
        assert shop.sum(AccountKind.PLAN_INCOME) == -100 * DOLLAR
        shop.books.verify()

    @pytest.mark.parametrize("won", [True, False])
    def test_a_dispute_freezes_income_until_it_ends(self, place_with_plan: PlanShop, won: bool) -> None:
        place_with_plan.started()
        shop = place_with_plan.shop
        charge = shop.client.charges.list({"limit": 1}).data[0].id
        dispute = shop.stand_in.control("disputes/open", charge=charge)
        shop.deliver_all()
        assert shop.sum(AccountKind.DISPUTES) == 60 * DOLLAR
        shop.stand_in.control("disputes/end", dispute=dispute, won=won)
        shop.deliver_all()
        assert shop.sum(AccountKind.DISPUTES) == 0
        assert shop.sum(AccountKind.PLAN_INCOME) == (-60 * DOLLAR if won else 0)
        shop.books.verify()


class TestEnding:
    def test_one_click_ends_a_plan_with_its_period_and_another_one_resumes_it(self, place_with_plan: PlanShop) -> None:
        plan, planning = place_with_plan.started(), place_with_plan.shop.planning
        assert planning.cancel(PAYER, WORKSPACE).ends_at == plan.period_end
        assert place_with_plan.subscription.cancel_at_period_end
        assert planning.next_invoice(place_with_plan.plan) is None
        assert planning.resume(PAYER, WORKSPACE).ends_at is None
        assert not place_with_plan.subscription.cancel_at_period_end
        planning.cancel(PAYER, WORKSPACE)
        place_with_plan.advance(days=32)
        place_with_plan.shop.deliver_all()
        assert (place_with_plan.plan.state, place_with_plan.paid()) == (PlanState.ENDED, [6000])

    def test_each_command_is_audited_with_its_person(self, place_with_plan: PlanShop) -> None:
        place_with_plan.started()
        planning = place_with_plan.shop.planning
        planning.cancel(PAYER, WORKSPACE)
        planning.resume(PAYER, WORKSPACE)
        planning.choose_card(PAYER, WORKSPACE)
        rows = place_with_plan.shop.rows(select(audit_entries.c.action, audit_entries.c.actor_id))
        found = [row["action"] for row in rows if row["action"].startswith("plan.") and row["actor_id"] == PAYER.id]
        assert found == ["plan.begun", "plan.canceled", "plan.resumed", "plan.card_chosen"]

    def test_a_workspace_without_a_plan_has_nothing_to_cancel(self, place_with_plan: PlanShop) -> None:
        for command in (place_with_plan.shop.planning.cancel, place_with_plan.shop.planning.resume):
            with pytest.raises(NotFound) as caught:
                command(PAYER, WORKSPACE)
            assert caught.value.code == "plan_not_found"

    def test_an_end_that_stripe_says_by_its_time_alone_counts(self, place_with_plan: PlanShop) -> None:
        """The flexible billing mode may leave `cancel_at_period_end` false."""
        plan, effects = place_with_plan.started(), place_with_plan.shop.plan_effects
        found = effects._stripe.subscription(plan.subscription_id)
        later = msgspec.structs.replace(found, ends_at=found.period_end)
        with place_with_plan.shop.books.booking.unit() as unit:
            effects._apply_subscription(unit, later, place_with_plan.plan.version)
        assert place_with_plan.plan.ends_at == plan.period_end

    def test_an_older_state_that_arrives_late_revives_nothing(self, place_with_plan: PlanShop) -> None:
        """Cases 21 and 22: the state was read before another process has written a newer one."""
        plan, shop = place_with_plan.started(), place_with_plan.shop
        late = shop.plan_effects.of_subscription(plan.subscription_id)
        shop.client.subscriptions.cancel(plan.subscription_id)
        shop.deliver_all()
        with pytest.raises(StaleRead), shop.books.booking.unit() as unit:
            late(unit)
        events = shop.events("customer.subscription.deleted", "customer.subscription.updated")
        shop.deliver(*reversed(events))
        assert place_with_plan.plan.state is PlanState.ENDED

    def test_the_plan_of_a_deleted_workspace_does_not_renew(self, place_with_plan: PlanShop) -> None:
        """Case 69."""
        place_with_plan.started()
        shop = place_with_plan.shop
        with shop.books.database.transaction() as connection:
            deleted = update(workspaces).where(workspaces.c.id == WORKSPACE)
            connection.execute(deleted.values(deleted_at=utc_now()))
        shop.following.sweep()
        assert place_with_plan.subscription.cancel_at_period_end
        assert place_with_plan.plan.ends_at == place_with_plan.plan.period_end


def _spoil(place: PlanShop) -> None:
    """Let the card of the plan decline from now on."""
    bad = place.save_card("pm_card_chargeCustomerFail")
    place.shop.client.subscriptions.update(place.plan.subscription_id, {"default_payment_method": bad})


def _try(step: Any) -> bool:
    try:
        step()
    except ServiceError as error:
        # A busy row, or Stripe's conflict of two equal requests: the sender repeats it.
        return error.code == "plan_exists"
    return True

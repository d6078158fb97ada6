"""A plan that was started and paid twice runs once: the second subscription is canceled and paid back in full."""

from __future__ import annotations

import random
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
import stripe
from sqlalchemy import select, update

from opencode_cloud.billing.models.accounts import AccountKind
from opencode_cloud.contracts.ids import RefundOrderId, SecondSubscriptionId
from opencode_cloud.contracts.outbox import Topic
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.errors import Unavailable
from opencode_cloud.payments.deliveries import ReloadDeliveries
from opencode_cloud.payments.models.plans import PlanState
from opencode_cloud.payments.models.refunds import RefundState
from opencode_cloud.payments.stripe_plans import StripePlans
from opencode_cloud.schema.payments import payment_refunds, plans, second_subscriptions
from tests.unit.billing.books import DOLLAR
from tests.unit.crashes import Crash, dying_before
from tests.unit.payments.plans import PlanShop
from tests.unit.payments.reloads import BASE
from tests.unit.payments.shop import BACK, PAYER, Shop
from tests.unit.usage.events import WORKSPACE


class Twice:
    """A workspace with a plan, and what makes second starts of it."""

    def __init__(self, place: PlanShop) -> None:
        self.place = place
        self.shop = place.shop
        self.card = place.save_card()
        self.plan = place.started()

    def pay_again(self, plan_id: str = "", **fields: Any) -> str:
        """Pay a second start at Stripe; return its subscription. Nothing is delivered."""
        wanted: Any = {
            "customer": self.place.customer,
            "items": [{"price": StripePlans(self.shop.api).price(20 * DOLLAR), "quantity": 3}],
            "default_payment_method": self.card,
            "metadata": {"seat_plan": plan_id or self.plan.id},
        }
        return self.shop.client.subscriptions.create(wanted | fields).id

    def work(self) -> None:
        """Do what the queue ``reloads`` brings, until nothing is left."""
        place = self.shop.books.place
        seconds, refunds = place.told(Topic.SECOND_SUBSCRIPTION), place.told(Topic.REFUND)
        place.messages.clear()
        for each in seconds:
            self.shop.seconds.run(SecondSubscriptionId(each))
        for each in refunds:
            self.shop.refunding.run(RefundOrderId(each))
        if place.told(Topic.SECOND_SUBSCRIPTION) or place.told(Topic.REFUND):
            self.work()

    def later(self) -> None:
        """Let the rows be old enough for the sweep."""
        then = utc_now() - timedelta(hours=2)
        with self.shop.books.database.transaction() as connection:
            for rows in (second_subscriptions, payment_refunds):
                connection.execute(update(rows).values(updated_at=then))

    def sweep(self) -> None:
        """Do what the hourly sweep and its messages do."""
        self.later()
        self.shop.receiving.sweep()
        self.work()

    def status(self, subscription: str) -> str:
        return self.shop.client.subscriptions.retrieve(subscription).status

    @property
    def refunds(self) -> list[int]:
        """Amounts of all refunds at Stripe, in cents."""
        return [each.amount for each in self.shop.client.refunds.list({"limit": 100}).data]

    @property
    def is_done(self) -> bool:
        rows = self.shop.rows(select(second_subscriptions.c.ended_at))
        return all(row["ended_at"] for row in rows)

    def check(self, *canceled: str) -> None:
        """Check that the plan runs, and that each of some subscriptions is canceled and paid back once."""
        self.sweep()
        self.shop.deliver_all()
        assert self.shop.kept() == []
        assert [self.status(each) for each in canceled] == ["canceled"] * len(canceled)
        assert self.refunds == [6000] * len(canceled)
        assert self.is_done
        assert (self.place.plan.id, self.place.plan.state) == (self.plan.id, PlanState.ACTIVE)
        assert self.place.plan.subscription_id == self.plan.subscription_id
        assert self.shop.sum(AccountKind.PLAN_INCOME) == -60 * DOLLAR
        # The credit of one period, which the first payment bought.
        assert self.shop.balance == 15 * DOLLAR
        self.shop.books.verify()


@pytest.fixture
def twice(place_with_plan: PlanShop) -> Twice:
    return Twice(place_with_plan)


def test_it_is_canceled_paid_back_told_and_audited(twice: Twice) -> None:
    second = twice.pay_again()
    twice.shop.deliver_all()
    twice.work()
    twice.check(second)
    assert [each["amount"] for each in twice.place.mails("plan-paid-twice")] == ["$60.00"]
    actions = twice.shop.books.place.actions()
    assert (actions.count("subscription.canceled"), actions.count("refund.ordered")) == (1, 1)
    (order,) = twice.shop.refund_orders.of_workspace(WORKSPACE, None, 9)
    assert (order.requested_by, order.reason) == ("payments", "the plan was paid twice")


@pytest.mark.parametrize("seed", range(4))
def test_its_events_in_any_order_again_and_again_count_once(twice: Twice, seed: int) -> None:
    seconds = [twice.pay_again(), twice.pay_again()]
    draw, events = random.Random(seed), twice.shop.events() * 3
    draw.shuffle(events)
    for each in events:
        twice.shop.deliver(each)
        if draw.random() < 0.3:
            twice.work()
    twice.work()
    twice.check(*seconds)
    assert len(twice.place.mails("plan-paid-twice")) == 2


def test_an_invoice_that_overtakes_its_subscription_gives_no_credit(twice: Twice) -> None:
    second = twice.pay_again()
    twice.shop.deliver(twice.shop.events("invoice.paid")[-1])
    assert twice.shop.balance == 15 * DOLLAR
    twice.work()
    twice.check(second)


def test_the_start_that_is_paid_first_is_the_plan(place_with_plan: PlanShop) -> None:
    """The page opens twice: Stripe knows both subscriptions before any event comes."""
    place, shop = place_with_plan, place_with_plan.shop
    place.save_card()
    plan = place.start()
    twice = Twice.__new__(Twice)
    twice.place, twice.shop, twice.plan = place, shop, plan
    twice.card = place.save_card()
    first = shop.client.subscriptions.list({"customer": place.customer}).data[0].id
    second = twice.pay_again()
    shop.deliver(*shop.events("invoice.paid")[::-1])
    twice.work()
    assert (place.plan.subscription_id, twice.status(second), twice.status(first)) == (second, "active", "canceled")
    twice.plan = place.plan
    twice.check(first)


def test_a_start_that_was_given_up_and_is_paid_beside_another_plan_is_paid_back(place_with_plan: PlanShop) -> None:
    shop = place_with_plan.shop
    old, _ = shop.planning.begin(PAYER, WORKSPACE, BASE, BACK)
    shop.planning.cancel(PAYER, WORKSPACE)
    twice = Twice(place_with_plan)
    second = twice.pay_again(old.id)
    shop.deliver_all()
    twice.work()
    twice.check(second)
    (row,) = shop.rows(select(plans.c.state).where(plans.c.id == old.id))
    assert row["state"] == "ended"


@pytest.mark.parametrize(
    ("method", "path"), [("DELETE", "/v1/subscriptions/.*"), ("POST", "/v1/refunds"), ("GET", "/v1/invoices")]
)
@pytest.mark.parametrize("fault", ["drop_after"])
def test_an_answer_that_is_lost_is_asked_for_again_by_the_sweep(
    twice: Twice, method: str, path: str, fault: str
) -> None:
    second = twice.pay_again()
    twice.shop.deliver(*twice.shop.events("customer.subscription.created"))
    twice.shop.stand_in.fault(fault, method=method, path=path, times=3)
    with pytest.raises(Unavailable):
        twice.work()
    twice.sweep()
    twice.check(second)


@pytest.mark.slow
def test_a_process_that_dies_before_any_statement_pays_back_once(twice: Twice) -> None:
    """The queue forgets its message too: the sweep goes on. Every third statement is tried."""
    seconds: list[str] = []
    statement, died = 0, True
    while died:
        statement += 3
        seconds.append(twice.pay_again())
        died = False
        try:
            with dying_before(twice.shop.books.database, statement):
                twice.shop.deliver(*twice.shop.events("customer.subscription.created")[-1:])
                twice.work()
        except Crash:
            died = True
        twice.shop.deliver(*twice.shop.events("customer.subscription.created")[-1:])
        twice.shop.books.place.messages.clear()
        twice.sweep()
        assert len(twice.refunds) == len(seconds)
        assert twice.status(seconds[-1]) == "canceled"
    assert statement > 60
    twice.sweep()
    assert twice.is_done
    assert set(twice.refunds) == {6000}
    assert len(twice.place.mails("plan-paid-twice")) == len(seconds)
    assert twice.shop.sum(AccountKind.PLAN_INCOME) == -60 * DOLLAR
    twice.shop.books.verify()


@pytest.mark.parametrize("won", [True, False])
def test_a_disputed_payment_is_not_paid_back_beside_the_dispute(twice: Twice, won: bool) -> None:
    """Stripe refunds no payment that was charged back. An order that it refuses is repeated, and not for ever."""
    second = twice.pay_again()
    charge = twice.shop.client.charges.list({"limit": 1}).data[0].id
    twice.shop.stand_in.control("disputes/open", charge=charge)
    twice.shop.deliver_all()
    for _ in range(7):
        twice.sweep()
    assert (twice.status(second), twice.is_done) == ("canceled", False)
    dispute = twice.shop.client.disputes.list({"limit": 1}).data[0].id
    twice.shop.stand_in.control("disputes/end", dispute=dispute, won=won)
    twice.shop.deliver_all()
    for _ in range(7):
        twice.sweep()
    assert (twice.refunds, twice.is_done, twice.shop.kept()) == ([], not won, [])
    orders = twice.shop.refund_orders.of_workspace(WORKSPACE, None, 99)
    assert (len(orders), {each.state for each in orders}) == (5 if won else 1, {RefundState.REFUSED})
    assert len(twice.place.mails("plan-paid-twice")) == 1
    twice.shop.books.verify()


def test_one_that_waits_long_goes_behind_the_others(twice: Twice) -> None:
    twice.pay_again()
    charge = twice.shop.client.charges.list({"limit": 1}).data[0].id
    twice.shop.stand_in.control("disputes/open", charge=charge)
    twice.shop.deliver_all()

    def last_run() -> Any:
        with twice.shop.books.database.transaction() as connection:
            return connection.execute(select(second_subscriptions.c.updated_at)).scalar_one()

    before = last_run()
    twice.sweep()
    assert (twice.is_done, last_run() > before) == (False, True)


def test_a_second_payment_that_is_not_back_after_a_day_raises_an_alarm(
    twice: Twice, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[str] = []
    monkeypatch.setattr("opencode_cloud.payments.service.second_subscriptions.count", counted.append)
    twice.pay_again()
    charge = twice.shop.client.charges.list({"limit": 1}).data[0].id
    twice.shop.stand_in.control("disputes/open", charge=charge)
    twice.shop.deliver_all()
    twice.sweep()
    assert counted == []
    with twice.shop.books.database.transaction() as connection:
        connection.execute(update(second_subscriptions).values(created_at=utc_now() - timedelta(days=1)))
    twice.sweep()
    assert counted == ["SecondSubscriptionOpen"]


def test_a_payment_that_an_operator_has_paid_back_is_not_paid_back_again(twice: Twice) -> None:
    second = twice.pay_again()
    charge = twice.shop.client.charges.list({"limit": 1}).data[0].id
    twice.shop.client.refunds.create({"charge": charge})
    twice.shop.deliver_all()
    twice.work()
    twice.check(second)


def test_a_renewal_that_was_paid_before_the_end_is_paid_back_too(twice: Twice) -> None:
    second = twice.pay_again()
    twice.place.advance(days=31)
    twice.shop.deliver_all()
    twice.work()
    twice.shop.deliver_all()
    twice.sweep()
    assert (twice.status(second), twice.refunds, twice.is_done) == ("canceled", [6000, 6000], True)
    assert twice.shop.sum(AccountKind.PLAN_INCOME) == -120 * DOLLAR


def test_the_end_of_a_second_subscription_ends_no_plan(twice: Twice) -> None:
    """The plan ends later, and an event of the second subscription revives nothing."""
    second = twice.pay_again()
    twice.shop.deliver_all()
    twice.work()
    twice.shop.client.subscriptions.cancel(twice.plan.subscription_id)
    twice.shop.deliver_all()
    assert (twice.place.plan.state, twice.place.plan.subscription_id) == (PlanState.ENDED, twice.plan.subscription_id)
    assert twice.refunds == [6000]
    assert twice.status(second) == "canceled"


def test_an_attempt_that_is_not_paid_and_is_told_late_sends_no_mail_and_shows_no_invoice(twice: Twice) -> None:
    """Checkout may make a subscription for each attempt. Its invoice must not be paid beside the plan."""
    waiting = twice.pay_again(payment_behavior="default_incomplete")
    invoice = twice.shop.client.subscriptions.retrieve(waiting).latest_invoice
    ask: Any = {"payment_method": "pm_card_authenticationRequired", "off_session": False}
    with suppress(stripe.StripeError):
        twice.shop.client.invoices.pay(invoice, ask)
    twice.shop.deliver_all()
    assert twice.place.mails("plan-unpaid") == []
    assert twice.shop.planning.unpaid(twice.plan) is None
    twice.check()


def test_the_queue_brings_it_to_its_end(twice: Twice) -> None:
    shop: Shop = twice.shop
    second = twice.pay_again()
    shop.deliver_all()
    (own_id,) = shop.books.place.told(Topic.SECOND_SUBSCRIPTION)
    deliveries = ReloadDeliveries(shop.reloading, shop.refunding, shop.following, shop.seconds)
    record = {"messageId": "m", "receiptHandle": "r", "body": f'{{"second": "{own_id}"}}'}
    assert deliveries.handle({"Records": [record, record]}) == {"batchItemFailures": []}
    assert twice.status(second) == "canceled"
    twice.work()
    twice.check(second)

"""I7 for plans: seats, renewals, declines, refunds, crashes and redeliveries in any order end in the same books."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from local.database import OWNER, LocalDatabase
from local.stripe import StripeStandIn
from opencode_cloud.billing.models.accounts import AccountKind
from opencode_cloud.kit.errors import ServiceError
from opencode_cloud.kit.money import CENT
from opencode_cloud.kit.sql import Database
from opencode_cloud.payments.models import StripeRefused
from opencode_cloud.payments.models.plans import PLAN_STATES, PlanState
from opencode_cloud.schema.billing import ledger_payments
from opencode_cloud.schema.mail import mails
from tests.conftest import clear
from tests.unit.billing.books import DOLLAR, Books
from tests.unit.crashes import Crash, dying_before
from tests.unit.payments.plans import PlanShop
from tests.unit.payments.reloads import BASE
from tests.unit.payments.shop import PAYER, Shop
from tests.unit.usage.events import WORKSPACE
from tests.unit.workspaces.team import Place


class PlanLife:
    """A workspace with a plan, and what happens to it."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.place = PlanShop(shop)
        self.place.save_card()
        self.fatal = 0
        """The statement at which the next step dies; 0: it does not."""

    def step(self, name: str, number: int) -> None:
        # The queue and Stripe deliver again, and people press the button again. A refused step changes nothing.
        with suppress(Crash, ServiceError, StripeRefused), dying_before(self.shop.books.database, self.fatal):
            getattr(self, name)(number)
        self.fatal = 0

    # --------------------------------------------------------------------------------- steps

    def start(self, number: int) -> None:
        if number % 2:
            self.shop.planning.begin_by_card(PAYER, WORKSPACE, BASE)
        else:
            self.place.start("pm_card_visa" if number % 4 else "pm_card_pendingRefund")

    def hire(self, _number: int) -> None:
        self.place.hire()

    def dismiss(self, _number: int) -> None:
        if len(self.place.people) > 1:
            self.place.dismiss(self.place.people.pop())

    def seats(self, _number: int) -> None:
        self.shop.following.set_seats(WORKSPACE)

    def month(self, number: int) -> None:
        self.place.advance(days=number % 30 + 5)

    def change_card(self, number: int) -> None:
        cards = ("pm_card_visa", "pm_card_chargeCustomerFail", "pm_card_mastercard")
        self.place.save_card(cards[number % 3])
        self.shop.planning.choose_card(PAYER, WORKSPACE)

    def pay(self, _number: int) -> None:
        for each in self.shop.client.invoices.list({"status": "open", "limit": 100}).data:
            self.shop.client.invoices.pay(each.id, {"payment_method": "pm_card_visa"})

    def void(self, number: int) -> None:
        for each in self.shop.client.invoices.list({"status": "open", "limit": 100}).data[: number % 2]:
            self.shop.client.invoices.void_invoice(each.id)

    def refund(self, number: int) -> None:
        charges = [each for each in self.shop.client.charges.list({"limit": 100}).data if each.paid]
        if charges:
            charge = charges[number % len(charges)]
            left = charge.amount - charge.amount_refunded
            if left > 0:
                amount = left if number % 2 else max(1, left // 3)
                self.shop.client.refunds.create({"charge": charge.id, "amount": amount})

    def cancel(self, _number: int) -> None:
        self.shop.planning.cancel(PAYER, WORKSPACE)

    def resume(self, _number: int) -> None:
        self.shop.planning.resume(PAYER, WORKSPACE)

    def deliver(self, number: int) -> None:
        events = self.shop.events()
        random.Random(number).shuffle(events)
        self.shop.deliver(*events[: number % 12])

    def sweep(self, _number: int) -> None:
        self.shop.receiving.sweep()

    def die(self, number: int) -> None:
        self.fatal = number % 35 + 1

    # --------------------------------------------------------------------------------- the end

    def settle(self) -> None:
        """Deliver everything that was missed, several times and in disorder."""
        for each in self.shop.client.refunds.list({"limit": 100}).data:
            if each.status == "pending":
                self.shop.stand_in.control("refunds/complete", refund=each.id)
        for seed in range(2):
            self.shop.receiving.sweep()
            events = self.shop.events()
            random.Random(seed).shuffle(events)
            self.shop.deliver(*events, *events)
            self.place.work()
        self.shop.receiving.sweep()
        self.shop.deliver_all()

    def check(self) -> None:
        shop, client = self.shop, self.shop.client
        shop.books.verify()
        assert shop.kept() == []
        charges = [each for each in client.charges.list({"limit": 100}).data if each.paid]
        payments = shop.rows(select(ledger_payments))
        assert sorted(row["id"] for row in payments) == sorted(each.payment_intent for each in charges)
        back = sum(each.amount for each in client.refunds.list({"limit": 100}).data)
        income = sum(each.amount for each in charges) - back
        assert shop.sum(AccountKind.PLAN_INCOME) == -income * CENT
        assert shop.sum(AccountKind.STRIPE_CLEARING) == shop.sum(AccountKind.REFUNDS) == 0
        self._check_invoices()
        self._check_plan()

    def _check_invoices(self) -> None:
        found = self.shop.client.invoices.list({"limit": 100}).data
        rows = {row["id"]: row for row in self.place.invoices()}
        assert {each.id: (each.status, each.amount_paid * CENT) for each in found} == {
            own_id: (row["status"], row["paid"]) for own_id, row in rows.items()
        }
        periods = {each.id for each in found if each.status == "paid" and rows[each.id]["seats"]}
        granted = [each for each in self.shop.books.transactions() if each.kind == "plan_credit"]
        assert sorted(each.idempotency_key for each in granted) == sorted(periods)
        assert self.shop.sum(AccountKind.PROMOTIONS) == sum(_credit(rows[each]) for each in periods)
        told = self.shop.rows(select(mails.c.variables).where(mails.c.template == "plan-unpaid"))
        numbers = [row["variables"]["number"] for row in told]
        assert len(numbers) == len(set(numbers))

    def _check_plan(self) -> None:
        plan = self.shop.planning.get(WORKSPACE)
        live = [
            each
            for each in self.shop.client.subscriptions.list({"status": "all", "limit": 100}).data
            if each.status != "canceled"
        ]
        assert len(live) <= 1
        if plan is None or not plan.subscription_id:
            assert live == []
            return
        found = self.shop.client.subscriptions.retrieve(plan.subscription_id)
        assert (plan.state, plan.seats) == (PLAN_STATES[found.status], found["items"].data[0].quantity)
        assert (plan.ends_at is not None) == (found.cancel_at is not None)
        if plan.state is not PlanState.ENDED:
            assert plan.seats == self.shop.planning.seats(WORKSPACE)


def _credit(invoice: Mapping[str, Any]) -> int:
    """Return the credit of a period: $5 for each seat of $20, but none for seats that Stripe has credited."""
    return min(invoice["seats"] * 5 * DOLLAR, invoice["paid"] * 5 // 20)


STEPS = ("hire", "dismiss", "seats", "month", "month", "change_card", "pay", "void", "refund", "cancel", "resume")
steps = st.lists(
    st.tuples(
        st.sampled_from((*STEPS, "start", "deliver", "deliver", "deliver", "sweep", "die", "die", "die")),
        st.integers(0, 1000),
    ),
    min_size=4,
    max_size=16,
)


@pytest.fixture
def born(
    database: Database, database_server: LocalDatabase, stripe_server: StripeStandIn
) -> Iterator[Callable[[], PlanLife]]:
    owner = Database(database_server.access.url(OWNER))

    def make() -> PlanLife:
        clear(database, owner)
        return PlanLife(Shop(Books(Place(database)), stripe_server))

    yield make
    owner.dispose()


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps)
def test_any_interleaving_ends_in_books_that_add_up(
    born: Callable[[], PlanLife], wanted: list[tuple[str, int]]
) -> None:
    life = born()
    life.step("start", len(wanted))
    for name, number in wanted:
        life.step(name, number)
    life.settle()
    life.check()

"""I7: usage, purchases, returns, reloads, crashes and redeliveries in any order end in the same books."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from local.database import OWNER, LocalDatabase
from local.stripe import StripeStandIn
from opencode_cloud.billing.models.accounts import AccountKind
from opencode_cloud.billing.service import drafts
from opencode_cloud.contracts.outbox import Topic
from opencode_cloud.contracts.usage import SettledEvent
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.errors import ServiceError
from opencode_cloud.kit.sql import Database
from opencode_cloud.payments.models import ReloadTerms, StripeRefused
from opencode_cloud.schema.billing import ledger_payments
from opencode_cloud.schema.payments import auto_reloads, payment_documents, top_ups
from tests.conftest import clear
from tests.unit.billing.books import AT, DOLLAR, Books
from tests.unit.crashes import Crash, dying_before
from tests.unit.payments.shop import PAYER, Shop
from tests.unit.usage.events import WORKSPACE
from tests.unit.workspaces.team import Place

TERMS = ReloadTerms(enabled=True, threshold=5 * DOLLAR, amount=10 * DOLLAR)


@dataclass
class Life:
    """A shop, and what has happened outside of its books."""

    shop: Shop
    used: list[SettledEvent] = field(default_factory=list[SettledEvent])
    granted: int = 0
    fatal: int = 0
    """The statement at which the next step dies; 0: it does not."""

    def step(self, name: str, number: int) -> None:
        # Stripe, the stream of usage and the queue deliver again. A refused step changes nothing.
        with suppress(Crash, ServiceError, StripeRefused), dying_before(self.shop.books.database, self.fatal):
            getattr(self, name)(number)
        self.fatal = 0

    # --------------------------------------------------------------------------------- steps

    def use(self, number: int) -> None:
        own = self.shop.books.use(len(self.used) + 1, (number % 9 + 1) * DOLLAR + number)
        self.used.append(own)
        self.shop.books.take(own)

    def grant(self, number: int) -> None:
        self.shop.books.book(drafts.grant(WORKSPACE, DOLLAR, f"grant-{number}", AT))

    def buy(self, number: int) -> None:
        cards = ("pm_card_visa", "pm_card_createDispute", "pm_card_pendingRefund", "pm_card_refundFail")
        top_up, session = self.shop.begin((number % 40 + 10) * DOLLAR)
        self.shop.stand_in.control("checkout/complete", session=session, payment_method=cards[number % 4])
        if number % 3 == 0:
            self.shop.reload_settings.change(PAYER, WORKSPACE, TERMS, "https://cloud.example.com")
        assert top_up.id

    def refund(self, number: int) -> None:
        charges = [each for each in self.shop.client.charges.list({"limit": 100}).data if each.paid]
        charges = [each for each in charges if not each.disputed]
        if charges:
            charge = charges[number % len(charges)]
            left = charge.amount - charge.amount_refunded
            if left > 0:
                amount = left if number % 2 else max(1, left // 3)
                self.shop.client.refunds.create({"charge": charge.id, "amount": amount})

    def settle_refund(self, number: int) -> None:
        waiting = [each for each in self.shop.client.refunds.list({"limit": 100}).data if each.status == "pending"]
        if waiting:
            step = "refunds/complete" if number % 2 else "refunds/fail"
            self.shop.stand_in.control(step, refund=waiting[number % len(waiting)].id)

    def end_dispute(self, number: int) -> None:
        running = [each for each in self.shop.client.disputes.list({"limit": 100}).data if not _ended(each)]
        if running:
            self.shop.stand_in.control("disputes/end", dispute=running[number % len(running)].id, won=bool(number % 2))

    def deliver(self, number: int) -> None:
        events = self.shop.events()
        random.Random(number).shuffle(events)
        self.shop.deliver(*events[: number % 12])

    def reload(self, _number: int) -> None:
        self.shop.reloading.run(WORKSPACE)

    def sweep(self, _number: int) -> None:
        self.shop.receiving.sweep()

    def die(self, number: int) -> None:
        self.fatal = number % 45 + 1

    # --------------------------------------------------------------------------------- the end

    def settle(self) -> None:
        """Deliver everything that was missed, several times and in disorder."""
        shop = self.shop
        for seed in range(2):
            shop.books.take(*self.used)
            events = shop.events()
            random.Random(seed).shuffle(events)
            shop.deliver(*events, *events)
            with shop.books.database.transaction() as connection:
                past = utc_now() - timedelta(hours=2)
                connection.execute(update(auto_reloads).where(auto_reloads.c.next_at.is_not(None)).values(next_at=past))
                connection.execute(update(top_ups).values(created_at=past))
            shop.receiving.sweep()
            while shop.books.place.told(Topic.RELOAD):
                shop.books.place.messages.clear()
                shop.reloading.run(WORKSPACE)
        shop.deliver_all()

    def check(self) -> None:
        shop = self.shop
        shop.books.verify()
        charges = [each for each in shop.client.charges.list({"limit": 100}).data if each.paid]
        payments = shop.rows(select(ledger_payments))
        assert sorted(row["id"] for row in payments) == sorted(each.payment_intent for each in charges)
        assert shop.books.postings() == {each.event.id: each.event.charged for each in self.used}
        granted = shop.sum(AccountKind.PROMOTIONS)
        paid = sum(row["credit"] - row["credit_returned"] for row in payments)
        used = sum(each.event.charged for each in self.used)
        assert shop.balance == paid + granted - used
        # Each charge is cleared, and each return that ended has left no rest.
        assert shop.sum(AccountKind.STRIPE_CLEARING) == 0
        refunds = shop.client.refunds.list({"limit": 100}).data
        assert shop.sum(AccountKind.REFUNDS) == 0
        documents = shop.rows(select(payment_documents))
        succeeded = [each for each in refunds if each.status == "succeeded"]
        for kind, issued in (("invoice", charges), ("credit_note", succeeded)):
            numbers = sorted(row["number"] for row in documents if row["kind"] == kind)
            assert numbers == list(range(1, len(issued) + 1))
        for row in payments:
            assert 0 <= row["returned"] <= row["gross"]
            assert row["returned"] != row["gross"] or row["credit_returned"] == row["credit"]


def _ended(dispute: Any) -> bool:
    return dispute.status in ("won", "lost")


STEPS = ("use", "use", "grant", "buy", "buy", "refund", "settle_refund", "end_dispute", "deliver", "deliver")
steps = st.lists(
    st.tuples(st.sampled_from((*STEPS, "reload", "sweep", "die", "die")), st.integers(0, 1000)), min_size=4, max_size=16
)


@pytest.fixture
def born(
    database: Database, database_server: LocalDatabase, stripe_server: StripeStandIn
) -> Iterator[Callable[[], Life]]:
    owner = Database(database_server.access.url(OWNER))

    def make() -> Life:
        clear(database, owner)
        return Life(Shop(Books(Place(database)), stripe_server))

    yield make
    owner.dispose()


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps)
def test_any_interleaving_ends_in_books_that_add_up(born: Callable[[], Life], wanted: list[tuple[str, int]]) -> None:
    life = born()
    for name, number in wanted:
        life.step(name, number)
    life.settle()
    life.check()

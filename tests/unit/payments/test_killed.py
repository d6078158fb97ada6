"""kill -9 after every step of every flow of money: repeated as the queue or Stripe does, each effect counts once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from opencode_cloud.billing.models.accounts import AccountKind
from opencode_cloud.billing.service import drafts
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.errors import Conflict
from opencode_cloud.kit.money import CENT
from opencode_cloud.payments.models import ReloadTerms
from opencode_cloud.payments.models.plans import PlanState
from opencode_cloud.schema.billing import ledger_payments
from opencode_cloud.schema.payments import payment_documents, payment_refunds, stripe_events, top_ups
from opencode_cloud.schema.webhooks import webhook_deliveries
from opencode_cloud.webhooks.service.announcing import Announcer
from opencode_cloud.webhooks.store.deliveries import DeliveryStore
from tests.unit.billing.books import AT, DOLLAR
from tests.unit.payments import mortal
from tests.unit.payments.mortal import Mortal
from tests.unit.payments.plans import PlanShop
from tests.unit.payments.reloads import ReloadShop, join
from tests.unit.payments.shop import TWENTY, Shop
from tests.unit.payments.test_announcements import hook
from tests.unit.usage.events import WORKSPACE


@pytest.fixture
def process(shop: Shop) -> Iterator[Mortal]:
    program = Mortal(shop)
    yield program
    program.end()


def check(shop: Shop, steps: int, least: int) -> None:
    """Check that the flow was killed at each of its steps, and that the books are whole."""
    assert steps > least
    shop.books.verify()
    for kind in ("invoice", "credit_note"):
        rows = shop.rows(select(payment_documents.c.number).where(payment_documents.c.kind == kind))
        assert sorted(row["number"] for row in rows) == list(range(1, len(rows) + 1))
    states = shop.rows(select(stripe_events.c.state).where(stripe_events.c.state == "kept"))
    assert list(states) == []


@pytest.mark.slow
def test_the_webhook_of_a_payment(shop: Shop, process: Mortal) -> None:
    steps, killed = 0, True
    shop.begin()  # makes the customer
    while killed:
        steps += 1
        shop.buy()
        event = shop.events("checkout.session.completed")[-1]
        killed = process.run("deliver", steps, event)
        shop.deliver(event)
        assert shop.balance == steps * TWENTY
    check(shop, steps, 20)


@pytest.mark.slow
def test_the_webhook_of_a_refund(shop: Shop, process: Mortal) -> None:
    top_up = shop.buy(500 * DOLLAR)
    shop.deliver_all()
    intent, steps, killed = shop.intent_of(top_up).id, 0, True
    while killed:
        steps += 1
        shop.client.refunds.create({"payment_intent": intent, "amount": 100})
        event = shop.events("refund.created")[-1]
        killed = process.run("deliver", steps, event)
        shop.deliver(event)
        assert _left(shop) == 500 * DOLLAR - 500 * DOLLAR * steps * 100 // top_up.gross_cents == shop.balance
    check(shop, steps, 20)


@pytest.mark.slow
def test_the_webhook_of_a_dispute(shop: Shop, process: Mortal) -> None:
    steps, killed = 0, True
    while killed:
        steps += 1
        top_up = shop.buy()
        shop.deliver_all()
        shop.stand_in.control("disputes/open", charge=shop.intent_of(top_up).latest_charge.id)
        event = shop.events("charge.dispute.created")[-1]
        killed = process.run("deliver", steps, event)
        shop.deliver(event)
        assert shop.balance == 0
    assert shop.sum(AccountKind.DISPUTES) == steps * 2123 * CENT
    check(shop, steps, 15)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_an_order_of_a_refund_and_its_execution(shop: Shop, process: Mortal) -> None:
    top_up = shop.buy(500 * DOLLAR)
    shop.deliver_all()
    payment, steps, killed = shop.top_up(top_up).payment_id, 0, True
    while killed:
        steps += 1
        given = {"payment": payment, "amount": 50 * CENT, "key": f"k{steps}"}
        killed = process.run("pay_back", steps, given)
        # The operator repeats the command, and the sweep or the queue goes on.
        mortal.pay_back(shop, given)
        assert len(shop.client.refunds.list({"payment_intent": payment, "limit": 100}).data) == steps
        assert _left(shop) == shop.balance
    rows = shop.rows(select(payment_refunds.c.state))
    assert [row["state"] for row in rows] == ["succeeded"] * steps
    shop.deliver_all()
    assert _left(shop) == 500 * DOLLAR - 500 * DOLLAR * steps * 50 // top_up.gross_cents == shop.balance
    check(shop, steps, 30)


@pytest.mark.slow
def test_usage_that_begins_a_reload_and_its_charge(shop: Shop) -> None:
    join(shop, shop.books.place.person("owner@example.com").account_id, "owner")
    place = ReloadShop(shop, ReloadTerms(enabled=True, threshold=5 * DOLLAR, amount=TWENTY))
    process, steps, killed = Mortal(shop), 0, True
    try:
        while killed:
            steps += 1
            given = {"number": steps, "amount": shop.balance}
            used = shop.books.use(number=steps, charged=shop.balance)
            killed = process.run("reload", steps, given)
            shop.books.take(used)
            place.later(hours=1)
            shop.receiving.sweep()
            place.work()
            assert len(place.charges) == steps
            assert (shop.balance, place.state) == (TWENTY, ("idle", ""))
    finally:
        process.end()
    shop.deliver_all()
    assert shop.balance == TWENTY
    check(shop, steps, 40)


@pytest.mark.slow
def test_the_sweep_of_a_purchase_whose_webhook_never_came(shop: Shop, process: Mortal) -> None:
    steps, killed = 0, True
    while killed:
        steps += 1
        shop.buy()
        with shop.books.database.transaction() as connection:
            connection.execute(update(top_ups).values(created_at=utc_now() - timedelta(hours=1)))
        killed = process.run("sweep", steps)
        shop.receiving.sweep()
        assert shop.balance == steps * TWENTY
    check(shop, steps, 20)


@pytest.mark.slow
def test_the_start_of_a_plan_by_card(shop: Shop, process: Mortal) -> None:
    place, steps, killed = PlanShop(shop), 0, True
    place.save_card()
    while killed:
        steps += 1
        killed = process.run("start_plan", steps)
        if killed:
            # The payer presses the button again.
            _again(lambda: mortal.start_plan(shop, None))
        shop.deliver_all()
        assert place.plan.state is PlanState.ACTIVE
        assert shop.sum(AccountKind.PLAN_INCOME) == -60 * DOLLAR * steps
        shop.client.subscriptions.cancel(place.plan.subscription_id)
        shop.deliver_all()
    assert place.paid() == [6000] * steps
    check(shop, steps, 15)


@pytest.mark.slow
def test_the_webhook_of_an_invoice_of_a_plan(shop: Shop, process: Mortal) -> None:
    place, steps, killed = PlanShop(shop), 0, True
    plan = place.started()
    while killed:
        steps += 1
        place.advance(days=31)
        event = shop.events("invoice.paid")[-1]
        killed = process.run("deliver", steps, event)
        shop.deliver(event)
        assert shop.sum(AccountKind.PLAN_INCOME) == -60 * DOLLAR * (steps + 1)
        assert shop.balance == 15 * DOLLAR * (steps + 1)
    assert plan.id == place.plan.id
    check(shop, steps, 25)


@pytest.mark.slow
def test_seats_that_follow_the_members(shop: Shop, process: Mortal) -> None:
    place, steps, killed = PlanShop(shop), 0, True
    place.started()
    while killed:
        steps += 1
        place.hire()
        killed = process.run("follow", steps)
        shop.following.sweep()
        assert place.subscription["items"].data[0].quantity == place.plan.seats == 3 + steps
    listed = shop.client.invoice_items.list({"customer": place.customer, "limit": 100})
    items = [*listed.auto_paging_iter()]
    assert len(items) == 2 * steps
    check(shop, steps, 10)


def _again(step: Callable[[], None]) -> None:
    """Repeat a command that may be done already."""
    with suppress(Conflict):
        step()


@pytest.mark.slow
def test_the_expiry_of_credit(shop: Shop, process: Mortal) -> None:
    steps, killed, end = 0, True, utc_now().replace(microsecond=0) - timedelta(days=1)
    while killed:
        steps += 1
        shop.books.book(drafts.grant(WORKSPACE, DOLLAR, f"g{steps}", AT, end))
        killed = process.run("expire", steps)
        mortal.expire(shop, None)
        expiries = [each for each in shop.books.transactions() if each.kind == "expiry"]
        assert len(expiries) == steps
        assert shop.sum(AccountKind.PROMOTIONS) == 0
    check(shop, steps, 8)


def test_a_message_to_a_webhook(shop: Shop, process: Mortal) -> None:
    hook(shop)
    announcer, steps, killed = Announcer(DeliveryStore()), 0, True
    while killed:
        steps += 1
        message = f"whk_{steps}"
        with shop.books.booking.unit() as unit:
            announcer.announce(unit, WORKSPACE, message, "webhook.test", {})
        killed = process.run("send", steps, message)
        mortal.send(shop, message)
        (row,) = shop.rows(select(webhook_deliveries).where(webhook_deliveries.c.id == message))
        assert (row["state"], len(row["attempts"])) == ("accepted", 1)
    assert steps > 4


def _left(shop: Shop) -> int:
    """Return the credit of all payments without what was taken back."""
    rows = shop.rows(select(ledger_payments.c.credit, ledger_payments.c.credit_returned))
    return sum(row["credit"] - row["credit_returned"] for row in rows)

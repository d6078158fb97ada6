"""Refunds and disputes take back the right part of the credit, in any order and any number of deliveries."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest

from opencode_cloud.billing.models.accounts import AccountKind
from opencode_cloud.billing.store.checks import clearing
from opencode_cloud.kit.clock import utc_now
from tests.unit.billing.books import CENT, DOLLAR
from tests.unit.payments.shop import OPERATOR, TWENTY, Shop
from tests.unit.usage.events import WORKSPACE


def test_three_partial_refunds_end_at_nothing_in_any_order_and_twice(shop: Shop) -> None:
    top_up = shop.buy()
    shop.deliver_all()
    intent = shop.intent_of(top_up).id
    for amount, left in ((700, 1_340_555_818), (700, 681_111_635), (723, 0)):
        shop.client.refunds.create({"payment_intent": intent, "amount": amount})
        shop.deliver_all()
        assert shop.balance == left

    events = shop.events() * 2
    random.Random(7).shuffle(events)
    shop.deliver(*events)

    assert shop.balance == 0
    assert shop.sum(AccountKind.FEES_INCOME) == 0
    shop.books.verify()


def test_refunds_that_overtake_their_payment_end_the_same(shop: Shop) -> None:
    top_up = shop.buy()
    for amount in (700, 700):
        shop.client.refunds.create({"payment_intent": shop.intent_of(top_up).id, "amount": amount})

    shop.deliver(*shop.events()[::-1])

    assert shop.balance == 681_111_635
    assert shop.kept() == []


def test_a_full_refund_takes_exactly_the_credit(shop: Shop) -> None:
    top_up = shop.buy()
    shop.client.refunds.create({"payment_intent": shop.intent_of(top_up).id})
    shop.deliver_all()

    assert (shop.balance, shop.sum(AccountKind.FEES_INCOME)) == (0, 0)


def test_a_small_refund_takes_its_share(shop: Shop) -> None:
    top_up = shop.buy(10 * DOLLAR)
    shop.client.refunds.create({"payment_intent": shop.intent_of(top_up).id, "amount": 333})
    shop.deliver_all()

    assert shop.balance == 10 * DOLLAR - 309_192_200


def test_a_refund_of_credit_that_was_spent_leaves_a_debt(shop: Shop) -> None:
    top_up = shop.buy()
    shop.deliver_all()
    shop.books.take(shop.books.use(1, 15 * DOLLAR))
    shop.client.refunds.create({"payment_intent": shop.intent_of(top_up).id})
    shop.deliver_all()
    assert shop.balance == -15 * DOLLAR

    shop.buy()
    shop.deliver_all()

    assert shop.balance == 5 * DOLLAR
    shop.books.verify()


def test_a_pending_refund_is_frozen_and_posted_when_it_succeeds(shop: Shop) -> None:
    top_up = shop.buy(card="pm_card_pendingRefund")
    refund = shop.client.refunds.create({"payment_intent": shop.intent_of(top_up).id, "amount": 700})
    shop.deliver_all()
    assert shop.balance == 1_340_555_818
    assert shop.sum(AccountKind.REFUNDS) == 0

    shop.stand_in.control("refunds/complete", refund=refund.id)
    shop.deliver_all()

    assert shop.balance == 1_340_555_818
    assert shop.sum(AccountKind.REFUNDS) == 0
    assert shop.sum(AccountKind.BANK) == (2123 - 700) * CENT - shop.sum(AccountKind.STRIPE_FEES)


def test_a_refund_that_fails_gives_the_credit_back(shop: Shop) -> None:
    top_up = shop.buy(card="pm_card_pendingRefund")
    refund = shop.client.refunds.create({"payment_intent": shop.intent_of(top_up).id, "amount": 700})
    shop.deliver_all()

    shop.stand_in.control("refunds/fail", refund=refund.id)
    shop.deliver_all()

    assert shop.balance == TWENTY
    shop.books.verify()


def test_a_refund_that_fails_after_it_succeeded_gives_the_credit_back_once(shop: Shop) -> None:
    """The bank may return the money up to 30 days later."""
    top_up = shop.buy()
    refund = shop.client.refunds.create({"payment_intent": shop.intent_of(top_up).id, "amount": 700})
    shop.deliver_all()
    assert shop.balance == 1_340_555_818

    shop.stand_in.control("refunds/fail", refund=refund.id)
    for _ in range(2):
        shop.deliver(*shop.events()[::-1])

    assert (shop.balance, shop.kept()) == (TWENTY, [])
    assert shop.sum(AccountKind.BANK) == 2123 * CENT - shop.sum(AccountKind.STRIPE_FEES)
    shop.client.refunds.create({"payment_intent": shop.intent_of(top_up).id})
    shop.deliver_all()
    assert (shop.balance, shop.sum(AccountKind.FEES_INCOME)) == (0, 0)
    shop.books.verify()


def _dispute(shop: Shop, amount: int | None = None, **more: Any) -> str:
    top_up = shop.buy()
    charge = shop.intent_of(top_up).latest_charge.id
    given = {"charge": charge} | ({"amount": amount} if amount else {}) | more
    return shop.stand_in.control("disputes/open", **given)


def test_a_dispute_freezes_what_it_withdraws_and_a_won_one_gives_it_back(shop: Shop) -> None:
    dispute = _dispute(shop)
    shop.deliver_all()
    assert shop.balance == 0

    shop.stand_in.control("disputes/end", dispute=dispute, won=True)
    shop.deliver_all()

    assert shop.balance == TWENTY
    assert shop.sum(AccountKind.DISPUTES) == 0
    shop.books.verify()


def test_a_lost_dispute_that_an_appeal_wins_gives_the_credit_back(shop: Shop) -> None:
    dispute = _dispute(shop)
    shop.stand_in.control("disputes/end", dispute=dispute, won=False)
    shop.deliver_all()
    assert shop.balance == 0

    shop.stand_in.control("disputes/end", dispute=dispute, won=True)
    shop.deliver_all()

    assert (shop.balance, shop.kept()) == (TWENTY, [])
    assert shop.sum(AccountKind.BANK) == 2123 * CENT - shop.sum(AccountKind.STRIPE_FEES)
    shop.books.verify()


def test_the_operator_bears_the_fee_of_a_dispute_unless_stripe_gives_it_back(shop: Shop) -> None:
    """The account `bank` follows Stripe's balance to the cent."""
    dispute = _dispute(shop)
    for step, fees in ((None, 92 + 1500), (False, 92 + 1500), (True, 92)):
        if step is not None:
            shop.stand_in.control("disputes/end", dispute=dispute, won=step)
        shop.deliver_all()
        shop.deliver_all()
        assert shop.sum(AccountKind.STRIPE_FEES) == fees * CENT
        entries = shop.client.balance_transactions.list({"limit": 100}).data
        assert shop.sum(AccountKind.BANK) == sum(each.net for each in entries) * CENT
    assert (shop.balance, shop.kept()) == (TWENTY, [])
    shop.books.verify()


def test_a_dispute_takes_what_was_charged_although_the_account_is_paid_out_in_another_currency(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    dispute = _dispute(shop)
    ask = shop.api.ask

    def in_euros(request: Any) -> Any:
        found = ask(request)
        if getattr(found, "id", "") == dispute:
            for each in found.balance_transactions:
                each.amount, each.currency = each.amount * 9 // 10, "eur"
        return found

    monkeypatch.setattr(shop.api, "ask", in_euros)
    shop.deliver_all()

    assert shop.balance == 0


def test_a_lost_dispute_over_a_part_takes_its_share(shop: Shop) -> None:
    dispute = _dispute(shop, 500)
    shop.stand_in.control("disputes/end", dispute=dispute, won=False)

    shop.deliver(*shop.events()[::-1])
    shop.deliver_all()

    assert shop.balance == TWENTY - 471_031_559
    shop.books.verify()


@pytest.mark.parametrize("won", [False, True])
def test_a_dispute_over_all_after_a_refund_of_a_part_freezes_what_stripe_withdraws(shop: Shop, won: bool) -> None:
    """28.23 of 21.23 are away. In any order of events the payer owes the share of 7.00, until the dispute is won."""
    top_up = shop.buy()
    intent = shop.intent_of(top_up)
    shop.client.refunds.create({"payment_intent": intent.id, "amount": 700})
    dispute = shop.stand_in.control("disputes/open", charge=intent.latest_charge.id)
    shop.deliver(*shop.events()[::-1])
    assert (shop.balance, shop.kept()) == (-659_444_182, [])

    shop.stand_in.control("disputes/end", dispute=dispute, won=won)
    shop.deliver_all()

    away = 700 if won else 2823
    assert abs(shop.balance - (1_340_555_818 if won else -659_444_182)) <= 1
    assert shop.sum(AccountKind.BANK) == (2123 - away) * CENT - shop.sum(AccountKind.STRIPE_FEES)
    assert (shop.sum(AccountKind.DISPUTES), shop.kept()) == (0, [])
    shop.books.verify()


def test_a_refund_of_a_second_payment_that_an_operator_has_assigned_takes_the_credit_back(shop: Shop) -> None:
    top_up = shop.buy()
    shop.deliver_all()
    again: dict[str, Any] = {"amount": 2123, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True}
    again |= {"customer": shop.topping_up.customer(WORKSPACE), "metadata": {"top_up": top_up.id}}
    second = shop.client.payment_intents.create(again).id
    shop.deliver_all()
    assert (shop.balance, shop.kept()) == (TWENTY, ["payment_differs"])
    shop.credits.assign(OPERATOR, second, WORKSPACE, "paid twice")
    assert (shop.receiving.replay_kept(), shop.balance) == (1, TWENTY + 2123 * CENT)

    shop.client.refunds.create({"payment_intent": second})
    shop.deliver_all()

    assert (shop.balance, shop.kept()) == (TWENTY, [])
    shop.books.verify()


def test_an_inquiry_books_nothing(shop: Shop) -> None:
    inquiry = _dispute(shop, reason="inquiry")
    shop.deliver_all()
    shop.stand_in.control("disputes/end", dispute=inquiry, won=False)
    shop.deliver_all()

    assert shop.balance == TWENTY
    assert shop.sum(AccountKind.DISPUTES) == 0
    assert shop.kept() == []


def test_nothing_stays_uncleared_after_refunds_disputes_and_money_without_an_owner(shop: Shop) -> None:
    top_up = shop.buy()
    shop.client.refunds.create({"payment_intent": shop.intent_of(top_up).id, "amount": 700})
    for won in (False, True):
        shop.stand_in.control("disputes/end", dispute=_dispute(shop), won=won)
    _dispute(shop)
    stray = {"amount": 2123, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True}
    shop.client.payment_intents.create({**stray, "customer": shop.topping_up.customer(WORKSPACE)})

    shop.deliver_all()

    assert shop.kept() == ["payment_unknown"]
    with shop.books.database.transaction() as connection:
        assert list(clearing(connection, utc_now() + timedelta(days=1))) == []


@pytest.mark.parametrize("seed", range(3))
def test_everything_together_ends_the_same_in_any_order_with_repetitions(shop: Shop, seed: int) -> None:
    kept, refunded, disputed = shop.buy(), shop.buy(30 * DOLLAR), shop.buy(50 * DOLLAR)
    assert kept.id != refunded.id
    shop.client.refunds.create({"payment_intent": shop.intent_of(refunded).id, "amount": 1000})
    charge = shop.intent_of(disputed).latest_charge
    dispute = shop.stand_in.control("disputes/open", charge=charge.id)
    shop.stand_in.control("disputes/end", dispute=dispute, won=bool(seed % 2))
    events = shop.events() * 10
    random.Random(seed).shuffle(events)

    shop.deliver(*events)

    share = 30 * DOLLAR * 1000 // refunded.gross_cents
    assert shop.balance == TWENTY + 30 * DOLLAR - share + (50 * DOLLAR if seed % 2 else 0)
    assert shop.kept() == []
    shop.books.verify()

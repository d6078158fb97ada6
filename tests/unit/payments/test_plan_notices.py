"""The payers are told before each renewal: once for each period, with what is true then."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from opencode_cloud.payments.models.plans import PlanTerms
from opencode_cloud.schema.webhooks import webhook_deliveries
from tests.unit.billing.books import DOLLAR
from tests.unit.crashes import Crash, dying_before
from tests.unit.payments.plans import PlanShop
from tests.unit.payments.reloads import BASE
from tests.unit.payments.shop import PAYER
from tests.unit.payments.test_announcements import hook
from tests.unit.usage.events import WORKSPACE


@pytest.fixture
def soon(place_with_plan: PlanShop) -> PlanShop:
    """A plan that renews within the days of the notice."""
    place_with_plan.started()
    remind(place_with_plan, days=40)
    return place_with_plan


def remind(place: PlanShop, days: int) -> None:
    place.shop.plan_terms = PlanTerms(seat_price=20 * DOLLAR, seat_credit=5 * DOLLAR, notice_days=days)
    place.shop.build()


def test_the_payers_are_told_once_before_a_renewal(soon: PlanShop) -> None:
    soon.hire("billing")
    for _ in range(3):
        soon.shop.receiving.sweep()
    assert soon.plan.period_end is not None
    told = soon.mails("plan-renewal")
    assert len(told) == 2  # the owner and the billing manager
    assert {(each["seats"], each["amount"], each["card"], each["expired"]) for each in told} == {
        (3, "$60.00", "visa 4242", False)
    }
    assert told[0]["date"] == f"{soon.plan.period_end:%-d %B %Y, %H:%M} UTC"
    assert told[0]["url"] == f"{BASE}/console/{WORKSPACE}/payments/plan"


def test_nobody_is_told_before_the_days_of_the_notice(soon: PlanShop) -> None:
    remind(soon, days=7)
    soon.shop.following.sweep()
    assert soon.mails("plan-renewal") == []


def test_each_period_has_its_own_notice(soon: PlanShop) -> None:
    soon.shop.following.sweep()
    soon.advance(days=32)
    soon.shop.deliver_all()
    soon.shop.following.sweep()
    assert len(soon.mails("plan-renewal")) == 1  # the next period ends after the days of the notice
    remind(soon, days=80)
    soon.shop.following.sweep()
    assert len(soon.mails("plan-renewal")) == 2


def test_a_canceled_plan_has_no_renewal_to_tell_of(soon: PlanShop) -> None:
    soon.shop.planning.cancel(PAYER, WORKSPACE)
    soon.shop.following.sweep()
    assert soon.mails("plan-renewal") == []


def test_a_resumed_plan_is_told_of(soon: PlanShop) -> None:
    soon.shop.planning.cancel(PAYER, WORKSPACE)
    soon.shop.following.sweep()
    soon.shop.planning.resume(PAYER, WORKSPACE)
    soon.shop.following.sweep()
    assert len(soon.mails("plan-renewal")) == 1


def test_the_amount_holds_the_changes_of_seats(soon: PlanShop) -> None:
    soon.hire()
    soon.shop.following.sweep()
    (told,) = soon.mails("plan-renewal")
    assert (told["seats"], told["amount"]) == (4, "$100.00")  # four, and the fourth for the present month


def test_a_card_that_ends_before_the_renewal_is_named(soon: PlanShop) -> None:
    """Case 44."""
    end, stripe = soon.plan.period_end, soon.shop.stand_in
    assert end is not None
    before = end.replace(day=1) - timedelta(days=1)
    card = soon.subscription.default_payment_method
    dates: Any = {"card": {"exp_month": before.month, "exp_year": before.year}}
    stripe.client().v1.payment_methods.update(card, dates)
    soon.shop.following.sweep()
    (told,) = soon.mails("plan-renewal")
    assert told["expired"]


def test_the_webhook_of_the_workspace_gets_it_too(soon: PlanShop) -> None:
    hook(soon.shop)
    for _ in range(2):
        soon.shop.following.sweep()
    (row,) = soon.shop.rows(select(webhook_deliveries).where(webhook_deliveries.c.type == "plan.renewal"))
    assert b'"amount":6000000000' in row["body"]


def test_a_crash_at_any_statement_neither_loses_nor_doubles_it(place_with_plan: PlanShop) -> None:
    place_with_plan.started()
    months, ended = 0, False
    while not ended:
        months += 1
        remind(place_with_plan, days=31 * months + 9)
        with suppress(Crash), dying_before(place_with_plan.shop.books.database, months):
            place_with_plan.shop.following.sweep()
            ended = True
        place_with_plan.shop.following.sweep()
        assert len(place_with_plan.mails("plan-renewal")) == months
        place_with_plan.advance(days=31)
        place_with_plan.shop.plan_effects.refresh(place_with_plan.plan.subscription_id)
        place_with_plan.shop.following.sweep()
    assert months > 10

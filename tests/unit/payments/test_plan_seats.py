"""Seats follow the members: one rule counts them, and Stripe charges what changes in proportion."""

from __future__ import annotations

from sqlalchemy import update

from opencode_cloud.billing.models.accounts import AccountKind
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.schema.identity import accounts
from tests.unit.billing.books import DOLLAR
from tests.unit.payments.plans import PlanShop
from tests.unit.usage.events import WORKSPACE


def test_members_who_may_call_models_count_and_no_others(place_with_plan: PlanShop) -> None:
    planning = place_with_plan.shop.planning
    for role in ("admin", "viewer", "billing"):
        place_with_plan.hire(role)
    assert planning.seats(WORKSPACE) == 4
    with place_with_plan.shop.books.database.transaction() as connection:
        blocked = update(accounts).where(accounts.c.id == place_with_plan.people[1])
        connection.execute(blocked.values(blocked_at=utc_now()))
    assert planning.seats(WORKSPACE) == 3
    for each in place_with_plan.people:
        place_with_plan.dismiss(each)
    assert planning.seats(WORKSPACE) == 1


def test_more_seats_are_charged_in_proportion_on_the_next_invoice(place_with_plan: PlanShop) -> None:
    place_with_plan.started()
    half = (place_with_plan.subscription["items"].data[0].current_period_end - place_with_plan.now) / 2
    place_with_plan.advance(seconds=half)
    place_with_plan.hire()
    place_with_plan.shop.following.set_seats(WORKSPACE)
    assert place_with_plan.plan.seats == place_with_plan.subscription["items"].data[0].quantity == 4
    due = place_with_plan.shop.planning.next_invoice(place_with_plan.plan)
    assert due is not None
    assert due.due == 90 * DOLLAR  # four seats, and one for half a month
    assert place_with_plan.paid() == [6000]


def test_two_of_ten_who_leave_are_not_billed_again(place_with_plan: PlanShop) -> None:
    """Case 71."""
    for _ in range(7):
        place_with_plan.hire()
    place_with_plan.started()
    for each in place_with_plan.people[-2:]:
        place_with_plan.dismiss(each)
    place_with_plan.shop.following.set_seats(WORKSPACE)
    place_with_plan.advance(days=32)
    place_with_plan.shop.deliver_all()
    assert [row["seats"] for row in place_with_plan.invoices()] == [10, 8]
    assert place_with_plan.paid() == [20000, 12000]  # eight, without the two of the first month


def test_a_plan_of_four_of_which_one_stays_gets_the_rest_of_the_month_back(place_with_plan: PlanShop) -> None:
    """Case 72: halfway, the rest of a month of three seats is credited before anything is charged."""
    place_with_plan.hire()
    place_with_plan.started()
    half = (place_with_plan.subscription["items"].data[0].current_period_end - place_with_plan.now) / 2
    place_with_plan.advance(seconds=half)
    for each in place_with_plan.people[1:]:
        place_with_plan.dismiss(each)
    place_with_plan.shop.following.set_seats(WORKSPACE)
    place_with_plan.advance(days=20)
    place_with_plan.shop.deliver_all()
    first, second = place_with_plan.invoices()
    assert (first["total"], second["total"], second["due"], second["status"]) == (
        80 * DOLLAR,
        -10 * DOLLAR,
        0,
        "paid",
    )
    assert place_with_plan.paid() == [8000]
    # Nothing was paid for the second period, so only the first one gives credit.
    assert place_with_plan.shop.balance == 20 * DOLLAR


def test_seats_that_come_for_the_moment_of_a_renewal_give_no_credit(place_with_plan: PlanShop) -> None:
    """A seat costs $20 and includes $5: credit is never more than a quarter of what was paid."""
    place_with_plan.started()
    shop = place_with_plan.shop
    for days in (29, 31, 31):
        place_with_plan.advance(days=days)
        for _ in range(20):
            place_with_plan.hire()
        shop.following.set_seats(WORKSPACE)
        place_with_plan.advance(days=2)
        shop.deliver_all()
        for each in place_with_plan.people[-20:]:
            place_with_plan.dismiss(each)
        shop.following.set_seats(WORKSPACE)
        place_with_plan.advance(days=0.1)
        shop.deliver_all()
        assert shop.balance <= -shop.sum(AccountKind.PLAN_INCOME) // 4


def test_numbers_that_reach_stripe_in_the_wrong_order_are_corrected(place_with_plan: PlanShop) -> None:
    plan = place_with_plan.started()
    place_with_plan.hire()
    shop = place_with_plan.shop
    shop.following.set_seats(WORKSPACE)
    # An older request arrives late.
    item = {"id": plan.item_id, "quantity": 3}
    shop.client.subscriptions.update(plan.subscription_id, {"items": [item]})
    shop.deliver_all()
    place_with_plan.work()
    assert place_with_plan.subscription["items"].data[0].quantity == 4


def test_the_same_message_twice_changes_seats_once(place_with_plan: PlanShop) -> None:
    place_with_plan.started()
    place_with_plan.hire()
    for _ in range(3):
        place_with_plan.shop.following.set_seats(WORKSPACE)
    items = place_with_plan.shop.client.invoice_items.list({"customer": place_with_plan.customer}).data
    assert len(items) == 2

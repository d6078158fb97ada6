"""An automatic reload charges once for each crossing, and stops, tells and resumes. Numbers: docs/billing-cases.md."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from opencode_cloud.billing.service import drafts
from opencode_cloud.contracts.outbox import Topic
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.errors import Conflict, Unavailable, Unprocessable
from opencode_cloud.payments.models import ReloadState, ReloadTerms, TopUpState
from opencode_cloud.payments.service import reloading
from opencode_cloud.payments.service.topping_up import SaleTerms
from opencode_cloud.schema.payments import auto_reloads, top_ups
from tests.unit.billing.books import AT, DOLLAR
from tests.unit.crashes import Crash, dying_before
from tests.unit.payments.reloads import BASE, CAPPED, TERMS, TERMS_10, ReloadShop
from tests.unit.payments.shop import BACK, PAYER, TWENTY, UPSTREAM_FEE, Shop
from tests.unit.usage.events import WORKSPACE


def test_a_balance_below_the_threshold_is_reloaded_from_the_chosen_card(reload_shop: ReloadShop) -> None:
    reload_shop.spend(14 * DOLLAR)
    reload_shop.work()
    assert reload_shop.charges == []

    reload_shop.spend(2 * DOLLAR)
    reload_shop.work()

    assert reload_shop.charges == [2123]
    assert reload_shop.shop.balance == 24 * DOLLAR
    assert reload_shop.state == ("idle", "")
    reload_shop.shop.deliver_all()
    assert reload_shop.shop.balance == 24 * DOLLAR
    reload_shop.shop.books.verify()


def test_200_calls_that_cross_the_threshold_at_once_make_one_charge(reload_shop: ReloadShop) -> None:
    """Case 36."""
    shop = reload_shop.shop
    reload_shop.spend(14 * DOLLAR + 50_000_000)
    events = [shop.books.use(number, DOLLAR // 100) for number in range(1000, 1200)]
    reload_shop.number = 2000

    def use(event: Any) -> None:
        for _ in range(20):
            try:
                shop.books.take(event)
            except Unavailable:
                continue  # The stream delivers a batch again that conflicted.
            return

    with ThreadPoolExecutor(8) as crowd:
        list(crowd.map(use, events))
    told = shop.books.place.told(Topic.RELOAD)
    assert told == [WORKSPACE]
    with ThreadPoolExecutor(4) as crowd:
        list(crowd.map(lambda _: shop.reloading.run(WORKSPACE), range(4)))

    assert reload_shop.charges == [2123]
    assert shop.balance == TWENTY + TWENTY - 14 * DOLLAR - 50_000_000 - 2 * DOLLAR
    shop.books.verify()


def test_a_late_webhook_holds_the_lease(reload_shop: ReloadShop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Case 36: the webhook comes 40 minutes late, and calls go on below the threshold."""
    shop = reload_shop.shop
    monkeypatch.setattr(shop.effects, "of_payment", lambda _: _raise(Unavailable("stripe_unavailable", "", 5)))
    reload_shop.spend(16 * DOLLAR)
    with pytest.raises(Unavailable):
        reload_shop.work()
    for _ in range(5):
        reload_shop.spend(DOLLAR)
        with pytest.raises(Unavailable):
            shop.reloading.run(WORKSPACE)
    assert reload_shop.charges == [2123]

    monkeypatch.undo()
    shop.deliver_all()
    reload_shop.work()
    assert reload_shop.charges == [2123]
    assert shop.balance == 19 * DOLLAR
    assert reload_shop.state == ("idle", "")


def test_a_debt_is_covered_by_one_charge(reload_shop: ReloadShop) -> None:
    """Case 37: threshold 5, amount 10, balance -32: one charge that passes the threshold."""
    reload_shop.shop.reload_settings.change(PAYER, WORKSPACE, TERMS_10, BASE)
    reload_shop.spend(52 * DOLLAR)
    reload_shop.work()

    assert len(reload_shop.charges) == 1
    assert reload_shop.shop.balance == 5 * DOLLAR


def test_a_debt_above_the_cap_stops_and_tells_once(reload_shop: ReloadShop) -> None:
    """Case 37, with a cap: no charge."""
    reload_shop.shop.reload_settings.change(PAYER, WORKSPACE, CAPPED, BASE)
    reload_shop.spend(52 * DOLLAR)
    reload_shop.work()
    for _ in range(3):
        reload_shop.spend(DOLLAR)
        reload_shop.work()

    assert reload_shop.charges == []
    assert reload_shop.state == ("stopped", "day_cap")
    assert len(reload_shop.mails()) == 1


def test_a_cap_of_the_day_ends_with_the_day(reload_shop: ReloadShop) -> None:
    shop = reload_shop.shop
    shop.reload_settings.change(PAYER, WORKSPACE, CAPPED, BASE)
    for _ in range(4):
        reload_shop.spend(shop.balance)
        reload_shop.work()
    assert len(reload_shop.charges) == 3
    assert reload_shop.state == ("stopped", "day_cap")

    with shop.books.database.transaction() as connection:
        yesterday = utc_now() - timedelta(days=1)
        connection.execute(update(top_ups).values(created_at=yesterday))
        connection.execute(update(auto_reloads).values(next_at=yesterday))
    shop.receiving.sweep()
    reload_shop.work()
    assert len(reload_shop.charges) == 4
    assert reload_shop.state == ("idle", "")


def test_the_third_reload_within_an_hour_raises_an_alarm(
    reload_shop: ReloadShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 37."""
    counted: list[str] = []
    monkeypatch.setattr(reloading, "count", lambda name, *_: counted.append(name))
    for _ in range(3):
        reload_shop.spend(reload_shop.shop.balance)
        reload_shop.work()

    assert counted == ["ReloadStorm"]


def test_an_amount_over_a_lowered_maximum_stops_and_tells_once(
    reload_shop: ReloadShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 38."""
    shop = reload_shop.shop
    monkeypatch.setattr(shop.reloading, "_terms", SaleTerms(fees=UPSTREAM_FEE, most=15 * DOLLAR))
    for _ in range(3):
        reload_shop.spend(8 * DOLLAR)
        reload_shop.work()

    assert reload_shop.charges == []
    assert reload_shop.state == ("stopped", "amount_over_limit")
    assert len(reload_shop.mails()) == 1


@pytest.mark.parametrize(
    "terms",
    [
        ReloadTerms(enabled=True, threshold=5 * DOLLAR, amount=9 * DOLLAR),
        ReloadTerms(enabled=True, threshold=5 * DOLLAR, amount=20_000 * DOLLAR),
        ReloadTerms(enabled=True, threshold=5 * DOLLAR, amount=20 * DOLLAR + 1),
        ReloadTerms(enabled=True, threshold=DOLLAR, amount=20 * DOLLAR),
        ReloadTerms(enabled=True, threshold=5 * DOLLAR, amount=20 * DOLLAR, day_cap=10 * DOLLAR),
    ],
)
def test_terms_out_of_range_are_refused(reload_shop: ReloadShop, terms: ReloadTerms) -> None:
    with pytest.raises(Unprocessable):
        reload_shop.shop.reload_settings.change(PAYER, WORKSPACE, terms, BASE)


def test_a_purchase_does_not_switch_reloads_on(shop: Shop) -> None:
    """Case 39."""
    shop.buy()
    shop.deliver_all()
    shop.books.take(shop.books.use(1, 19 * DOLLAR))

    assert shop.rows(select(auto_reloads)) == []
    assert "auto_reload.changed" not in shop.books.place.actions()
    assert shop.books.place.told(Topic.RELOAD) == []


def test_a_charge_that_runs_while_reloads_are_switched_off_is_finished_and_none_follows(
    reload_shop: ReloadShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 40."""
    shop, charge = reload_shop.shop, reload_shop.shop.api.charge

    def switched_off(*arguments: Any) -> Any:
        off = ReloadTerms(enabled=False, threshold=5 * DOLLAR, amount=TWENTY)
        shop.reload_settings.change(PAYER, WORKSPACE, off, BASE)
        return charge(*arguments)

    monkeypatch.setattr(shop.api, "charge", switched_off)
    reload_shop.spend(16 * DOLLAR)
    reload_shop.work()
    assert shop.balance == 24 * DOLLAR
    reload_shop.spend(23 * DOLLAR)
    reload_shop.work()

    assert reload_shop.charges == [2123]
    assert reload_shop.state == ("idle", "")


def test_a_charge_that_needs_its_owner_waits_and_goes_on_after_it_is_paid(reload_shop: ReloadShop) -> None:
    """Case 41: no decline, a mail with a link; afterwards +20, and reloads go on."""
    shop = reload_shop.shop
    reload_shop.take_card("pm_card_authenticationRequired")
    reload_shop.spend(16 * DOLLAR)
    reload_shop.work()
    assert reload_shop.state == ("action_required", "authentication_required")
    (mail,) = reload_shop.mails()
    assert (mail["action"], mail["url"]) == (True, f"{BASE}/console/{WORKSPACE}/payments")

    page = shop.reload_settings.finish(PAYER, WORKSPACE, BACK)
    assert shop.reload_settings.finish(PAYER, WORKSPACE, BACK) == page
    session = page.rpartition("/")[2]
    shop.stand_in.control("checkout/complete", session=session, payment_method="pm_card_visa")
    shop.deliver_all()
    reload_shop.work()

    assert shop.balance == 24 * DOLLAR
    assert reload_shop.state == ("idle", "")
    assert reload_shop.charges == [2123]
    reload_shop.take_card("pm_card_visa")
    reload_shop.spend(20 * DOLLAR)
    reload_shop.work()
    assert shop.balance == 24 * DOLLAR


def test_a_charge_that_its_owner_does_not_confirm_in_seven_days_stops(reload_shop: ReloadShop) -> None:
    """Case 41."""
    shop = reload_shop.shop
    reload_shop.take_card("pm_card_authenticationRequired")
    reload_shop.spend(16 * DOLLAR)
    reload_shop.work()
    reload_shop.later(days=7, hours=1)
    shop.receiving.sweep()

    assert reload_shop.state == ("stopped", "not_finished")
    assert [mail["stopped"] for mail in reload_shop.mails()] == [False, True]
    with pytest.raises(Conflict):
        shop.reload_settings.finish(PAYER, WORKSPACE, BACK)
    shop.deliver_all()
    assert reload_shop.state == ("stopped", "not_finished")
    assert reload_shop.charges == []


def test_a_detached_card_is_not_replaced_by_another_one(reload_shop: ReloadShop) -> None:
    """Case 43."""
    shop = reload_shop.shop
    other = shop.client.payment_methods.attach("pm_card_mastercard", {"customer": reload_shop.customer})
    chosen = shop.client.customers.retrieve(reload_shop.customer).invoice_settings.default_payment_method
    assert chosen != other.id
    shop.client.payment_methods.detach(chosen)
    for _ in range(3):
        reload_shop.spend(8 * DOLLAR)
        reload_shop.work()

    assert reload_shop.charges == []
    assert reload_shop.state == ("stopped", "no_card")
    assert len(reload_shop.mails()) == 1


def test_a_declined_card_is_tried_again_with_growing_pauses_then_stops_and_tells(reload_shop: ReloadShop) -> None:
    shop = reload_shop.shop
    reload_shop.take_card("pm_card_chargeCustomerFail")
    reload_shop.spend(16 * DOLLAR)
    reload_shop.work()
    pauses = []
    while reload_shop.row["state"] == ReloadState.CHARGING:
        pause = reload_shop.row["next_at"] - utc_now()
        pauses.append(round(pause.total_seconds() / 3600))
        shop.receiving.sweep()  # too early: nothing is tried
        reload_shop.later(seconds=pause.total_seconds() + 1)
        shop.receiving.sweep()

    assert pauses == [1, 4, 16]
    assert reload_shop.state == ("stopped", "generic_decline")
    assert len(shop.client.payment_intents.list({"limit": 100}).data) == 2
    failed = [each for each in shop.client.charges.list({"limit": 100}).data if not each.paid]
    assert len(failed) == 4
    (mail,) = reload_shop.mails()
    assert mail["stopped"]
    assert shop.balance == 4 * DOLLAR


def test_a_new_card_resumes_stopped_reloads(reload_shop: ReloadShop) -> None:
    shop = reload_shop.shop
    reload_shop.take_card("pm_card_chargeCustomerFail")
    reload_shop.spend(16 * DOLLAR)
    reload_shop.work()
    for _ in range(3):
        reload_shop.later(hours=17)
        shop.receiving.sweep()
    assert reload_shop.row["state"] == ReloadState.STOPPED

    reload_shop.take_card("pm_card_visa")
    shop.deliver_all()
    reload_shop.work()

    assert shop.balance == 24 * DOLLAR
    assert reload_shop.state == ("idle", "")


def test_a_person_resumes_stopped_reloads(reload_shop: ReloadShop) -> None:
    shop = reload_shop.shop
    shop.client.payment_methods.detach(shop.api.card(reload_shop.customer).id)  # type: ignore[union-attr]
    reload_shop.spend(16 * DOLLAR)
    reload_shop.work()
    with pytest.raises(Conflict):
        shop.reload_settings.change(PAYER, WORKSPACE, TERMS, BASE)
    saved = shop.client.payment_methods.attach("pm_card_visa", {"customer": reload_shop.customer}).id
    shop.api.choose_card(reload_shop.customer, saved)

    shop.reload_settings.retry(PAYER, WORKSPACE)
    reload_shop.work()

    assert shop.balance == 24 * DOLLAR
    assert "auto_reload.retried" in shop.books.place.actions()
    with pytest.raises(Conflict):
        shop.reload_settings.retry(PAYER, WORKSPACE)


@pytest.mark.parametrize("fault", ["drop_before", "drop_after"])
def test_an_answer_that_is_lost_is_asked_for_again_and_nothing_is_charged_twice(
    reload_shop: ReloadShop, fault: str
) -> None:
    """Case 7."""
    shop = reload_shop.shop
    # The library repeats a request twice by itself.
    shop.stand_in.fault(fault, method="POST", path="/v1/payment_intents", times=3)
    reload_shop.spend(16 * DOLLAR)
    with pytest.raises(Unavailable):
        reload_shop.work()
    shop.reloading.run(WORKSPACE)
    shop.deliver_all()

    assert reload_shop.charges == [2123]
    assert shop.balance == 24 * DOLLAR


def test_a_failure_that_stripe_repeats_for_its_key_ends_with_a_new_key_after_a_look_up(reload_shop: ReloadShop) -> None:
    shop = reload_shop.shop
    shop.stand_in.fault("error", method="POST", path="/v1/payment_intents", times=3)
    reload_shop.spend(16 * DOLLAR)
    for _ in range(2):
        with pytest.raises(Unavailable):
            shop.reloading.run(WORKSPACE)
    reload_shop.later(hours=21)
    shop.receiving.sweep()

    assert reload_shop.charges == [2123]
    assert shop.balance == 24 * DOLLAR


def test_a_payment_whose_key_stripe_has_forgotten_is_looked_up(reload_shop: ReloadShop) -> None:
    """Case 7, after a day."""
    shop = reload_shop.shop
    shop.stand_in.fault("drop_after", method="POST", path="/v1/payment_intents", times=3)
    reload_shop.spend(16 * DOLLAR)
    with pytest.raises(Unavailable):
        reload_shop.work()
    shop.stand_in.control("idempotency_keys/forget")
    reload_shop.later(hours=25)
    shop.receiving.sweep()

    assert reload_shop.charges == [2123]
    assert shop.balance == 24 * DOLLAR


def test_a_bank_debit_holds_the_lease_until_it_ends(reload_shop: ReloadShop) -> None:
    shop = reload_shop.shop
    reload_shop.take_card("pm_usBankAccount_success")
    reload_shop.spend(16 * DOLLAR)
    reload_shop.work()
    reload_shop.later(hours=2)
    shop.receiving.sweep()
    running = shop.rows(select(top_ups).where(top_ups.c.state == TopUpState.PENDING))
    assert len(running) == 1
    shop.stand_in.control("payment_intents/settle", payment_intent=running[0]["payment_id"], paid=False)
    shop.deliver_all()

    assert reload_shop.row["state"] == ReloadState.STOPPED
    assert len(reload_shop.mails()) == 1
    assert shop.balance == 4 * DOLLAR


def test_credit_that_is_on_its_way_counts(reload_shop: ReloadShop) -> None:
    shop = reload_shop.shop
    shop.buy(card="pm_usBankAccount_success")
    shop.deliver_all()
    reload_shop.spend(16 * DOLLAR)
    reload_shop.work()

    assert reload_shop.charges == []
    assert reload_shop.state == ("idle", "")


@pytest.mark.slow
def test_a_crash_at_any_statement_charges_and_credits_once(reload_shop: ReloadShop) -> None:
    shop, charges, finished = reload_shop.shop, 0, False
    while not finished:
        reload_shop.spend(shop.balance)
        charges += 1
        with suppress(Crash), dying_before(shop.books.database, charges):
            shop.reloading.run(WORKSPACE)
            finished = True
        reload_shop.later(hours=1)
        shop.receiving.sweep()
        reload_shop.work()
        assert len(reload_shop.charges) == charges
        assert shop.balance == TWENTY
        assert reload_shop.state == ("idle", "")
    assert charges > 20
    shop.deliver_all()
    assert shop.balance == TWENTY
    shop.books.verify()


def test_a_refund_below_the_threshold_reloads(reload_shop: ReloadShop) -> None:
    shop = reload_shop.shop
    shop.books.book(drafts.grant(WORKSPACE, -18 * DOLLAR, "taken", AT))
    reload_shop.work()

    assert reload_shop.charges == [2123]


def _raise(error: Exception) -> Any:
    raise error

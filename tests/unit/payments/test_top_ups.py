"""A payment is credited once and in full, whatever Stripe delivers and whatever dies in between."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from opencode_cloud.billing.models.accounts import AccountKind
from opencode_cloud.contracts.ids import PaymentId
from opencode_cloud.kit.errors import BadRequest, Conflict, NotFound, ServiceError, Unavailable, Unprocessable
from opencode_cloud.payments.deliveries import answer_invocation
from opencode_cloud.payments.models import EventState, TopUpState
from opencode_cloud.payments.service import receiving
from opencode_cloud.schema.payments import stripe_events
from tests.metrics import written_metrics
from tests.unit.billing.books import CENT, DOLLAR
from tests.unit.crashes import Crash, dying_before
from tests.unit.payments.shop import BACK, OPERATOR, TWENTY, Shop
from tests.unit.usage.events import OTHER, WORKSPACE

PAID = ("checkout.session.completed", "payment_intent.succeeded")


def test_a_paid_checkout_credits_what_was_bought_and_keeps_the_fee_apart(shop: Shop) -> None:
    top_up = shop.buy()
    assert shop.balance == 0

    shop.deliver_all()

    assert shop.balance == TWENTY
    assert shop.sum(AccountKind.FEES_INCOME) == -123 * CENT
    assert shop.top_up(top_up).state is TopUpState.PAID
    assert shop.sum(AccountKind.STRIPE_CLEARING) == 0
    assert shop.sum(AccountKind.STRIPE_FEES) == 92 * CENT
    shop.books.verify()


def test_the_same_event_ten_times_in_a_row_and_ten_at_once_credits_once(shop: Shop) -> None:
    shop.buy()
    completed = shop.events("checkout.session.completed")[0]
    shop.deliver(*[completed] * 10)
    with ThreadPoolExecutor(10) as crowd:
        answers = list(crowd.map(lambda _: shop.deliver(completed)[0], range(10)))

    assert {each.state for each in answers} == {EventState.APPLIED}
    assert shop.balance == TWENTY
    shop.books.verify()


def test_several_events_of_one_payment_at_once_with_the_sweep_beside_them_credit_once(shop: Shop) -> None:
    shop.buy()
    events = shop.events(*PAID) * 3

    def work(number: int) -> None:
        try:
            if number < len(events):
                shop.deliver(events[number])
            else:
                shop.receiving.sweep()
        except Unavailable:
            pass  # Stripe would deliver it again, as the next line does.

    with ThreadPoolExecutor(8) as crowd:
        list(crowd.map(work, range(len(events) + 2)))
    shop.deliver_all()

    assert shop.balance == TWENTY
    shop.books.verify()


def test_the_end_is_the_same_in_any_order(shop: Shop) -> None:
    shop.buy()
    shop.buy(30 * DOLLAR)

    shop.deliver(*shop.events()[::-1])

    assert shop.balance == 50 * DOLLAR
    shop.books.verify()


def test_an_event_that_overtakes_the_answer_of_the_request_credits(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = shop.api.open_checkout

    def overtaken(*arguments: Any) -> Any:
        checkout = opened(*arguments)
        shop.stand_in.control("checkout/complete", session=checkout.id)
        shop.deliver_all()
        return checkout

    monkeypatch.setattr(shop.api, "open_checkout", overtaken)
    top_up, _ = shop.begin()

    assert shop.balance == TWENTY
    assert shop.top_up(top_up).state is TopUpState.PAID


@pytest.mark.slow
def test_a_crash_at_any_statement_leaves_the_event_and_its_credit_or_neither(shop: Shop) -> None:
    credited, finished = 0, False
    shop.begin()  # makes the customer
    while not finished:
        shop.buy()
        completed = shop.events("checkout.session.completed")[-1]
        with suppress(Crash), dying_before(shop.books.database, credited + 1):
            shop.deliver(completed)
            finished = True
        known = [row for row in shop.rows(_event_rows()) if row["id"] == completed["id"]]
        assert bool(known) == (shop.balance == (credited + 1) * TWENTY)
        shop.deliver(completed)
        credited += 1
        assert shop.balance == credited * TWENTY
    assert credited > 15
    shop.books.verify()


def _event_rows() -> Any:
    return select(stripe_events)


def test_a_database_that_is_away_gets_the_event_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.buy()
    completed = shop.events("checkout.session.completed")[0]
    with monkeypatch.context() as away:
        away.setattr(shop.payments, "top_up", _raising(Unavailable("database_interrupted", "", 1)))
        for _ in range(3):
            with pytest.raises(Unavailable):
                shop.deliver(completed)

    shop.deliver(completed)

    assert shop.balance == TWENTY


def test_a_deadlock_is_tried_again_within_the_delivery(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.buy()
    credit, failures = shop.payments.top_up, [Unavailable("database_busy", "", 1)]

    def busy(*arguments: Any) -> Any:
        if failures:
            raise failures.pop()
        return credit(*arguments)

    monkeypatch.setattr(shop.payments, "top_up", busy)
    shop.deliver(shop.events("checkout.session.completed")[0])

    assert shop.balance == TWENTY


def test_stripe_that_is_away_gets_the_event_again(shop: Shop) -> None:
    shop.buy()
    completed = shop.events("checkout.session.completed")[0]
    shop.stand_in.fault("drop_before", method="GET", path="/v1/checkout/sessions/.*", times=3)
    with pytest.raises(Unavailable):
        shop.deliver(completed)

    shop.deliver(completed)

    assert shop.balance == TWENTY


def test_the_sweep_credits_what_was_never_delivered(shop: Shop) -> None:
    shop.buy()

    tick = {"source": "schedule"}
    assert answer_invocation(shop.receiving, tick)["processed"] > 0
    assert answer_invocation(shop.receiving, tick) == {"processed": 0}

    assert shop.balance == TWENTY


@pytest.mark.parametrize("error", [Unavailable("stripe_unavailable", "Away."), AttributeError("no such field")])
def test_an_event_that_always_fails_does_not_keep_the_sweep_from_the_others(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    bad = shop.intent_of(shop.buy()).id
    shop.buy(30 * DOLLAR)
    of = shop.effects.of

    def failing(kind: str, object_id: str) -> Any:
        return _raising(error)() if object_id == bad else of(kind, object_id)

    monkeypatch.setattr(shop.effects, "of", failing)
    shop.receiving.sweep()
    assert shop.balance >= 30 * DOLLAR

    monkeypatch.undo()
    shop.receiving.sweep()
    assert shop.balance == 50 * DOLLAR


def test_a_sweep_leaves_its_events_when_stripe_is_away(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def failing(_kind: str, object_id: str) -> Any:
        asked.append(object_id)
        raise Unavailable("stripe_unavailable", "Away.")

    for _ in range(3):
        shop.buy()
    monkeypatch.setattr(shop.effects, "of", failing)
    shop.receiving.sweep()
    assert len(asked) == receiving.FAILURES


def test_a_sweep_without_the_operators_secret_asks_for_nothing(shop: Shop) -> None:
    shop.api._secret = lambda: "{}"

    assert shop.receiving.sweep() == 0


def test_an_unfinished_top_up_is_looked_up_by_itself(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    top_up = shop.buy()
    monkeypatch.setattr(receiving, "LOOKED_UP_AFTER", timedelta(seconds=-60))
    monkeypatch.setattr(receiving, "TYPES", ("checkout.session.expired",))  # no event of it is found

    shop.receiving.sweep()

    assert shop.top_up(top_up).state is TopUpState.PAID
    assert shop.balance == TWENTY


def test_the_refusal_of_a_card_that_is_written_late_does_not_end_the_debit_that_followed_it(shop: Shop) -> None:
    top_up, session = shop.begin()
    with pytest.raises(Exception, match="402"):
        shop.stand_in.control("checkout/complete", session=session, payment_method="pm_card_chargeDeclined")
    late = shop.effects.of("payment_intent.payment_failed", shop.intent_of(top_up).id)
    shop.stand_in.control("checkout/complete", session=session, payment_method="pm_usBankAccount_success")
    shop.deliver_all()
    assert shop.top_up(top_up).state is TopUpState.PENDING
    assert late is not None
    with pytest.raises(Unavailable), shop.books.booking.unit() as unit:
        late(unit)
    assert shop.top_up(top_up).state is TopUpState.PENDING

    shop.stand_in.control("payment_intents/settle", payment_intent=shop.intent_of(top_up).id, paid=False)
    shop.deliver_all()
    assert shop.top_up(top_up).state is TopUpState.FAILED


def test_a_bank_debit_is_pending_until_it_arrives(shop: Shop) -> None:
    top_up = shop.buy(card="pm_usBankAccount_success")
    shop.deliver_all()
    assert (shop.top_up(top_up).state, shop.balance) == (TopUpState.PENDING, 0)

    shop.stand_in.control("payment_intents/settle", payment_intent=shop.intent_of(top_up).id)
    shop.deliver_all()

    assert (shop.top_up(top_up).state, shop.balance) == (TopUpState.PAID, TWENTY)


def test_a_bank_debit_that_comes_back_credits_nothing(shop: Shop) -> None:
    top_up = shop.buy(card="pm_usBankAccount_success")
    shop.deliver_all()

    shop.stand_in.control("payment_intents/settle", payment_intent=shop.intent_of(top_up).id, paid=False)
    shop.deliver_all()

    assert (shop.top_up(top_up).state, shop.balance) == (TopUpState.FAILED, 0)


def test_a_declined_payer_pays_by_another_card_in_the_same_checkout(shop: Shop) -> None:
    top_up, session = shop.begin()
    with pytest.raises(Exception, match="402"):
        shop.stand_in.control("checkout/complete", session=session, payment_method="pm_card_chargeDeclined")
    shop.deliver_all()
    declined = shop.top_up(top_up)
    assert (declined.state, declined.reason, shop.balance) == (TopUpState.OPEN, "generic_decline", 0)

    shop.stand_in.control("checkout/complete", session=session)
    shop.deliver_all()

    assert (shop.top_up(top_up).state, shop.balance) == (TopUpState.PAID, TWENTY)


def test_an_expired_checkout_is_over(shop: Shop) -> None:
    top_up, session = shop.begin()
    shop.stand_in.control("checkout/expire", session=session)

    shop.deliver_all()

    assert (shop.top_up(top_up).state, shop.balance) == (TopUpState.EXPIRED, 0)


def test_two_top_ups_that_are_both_paid_are_both_credited(shop: Shop) -> None:
    shop.buy()
    shop.buy()
    shop.deliver_all()

    assert shop.balance == 2 * TWENTY


def test_two_first_checkouts_at_once_share_one_customer(shop: Shop) -> None:
    with ThreadPoolExecutor(4) as crowd:
        begun = list(crowd.map(lambda _: shop.begin()[1], range(4)))
    for session in begun:
        shop.stand_in.control("checkout/complete", session=session)
    shop.deliver_all()

    assert len(shop.client.customers.list().data) == 1
    assert shop.balance == 4 * TWENTY


def test_a_lost_answer_charges_nothing_twice(shop: Shop) -> None:
    shop.stand_in.fault("drop_after", path="/v1/checkout/sessions")

    _, session = shop.begin()

    assert [each.id for each in shop.client.checkout.sessions.list().data] == [session]


def test_an_unknown_answer_says_so_and_charges_nothing(shop: Shop) -> None:
    shop.begin()
    shop.stand_in.fault("drop_after", path="/v1/checkout/sessions", times=3)

    with pytest.raises(Unavailable) as caught:
        shop.begin()

    assert caught.value.code == "stripe_unavailable"
    assert [row["state"] for row in shop.all_top_ups()] == ["open", "open"]


@pytest.mark.parametrize("credit", [0, 9 * DOLLAR, 10_001 * DOLLAR, -TWENTY, TWENTY + 1])
def test_an_amount_outside_of_the_terms_asks_stripe_nothing(shop: Shop, credit: int) -> None:
    with pytest.raises(Unprocessable) as caught:
        shop.begin(credit)

    assert caught.value.code == "amount_out_of_range"
    assert (list(shop.all_top_ups()), shop.events()) == ([], [])


def test_without_an_account_at_stripe_nothing_is_sold_and_no_row_is_left(shop: Shop) -> None:
    shop.api._secret = lambda: "{}"

    with pytest.raises(NotFound) as caught:
        shop.begin()

    assert (caught.value.code, list(shop.all_top_ups())) == ("payments_off", [])


def test_a_payment_that_was_not_bought_here_waits_in_suspense(shop: Shop) -> None:
    known = shop.topping_up.customer(WORKSPACE)
    for customer in (known, shop.client.customers.create({}).id):
        shop.client.payment_intents.create(
            {"amount": 2123, "currency": "usd", "customer": customer, "payment_method": "pm_card_visa", "confirm": True}
        )

    shop.deliver_all()

    assert shop.balance == 0
    assert shop.sum(AccountKind.SUSPENSE) == -2 * 2123 * CENT
    assert shop.kept() == ["payment_unknown"] * 2


def test_an_operator_gives_a_payment_without_an_owner_to_a_workspace(shop: Shop) -> None:
    """Case 14: all of it becomes credit, once, and a later refund takes it back."""
    asked: dict[str, Any] = {"amount": 2123, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True}
    payment_id = shop.client.payment_intents.create(asked).id
    shop.deliver_all()
    for _ in range(2):
        shop.credits.assign(OPERATOR, payment_id, WORKSPACE, "paid by bank transfer")
    with pytest.raises(Conflict):
        shop.credits.assign(OPERATOR, payment_id, OTHER, "paid by bank transfer")
    with pytest.raises(NotFound):
        shop.credits.assign(OPERATOR, PaymentId("pi_other"), WORKSPACE, "typo")

    assert (shop.balance, shop.sum(AccountKind.SUSPENSE)) == (2123 * CENT, 0)
    assert shop.receiving.replay_kept() == 1
    assert shop.receiving.kept() == []
    assert "payment.assigned" in shop.books.place.actions()

    refund: Any = {"payment_intent": payment_id}
    shop.client.refunds.create(refund)
    shop.deliver_all()
    assert shop.balance == 0
    shop.books.verify()


def test_metadata_of_another_top_up_credits_nobody(shop: Shop) -> None:
    top_up, _ = shop.begin()
    stranger = shop.client.customers.create({}).id
    for amount, customer in ((5000, shop.topping_up.customer(WORKSPACE)), (2123, stranger)):
        shop.client.payment_intents.create(
            {
                "amount": amount,
                "currency": "usd",
                "customer": customer,
                "payment_method": "pm_card_visa",
                "confirm": True,
                "metadata": {"top_up": top_up.id},
            }
        )

    shop.deliver_all()

    assert (shop.balance, shop.kept()) == (0, ["payment_differs"] * 2)
    assert shop.top_up(top_up).state is TopUpState.OPEN


def test_events_of_the_other_mode_are_ignored(shop: Shop) -> None:
    shop.buy()
    live = shop.events("checkout.session.completed")[0] | {"livemode": True}

    (result,) = shop.deliver(live)

    assert (result.state, result.reason, shop.balance) == (EventState.IGNORED, "other_mode", 0)


def test_events_of_a_connected_account_are_ignored(shop: Shop) -> None:
    """Its objects are not ours: reading them would be refused, and the event would wait for a person."""
    shop.buy()
    connected = shop.events("checkout.session.completed")[0] | {"account": "acct_other"}

    (result,) = shop.deliver(connected)

    assert (result.state, result.reason, shop.balance) == (EventState.IGNORED, "other_account", 0)


def test_unknown_types_are_stored_without_an_effect(shop: Shop) -> None:
    shop.begin()
    new = shop.events("customer.created")[0] | {"id": "evt_new", "type": "customer.teleported"}

    (result,) = shop.deliver(new)

    assert result.state is EventState.IGNORED
    assert "evt_new" in {row["id"] for row in shop.rows(_event_rows())}


def test_the_shape_of_an_event_does_not_matter(shop: Shop) -> None:
    shop.buy()
    completed = shop.events("checkout.session.completed")[0]
    thin = {**completed, "api_version": "2024-06-20", "data": {"object": {"id": completed["data"]["object"]["id"]}}}

    shop.deliver(thin)

    assert shop.balance == TWENTY


def test_an_event_whose_object_is_gone_is_kept_and_never_counts_as_applied(shop: Shop) -> None:
    shop.begin()
    ghost = shop.events("customer.created")[0] | {"id": "evt_ghost", "type": "payment_intent.succeeded"}

    with written_metrics() as metrics:
        (result,) = shop.deliver(ghost)

    assert (result.state, result.reason) == (EventState.KEPT, "resource_missing")
    assert metrics["StripeEventKept"] == [1]


def test_a_kept_event_is_applied_by_a_replay_when_it_fits(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.buy()
    completed = shop.events("checkout.session.completed")[0]
    with monkeypatch.context() as broken:
        broken.setattr(shop.payments, "top_up", _raising(Conflict("payment_exists", "")))
        assert shop.deliver(completed)[0].state is EventState.KEPT
    assert shop.balance == 0

    assert answer_invocation(shop.receiving, {"replay": "kept"}) == {"applied": 1}
    assert answer_invocation(shop.receiving, {"replay": "kept"}) == {"applied": 0}

    assert shop.balance == TWENTY


def test_an_operator_replays_an_event_by_its_id(shop: Shop) -> None:
    shop.buy()
    event_id = shop.events("payment_intent.succeeded")[0]["id"]

    assert answer_invocation(shop.receiving, {"replay": event_id}) == {"state": "applied", "reason": ""}
    assert shop.balance == TWENTY
    with pytest.raises(ServiceError, match="no such event"):
        answer_invocation(shop.receiving, {"replay": "evt_unknown"})


def test_a_key_that_stripe_refuses_leaves_the_event_to_the_next_delivery(shop: Shop) -> None:
    shop.buy()
    completed = shop.events("checkout.session.completed")[0]
    account, shop.stand_in.key = shop.stand_in.key, "wrong"

    with pytest.raises(Unavailable):
        shop.deliver(completed)
    assert shop.rows(_event_rows()) == []

    shop.stand_in.key = account
    assert shop.deliver(completed)[0].state is EventState.APPLIED


class TestSignatures:
    def test_a_request_that_nobody_signed_is_refused(self, shop: Shop) -> None:
        shop.buy()
        body, signature = shop.signed(shop.events("checkout.session.completed")[0])
        for changed in (
            (body + b" ", signature),
            (body, ""),
            (body, signature.replace("v1=", "v0=")),
            (body, "t=1,v1=\u00e9"),
            (b"\xff\xfe", signature),
        ):
            with pytest.raises(BadRequest) as caught:
                shop.receiving.webhook(*changed)
            assert caught.value.code == "invalid_signature"
        assert shop.balance == 0

    def test_unsigned_requests_do_not_each_read_the_secret_anew(self, shop: Shop) -> None:
        forgotten: list[None] = []
        shop.api._forget_secret = lambda: forgotten.append(None)
        for _ in range(3):
            with pytest.raises(BadRequest):
                shop.receiving.webhook(b"{}", "t=1,v1=x")

        assert len(forgotten) == 1

    @pytest.mark.parametrize("seconds", [-301, 86_400])
    def test_a_signature_of_another_time_is_refused(self, shop: Shop, seconds: int) -> None:
        shop.buy()
        with pytest.raises(BadRequest):
            shop.deliver(shop.events("checkout.session.completed")[0], at=time.time() + seconds)

    @pytest.mark.parametrize("position", [0, 1])
    def test_during_a_rotation_either_secret_is_accepted(self, shop: Shop, position: int) -> None:
        shop.buy()
        request = shop.signed(shop.events("checkout.session.completed")[0])
        shop.webhook_secrets = ["whsec_other"] * position + ["whsec_one"] + ["whsec_third"] * (1 - position)

        assert shop.receiving.webhook(*request).state is EventState.APPLIED

    @pytest.mark.parametrize("secret", ["", " "])
    def test_an_empty_secret_accepts_nothing(self, shop: Shop, secret: str) -> None:
        shop.buy()
        request = shop.signed(shop.events("checkout.session.completed")[0])
        shop.webhook_secrets = [secret]
        with pytest.raises(BadRequest):
            shop.receiving.webhook(*request)


def test_the_portal_needs_a_customer(shop: Shop) -> None:
    with pytest.raises(Conflict, match="no payment method"):
        shop.topping_up.portal(WORKSPACE, BACK)
    shop.begin()

    assert "/pages/portal/" in shop.topping_up.portal(WORKSPACE, BACK)


def test_a_top_up_of_another_workspace_is_not_found(shop: Shop) -> None:
    top_up, _ = shop.begin()

    with pytest.raises(ServiceError, match="no top-up"):
        shop.topping_up.get(OTHER, top_up.id)
    assert [each.id for each in shop.topping_up.of_workspace(WORKSPACE, None, 10)] == [top_up.id]
    assert shop.topping_up.of_workspace(OTHER, None, 10) == []


def _raising(error: Exception) -> Any:
    def fail(*_: Any) -> Any:
        raise error

    return fail

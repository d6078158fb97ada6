"""Refunds from our side: ordered by those who may, paid back once by Stripe, booked once whatever arrives when."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Self

import msgspec
import pytest
from sqlalchemy import select, update

from opencode_cloud.billing.models.accounts import AccountKind
from opencode_cloud.contracts.actor import Actor, ActorKind
from opencode_cloud.contracts.ids import PaymentId, RefundOrderId
from opencode_cloud.contracts.outbox import Topic
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.errors import BadRequest, Conflict, NotFound, ServiceError, Unavailable, Unprocessable
from opencode_cloud.operators.command import command_of, parser
from opencode_cloud.payments.commands import RefundCommand, execute_refund_command
from opencode_cloud.payments.models.refunds import RefundOrder, RefundState
from opencode_cloud.schema.payments import payment_documents, payment_refunds
from tests.unit.billing.books import CENT, DOLLAR
from tests.unit.payments.shop import PAYER, TWENTY, Shop
from tests.unit.usage.events import OTHER, WORKSPACE

ANN, BEN = (Actor(kind=ActorKind.OPERATOR, name=name, role="owner") for name in ("ann", "ben"))


class Desk:
    """A shop with one booked purchase, and what the queue brings to its function."""

    def __init__(self, shop: Shop, card: str = "pm_card_visa") -> None:
        self.shop = shop
        top_up = shop.buy(card=card)
        shop.deliver_all()
        self.payment = shop.top_up(top_up).payment_id

    @classmethod
    def of(cls, shop: Shop, payment: PaymentId) -> Self:
        desk = cls.__new__(cls)
        desk.shop, desk.payment = shop, payment
        return desk

    def order(self, amount: int | None = None, key: str = "k", by: Actor = ANN) -> RefundOrder:
        return self.shop.refund_orders.order(by, self.payment, amount, "asked by mail", key)

    def work(self) -> None:
        told = self.shop.books.place.told(Topic.REFUND)
        self.shop.books.place.messages.clear()
        for each in told:
            self.shop.refunding.run(RefundOrderId(each))

    def state(self, order: RefundOrder) -> tuple[str, str]:
        (row,) = self.shop.rows(select(payment_refunds).where(payment_refunds.c.id == order.id))
        return row["state"], row["code"]

    @property
    def refunds(self) -> list[int]:
        """Amounts of all refunds at Stripe, in cents."""
        found = self.shop.client.refunds.list({"payment_intent": self.payment, "limit": 100}).data
        return sorted(each.amount for each in found)

    def later(self, **passed: float) -> None:
        then = utc_now() - timedelta(**passed)
        with self.shop.books.database.transaction() as connection:
            tried = payment_refunds.c.tried_at
            connection.execute(update(payment_refunds).values(updated_at=then))
            connection.execute(update(payment_refunds).where(tried.is_not(None)).values(tried_at=then))


@pytest.fixture
def desk(shop: Shop) -> Desk:
    return Desk(shop)


def test_parts_and_the_rest_are_paid_back_and_booked_without_a_webhook(desk: Desk) -> None:
    for key, amount, left in (("a", 700 * CENT, 1_340_555_818), ("b", 700 * CENT, 681_111_635), ("c", None, 0)):
        order = desk.order(amount, key)
        desk.work()
        assert desk.shop.balance == left
        assert desk.state(order) == ("succeeded", "")
    assert desk.refunds == [700, 700, 723]
    assert desk.shop.sum(AccountKind.FEES_INCOME) == desk.shop.sum(AccountKind.REFUNDS) == 0
    notes = desk.shop.rows(select(payment_documents).where(payment_documents.c.kind == "credit_note"))
    assert len(notes) == 3
    desk.shop.books.verify()


@pytest.mark.parametrize("seed", range(4))
def test_its_effect_counts_once_whatever_webhooks_arrive_in_which_order(desk: Desk, seed: int) -> None:
    order = desk.order(700 * CENT)
    draw = random.Random(seed)
    if draw.random() < 0.5:
        # The events overtake the answer of the request.
        desk.shop.api.refund(order)
        desk.shop.deliver_all()
    desk.work()
    events = desk.shop.events() * 5
    draw.shuffle(events)
    desk.shop.deliver(*events)
    assert (desk.refunds, desk.shop.balance) == ([700], 1_340_555_818)
    assert desk.state(order) == ("succeeded", "")
    assert desk.shop.kept() == []
    desk.shop.books.verify()


def test_a_message_that_comes_twice_and_twice_at_once_pays_back_once(desk: Desk) -> None:
    order = desk.order(700 * CENT)
    with ThreadPoolExecutor(4) as pool:
        # Stripe answers one of two equal requests by a conflict, and the queue delivers that message again.
        results = list(pool.map(lambda _: _tried(desk, order), range(4)))
    assert any(results)
    desk.shop.refunding.run(order.id)
    assert (desk.refunds, desk.shop.balance) == ([700], 1_340_555_818)


def _tried(desk: Desk, order: RefundOrder) -> bool:
    try:
        desk.shop.refunding.run(order.id)
    except Unavailable:
        return False
    return True


class TestOrdering:
    def test_a_key_orders_once_and_another_amount_under_it_is_refused(self, desk: Desk) -> None:
        first = desk.order(700 * CENT)
        desk.work()
        assert desk.order(700 * CENT).id == first.id
        with pytest.raises(Conflict) as caught:
            desk.order(800 * CENT)
        assert caught.value.code == "idempotency_key_reused"
        desk.work()
        assert desk.refunds == [700]

    def test_more_than_what_remains_is_refused_before_stripe_is_asked(self, desk: Desk) -> None:
        desk.order(2000 * CENT, "a")
        for amount in (124 * CENT, 2123 * CENT):
            with pytest.raises(Unprocessable) as caught:
                desk.order(amount, "b")
            assert caught.value.code == "returns_too_much"
        desk.work()
        assert desk.order(None, "c").amount == 123 * CENT
        with pytest.raises(Unprocessable):
            desk.order(None, "d")

    def test_ten_orders_of_the_rest_at_once_make_one(self, desk: Desk) -> None:
        def attempt(number: int) -> str:
            try:
                return desk.order(None, f"k{number}").state
            except ServiceError as error:
                return error.code

        with ThreadPoolExecutor(10) as pool:
            results = list(pool.map(attempt, range(10)))
        assert results.count("ordered") == 1
        assert set(results) <= {"ordered", "returns_too_much", "database_busy"}
        desk.work()
        assert (desk.refunds, desk.shop.balance) == ([2123], 0)

    def test_a_disputed_payment_is_not_refunded(self, desk: Desk) -> None:
        charge = desk.shop.client.payment_intents.retrieve(desk.payment).latest_charge
        desk.shop.stand_in.control("disputes/open", charge=charge)
        desk.shop.deliver_all()
        with pytest.raises(Conflict) as caught:
            desk.order()
        assert caught.value.code == "payment_disputed"

    def test_unknown_payments_and_impossible_amounts_are_refused(self, desk: Desk) -> None:
        with pytest.raises(NotFound):
            desk.shop.refund_orders.order(ANN, PaymentId("pi_0"), None, "no", "k")
        with pytest.raises(NotFound):
            desk.shop.refund_orders.order(PAYER, desk.payment, None, "no", "k", OTHER)
        for amount in (-CENT, 0, CENT // 2):
            with pytest.raises(Unprocessable) as caught:
                desk.order(amount)
            assert caught.value.code == "invalid_refund"

    def test_above_the_limit_of_one_operator_a_second_one_approves(self, shop: Shop) -> None:
        top_up = shop.buy(200 * DOLLAR)
        shop.deliver_all()
        orders, payment = shop.refund_orders, shop.top_up(top_up).payment_id
        large = orders.order(ANN, payment, 101 * DOLLAR, "closed", "k")
        assert (large.state, shop.books.place.told(Topic.REFUND)) == (RefundState.PROPOSED, [])
        assert [each.id for each in orders.proposed()] == [large.id]
        with pytest.raises(Conflict) as caught:
            orders.approve(ANN, large.id)
        assert caught.value.code == "second_person"
        # A proposal holds nothing back: the approval looks at what is left.
        shop.client.refunds.create({"payment_intent": payment, "amount": 15_000})
        shop.deliver_all()
        with pytest.raises(Unprocessable):
            orders.approve(BEN, large.id)
        orders.reject(BEN, large.id, "too late")
        with pytest.raises(Conflict) as caught:
            orders.approve(BEN, large.id)
        assert caught.value.code == "refund_not_proposed"
        assert shop.books.place.actions()[-2:] == ["refund.proposed", "refund.rejected"]

    def test_several_orders_of_an_operator_within_a_day_count_together(self, shop: Shop) -> None:
        top_ups = [shop.buy(200 * DOLLAR) for _ in range(2)]
        shop.deliver_all()
        first, second = (Desk.of(shop, shop.top_up(each).payment_id) for each in top_ups)
        assert first.order(60 * DOLLAR, "a").state is RefundState.ORDERED
        # Another payment of the workspace, and one cent too much.
        over = second.order(40 * DOLLAR + CENT, "b")
        assert over.state is RefundState.PROPOSED
        # A repetition is no new order, and a proposal pays nothing back.
        assert first.order(60 * DOLLAR, "a").state is RefundState.ORDERED
        assert second.order(40 * DOLLAR, "c").state is RefundState.ORDERED
        assert first.order(CENT, "d").state is RefundState.PROPOSED
        # Another operator has a limit of his own, and an order of two operators counts for neither.
        shop.refund_orders.approve(BEN, over.id)
        assert second.order(100 * DOLLAR, "e", BEN).state is RefundState.ORDERED

    def test_after_a_day_an_operator_may_order_again(self, shop: Shop) -> None:
        top_up = shop.buy(300 * DOLLAR)
        shop.deliver_all()
        desk = Desk.of(shop, shop.top_up(top_up).payment_id)
        desk.order(100 * DOLLAR, "a")
        for hours, state in ((23, RefundState.PROPOSED), (25, RefundState.ORDERED)):
            with shop.books.database.transaction() as connection:
                connection.execute(update(payment_refunds).values(created_at=utc_now() - timedelta(hours=hours)))
            assert desk.order(100 * DOLLAR, f"after {hours}").state is state

    def test_an_order_that_paid_nothing_back_leaves_the_limit(self, shop: Shop) -> None:
        top_up = shop.buy(300 * DOLLAR)
        shop.deliver_all()
        desk = Desk.of(shop, shop.top_up(top_up).payment_id)
        for number, state in enumerate((RefundState.REFUSED, RefundState.FAILED)):
            order = desk.order(100 * DOLLAR, str(number))
            assert order.state is RefundState.ORDERED
            with shop.books.database.transaction() as connection:
                rows = update(payment_refunds).where(payment_refunds.c.id == order.id)
                connection.execute(rows.values(state=state))
        assert desk.order(100 * DOLLAR, "again").state is RefundState.ORDERED

    def test_orders_at_once_escape_no_limit(self, shop: Shop) -> None:
        top_ups = [shop.buy(200 * DOLLAR) for _ in range(4)]
        shop.deliver_all()
        payments = [shop.top_up(each).payment_id for each in top_ups]

        def attempt(payment: PaymentId) -> str:
            try:
                return shop.refund_orders.order(ANN, payment, 60 * DOLLAR, "r", "k").state
            except ServiceError as error:
                return error.code

        with ThreadPoolExecutor(4) as pool:
            results = list(pool.map(attempt, payments))
        assert results.count("ordered") == 1
        assert set(results) <= {"ordered", "proposed", "database_busy"}

    def test_a_person_of_the_workspace_asks_and_an_operator_decides(self, desk: Desk) -> None:
        asked = desk.shop.refund_orders.order(PAYER, desk.payment, 700 * CENT, "too much", "k", WORKSPACE)
        desk.work()
        assert (desk.state(asked), desk.refunds) == (("proposed", ""), [])
        desk.shop.refund_orders.approve(ANN, asked.id)
        desk.work()
        assert (desk.state(asked), desk.refunds) == (("succeeded", ""), [700])
        assert desk.shop.refund_orders.get(WORKSPACE, asked.id).decided_by == "ann"
        with pytest.raises(NotFound):
            desk.shop.refund_orders.get(OTHER, asked.id)


class TestStripe:
    def test_a_refusal_of_stripe_ends_the_order_and_books_nothing(self, desk: Desk) -> None:
        """The dashboard was faster, and its event has not come yet."""
        order = desk.order(700 * CENT)
        desk.shop.client.refunds.create({"payment_intent": desk.payment})
        desk.work()
        assert desk.state(order) == ("refused", "charge_already_refunded")
        desk.shop.deliver_all()
        assert (desk.refunds, desk.shop.balance) == ([2123], 0)

    def test_a_pending_refund_is_frozen_and_ends_by_event_or_by_the_sweep(self, shop: Shop) -> None:
        desk = Desk(shop, "pm_card_pendingRefund")
        order = desk.order(700 * CENT)
        desk.work()
        assert (desk.state(order)[0], shop.balance) == ("pending", 1_340_555_818)
        refund = shop.client.refunds.list({"limit": 1}).data[0]
        shop.stand_in.control("refunds/fail", refund=refund.id)
        desk.later(hours=2)
        assert shop.refunding.sweep() == 1
        assert (desk.state(order)[0], shop.balance) == ("failed", TWENTY)
        # The rest may be paid back again.
        assert desk.order(None, "again").amount == 2123 * CENT

    @pytest.mark.parametrize("fault", ["drop_after", "drop_before", "error"])
    def test_an_answer_that_is_lost_is_asked_for_again(self, desk: Desk, fault: str) -> None:
        order = desk.order(700 * CENT)
        desk.shop.stand_in.fault(fault, method="POST", path="/v1/refunds", times=3)
        with pytest.raises(Unavailable):
            desk.work()
        assert desk.state(order) == ("ordered", "")
        if fault == "error":
            # Stripe repeats a failure of its own for as long as it keeps the key.
            desk.shop.stand_in.control("idempotency_keys/forget")
        desk.later(minutes=20)
        assert desk.shop.receiving.sweep() >= 1
        assert (desk.refunds, desk.shop.balance) == ([700], 1_340_555_818)
        assert desk.state(order) == ("succeeded", "")

    def test_after_the_key_is_forgotten_stripe_is_asked_before_money_leaves(self, desk: Desk) -> None:
        order = desk.order(700 * CENT)
        desk.shop.stand_in.fault("drop_after", method="POST", path="/v1/refunds", times=3)
        with pytest.raises(Unavailable):
            desk.work()
        desk.shop.stand_in.control("idempotency_keys/forget")
        desk.later(hours=21)
        desk.shop.refunding.run(order.id)
        assert (desk.refunds, desk.state(order)[0]) == ([700], "succeeded")

    def test_an_order_without_a_refund_gets_a_new_key_after_a_day(self, desk: Desk) -> None:
        order = desk.order(700 * CENT)
        desk.shop.stand_in.fault("drop_before", method="POST", path="/v1/refunds", times=3)
        with pytest.raises(Unavailable):
            desk.work()
        desk.later(hours=21)
        desk.shop.refunding.run(order.id)
        assert (desk.refunds, desk.state(order)[0]) == ([700], "succeeded")

    def test_an_order_that_the_sweep_cannot_continue_does_not_keep_the_others(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        desk.order(700 * CENT, "a")
        desk.order(300 * CENT, "b")
        desk.later(hours=1)
        ask, failures = desk.shop.api.refund, [Unavailable("stripe_unavailable", "no", 1)]

        def flaky(order: RefundOrder) -> object:
            if failures:
                raise failures.pop()
            return ask(order)

        monkeypatch.setattr(desk.shop.api, "refund", flaky)
        assert desk.shop.refunding.sweep() == 1
        assert len(desk.refunds) == 1


def test_a_late_read_of_an_earlier_state_moves_no_order_back(shop: Shop) -> None:
    desk = Desk(shop, "pm_card_pendingRefund")
    order = desk.order(700 * CENT)
    desk.work()
    refund = shop.client.refunds.list({"limit": 1}).data[0].id
    old = shop.effects.of("refund.updated", refund)
    shop.stand_in.control("refunds/complete", refund=refund)
    shop.deliver_all()
    assert old is not None
    with shop.books.booking.unit() as unit:
        old(unit)
    assert desk.state(order)[0] == "succeeded"
    assert shop.balance == 1_340_555_818


def test_an_order_whose_refund_fails_after_it_succeeded_fails_and_what_it_paid_may_be_ordered_again(desk: Desk) -> None:
    order = desk.order(700 * CENT)
    desk.work()
    refund = desk.shop.client.refunds.list({"limit": 1}).data[0].id
    old = desk.shop.effects.of("refund.updated", refund)
    desk.shop.stand_in.control("refunds/fail", refund=refund)
    desk.shop.deliver_all()
    assert old is not None
    with desk.shop.books.booking.unit() as unit:
        old(unit)

    assert desk.state(order)[0] == "failed"
    assert desk.shop.balance == TWENTY
    assert desk.order(key="again").amount == 2123 * CENT


class TestCommands:
    def test_operators_order_list_approve_and_reject(self, desk: Desk) -> None:
        orders = desk.shop.refund_orders
        asked = orders.order(PAYER, desk.payment, 700 * CENT, "too much", "k", WORKSPACE)
        (shown,) = execute_refund_command(RefundCommand(action="list"), orders, ANN)
        assert (shown["refund"], shown["micro_cents"]) == (asked.id, 700 * CENT)
        execute_refund_command(RefundCommand(action="reject", order_id=asked.id, reason="no"), orders, ANN)
        assert execute_refund_command(RefundCommand(action="list"), orders, ANN) == []
        order = RefundCommand(action="order", payment_id=desk.payment, micro_cents=300 * CENT, reason="r", key="x")
        assert execute_refund_command(order, orders, ANN)["state"] == "ordered"
        with pytest.raises(BadRequest, match="order_id"):
            execute_refund_command(RefundCommand(action="approve"), orders, ANN)

    def test_the_command_line_says_what_the_function_expects(self) -> None:
        for arguments, expected in (
            (["refunds", "order", "pi_1", "7.00", "--reason", "r", "--key", "k"], {"micro_cents": 700 * CENT}),
            (["refunds", "order", "pi_1", "--reason", "r"], {"payment_id": "pi_1", "micro_cents": None}),
            (["refunds", "order", "pi_1", "0", "--reason", "r"], {"micro_cents": 0}),
            (["refunds", "approve", "rfd_1"], {"order_id": "rfd_1"}),
            (["refunds", "reject", "rfd_1", "--reason", "no"], {"reason": "no"}),
            (["refunds", "list"], {"action": "list"}),
        ):
            command = command_of(parser().parse_args(arguments))
            converted = msgspec.convert({"type": "refunds", **command}, RefundCommand)
            assert {name: getattr(converted, name) for name in expected} == expected

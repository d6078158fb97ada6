"""Payments, refunds and disputes have the right values, whatever comes twice, late, or in another order."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opencode_cloud.billing.models.accounts import AccountKind
from opencode_cloud.billing.models.payments import Shares
from opencode_cloud.billing.service.payments import Payments
from opencode_cloud.billing.store.payments import PaymentStore
from opencode_cloud.contracts.ids import PaymentId
from opencode_cloud.kit.errors import Conflict, NotFound, ServiceError, Unprocessable
from tests.unit.billing.books import AT, CENT, DOLLAR, Books
from tests.unit.usage.events import OTHER, WORKSPACE

_K = AccountKind
PAYMENT = PaymentId("pi_1")
TWENTY = Shares(credit=20 * DOLLAR, fee=123 * CENT)
GROSS = 2123 * CENT


class Till:
    """Payments, each method in a unit of its own."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.payments = Payments(books.booking, PaymentStore())

    def __call__(self, name: str, *arguments: object) -> object:
        with self.books.booking.unit() as unit:
            return getattr(self.payments, name)(unit, *arguments, AT)

    def paid(self, payment: PaymentId = PAYMENT, shares: Shares = TWENTY) -> None:
        self("top_up", WORKSPACE, payment, shares)


@pytest.fixture
def till(books: Books) -> Till:
    return Till(books)


class TestTopUps:
    def test_one_payment_that_comes_ten_times_is_credited_once(self, till: Till) -> None:
        for _ in range(10):
            till.paid()
        assert till.books.available() == 20 * DOLLAR
        assert len(till.books.transactions()) == 1

    def test_a_payment_is_not_credited_with_other_amounts_or_to_another_workspace(self, till: Till) -> None:
        till.paid()
        with pytest.raises(Conflict):
            till.paid(shares=Shares(credit=30 * DOLLAR))
        with pytest.raises(Conflict):
            till("top_up", OTHER, PAYMENT, TWENTY)
        assert till.books.available() == 20 * DOLLAR

    def test_another_currency_is_refused_and_no_transaction_mixes_two(self, till: Till) -> None:
        with till.books.booking.unit() as unit, pytest.raises(Unprocessable) as caught:
            till.payments.top_up(unit, WORKSPACE, PAYMENT, TWENTY, AT, "EUR")
        assert caught.value.code == "currency_mismatch"

    def test_stripes_own_transaction_clears_the_payment(self, till: Till) -> None:
        till.paid()
        till("settle", "txn_1", PAYMENT, GROSS, 92 * CENT)
        till("settle", "txn_1", PAYMENT, GROSS, 92 * CENT)
        assert till.books.sum(_K.STRIPE_CLEARING) == 0
        assert till.books.sum(_K.BANK) == GROSS - 92 * CENT

    def test_money_without_an_owner_waits_in_suspense(self, till: Till) -> None:
        till("suspend", PAYMENT, GROSS)
        assert till.books.sum(_K.SUSPENSE) == -GROSS

    def test_money_without_an_owner_in_another_currency_is_not_booked(self, till: Till) -> None:
        with till.books.booking.unit() as unit, pytest.raises(Unprocessable) as caught:
            till.payments.suspend(unit, PAYMENT, GROSS, AT, "EUR")
        assert caught.value.code == "currency_mismatch"


class TestRefunds:
    def test_parts_take_700_700_and_723_of_2123_cents(self, till: Till) -> None:
        till.paid()
        left = []
        for number, cents in enumerate((700, 700, 723)):
            for _ in range(2):
                till("refund", PAYMENT, f"re_{number}", cents * CENT)
                till("refund_succeeded", f"re_{number}")
            left.append(till.books.available())
        assert left == [1_340_555_818, 681_111_635, 0]
        assert till.books.sum(_K.FEES_INCOME) == 0
        till.books.verify()

    @pytest.mark.parametrize("order", list(permutations((700, 700, 723)))[:3])
    def test_parts_in_any_order_end_at_zero(self, till: Till, order: tuple[int, ...]) -> None:
        till.paid()
        for number, cents in enumerate(order):
            till("refund", PAYMENT, f"re_{number}", cents * CENT)
        for number in reversed(range(3)):
            till("refund_succeeded", f"re_{number}")
        assert (till.books.available(), till.books.limit()) == (0, 0)

    def test_a_pending_refund_is_frozen_and_a_failed_one_is_given_back(self, till: Till) -> None:
        till.paid()
        till("refund", PAYMENT, "re_1", GROSS)
        assert (till.books.available(), till.books.limit()) == (0, 0)
        assert till.books.sum(_K.BALANCE, WORKSPACE) == -20 * DOLLAR
        till("refund_failed", "re_1")
        assert (till.books.available(), till.books.limit()) == (20 * DOLLAR, 20 * DOLLAR)
        till("refund", PAYMENT, "re_2", GROSS)

    def test_a_refund_that_fails_after_it_succeeded_is_undone_once(self, till: Till) -> None:
        till.paid()
        till("settle", "txn_1", PAYMENT, GROSS, 92 * CENT)
        before = {each: amount for each, amount in till.books.sums().items() if amount}
        till("refund", PAYMENT, "re_1", 700 * CENT)
        till("refund_succeeded", "re_1")
        till("refund_paid", "re_1", PAYMENT, 700 * CENT)
        for _ in range(2):
            till("refund_failed", "re_1")
        assert (till.books.available(), till.books.limit()) == (20 * DOLLAR, 20 * DOLLAR)
        assert {each: amount for each, amount in till.books.sums().items() if amount} == before
        with pytest.raises(Conflict):
            till("refund_succeeded", "re_1")
        till("refund", PAYMENT, "re_2", GROSS)
        till.books.verify()

    def test_a_refund_of_spent_credit_leaves_a_debt_that_the_next_top_up_pays(self, till: Till) -> None:
        till.paid()
        till.books.take(till.books.use(1, 15 * DOLLAR))
        till("refund", PAYMENT, "re_1", GROSS)
        till("refund_succeeded", "re_1")
        assert till.books.available() == -15 * DOLLAR
        till.paid(PaymentId("pi_2"))
        # The gateway has counted 15 as spent, so 5 of this limit are left.
        assert (till.books.available(), till.books.limit()) == (5 * DOLLAR, 20 * DOLLAR)
        till.books.verify()

    def test_nothing_and_a_part_of_an_unknown_payment_are_not_refunded(self, till: Till) -> None:
        till.paid()
        with pytest.raises(Unprocessable):
            till("refund", PAYMENT, "re_1", 0)
        with pytest.raises(NotFound):
            till("refund", "pi_unknown", "re_2", CENT)

    def test_money_that_has_left_clears_the_refund(self, till: Till) -> None:
        till.paid()
        till("settle", "txn_1", PAYMENT, GROSS, 92 * CENT)
        till("refund", PAYMENT, "re_1", GROSS)
        till("refund_succeeded", "re_1")
        assert till.books.sum(_K.REFUNDS) == -GROSS
        till("refund_paid", "re_1", PAYMENT, GROSS)
        assert till.books.sum(_K.REFUNDS) == till.books.sum(_K.STRIPE_CLEARING) == 0
        assert till.books.sum(_K.BANK) == -92 * CENT


class TestDisputes:
    def test_a_won_dispute_leaves_everything_as_it_was(self, till: Till) -> None:
        till.paid()
        before = till.books.sums()
        till("dispute", PAYMENT, "du_1", GROSS)
        assert (till.books.available(), till.books.limit()) == (0, 0)
        till("dispute_won", "du_1")
        till("dispute_won", "du_1")
        assert (till.books.available(), till.books.limit()) == (20 * DOLLAR, 20 * DOLLAR)
        assert {each: amount for each, amount in till.books.sums().items() if amount} == before

    def test_a_lost_dispute_over_a_part_takes_a_part(self, till: Till) -> None:
        till.paid()
        till("dispute", PAYMENT, "du_1", 500 * CENT)
        till("dispute_lost", "du_1")
        assert till.books.available() == 20 * DOLLAR - 471_031_559
        assert till.books.sum(_K.DISPUTES) == 0
        till.books.verify()

    def test_a_refund_of_a_disputed_payment_is_refused(self, till: Till) -> None:
        till.paid()
        till("dispute", PAYMENT, "du_1", GROSS)
        with till.books.booking.unit() as unit, pytest.raises(Conflict) as caught:
            till.payments.locked(unit, PAYMENT)
        assert caught.value.code == "payment_disputed"
        assert till.books.available() == 0

    @pytest.mark.parametrize("order", [("refund", "dispute"), ("dispute", "refund")])
    @pytest.mark.parametrize(("end", "left"), [("dispute_won", 1_340_555_818), ("dispute_lost", -659_444_182)])
    def test_a_dispute_over_all_and_a_refund_before_it_end_the_same_in_any_order(
        self, till: Till, order: tuple[str, str], end: str, left: int
    ) -> None:
        """Stripe has paid 28.23 back of 21.23: the payer owes the rest unless the dispute is won."""
        till.paid()
        amounts = {"refund": 700 * CENT, "dispute": GROSS}
        for kind in order:
            till(kind, PAYMENT, f"{kind}_1", amounts[kind])
        assert till.books.available() == -659_444_182
        till("refund_succeeded", "refund_1")
        till(end, "dispute_1")
        # The shares of each part are rounded where it is taken.
        assert abs(till.books.available() - left) <= 1
        till.books.verify()

    def test_a_lost_dispute_that_an_appeal_wins_leaves_everything_as_it_was(self, till: Till) -> None:
        till.paid()
        before = till.books.sums()
        till("dispute", PAYMENT, "du_1", 500 * CENT)
        for _ in range(2):
            till("dispute_lost", "du_1")
        for _ in range(2):
            till("dispute_won", "du_1")
        assert till.books.available() == 20 * DOLLAR
        assert {each: amount for each, amount in till.books.sums().items() if amount} == before
        with pytest.raises(Conflict):
            till("dispute_lost", "du_1")
        till.books.verify()


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["paid", "use", "refund", "refund_succeeded", "refund_failed", "dispute", "dispute_won", "dispute_lost"]
        ),
        st.integers(0, 2),
        st.integers(1, GROSS),
    ),
    max_size=25,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_any_interleaving_keeps_the_books_right(till: Till, steps: list[tuple[str, int, int]]) -> None:
    """A refused step leaves nothing. Booked steps add up, and the limit is credit without frozen amounts."""
    for kind, number, amount in steps:
        payment = PaymentId(f"pi_{number}")
        try:
            match kind:
                case "paid":
                    till.paid(payment)
                case "use":
                    till.books.take(till.books.use(amount, amount))
                case "refund" | "dispute":
                    till(kind, payment, f"{number}", amount)
                case _:
                    till(kind, f"{number}")
        except ServiceError:
            continue
    till.books.verify()
    limit = till.books.limit()
    assert limit is None or limit == max(0, till.books.available() + _counted(till.books))


def _counted(books: Books) -> int:
    """Return the usage that the gateway has counted on the balance."""
    seqs = {each.seq for each in books.transactions() if each.kind == "usage"}
    return sum(row["amount"] for row in books.entries() if row["seq"] in seqs and row["amount"] > 0)

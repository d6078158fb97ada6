"""Rules of double entry, returns and rounding, without a database."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_cloud.billing.models.accounts import (
    OF_WORKSPACE,
    AccountKind,
    account_id,
    available,
    house,
    new_account,
    spendable_in_all,
)
from opencode_cloud.billing.models.errors import UnbalancedTransaction
from opencode_cloud.billing.models.payments import Hold, Payment, Purpose, Shares
from opencode_cloud.billing.models.transactions import Cause, CauseKind, Layer, Leg, TransactionDraft, TransactionKind
from opencode_cloud.billing.service import chain, double_entry, drafts
from opencode_cloud.billing.service.returning import added, shares_of
from opencode_cloud.contracts.ids import LedgerAccountId, LedgerTransactionId, PaymentId
from opencode_cloud.kit import rounding
from tests.unit.billing.books import AT, CENT, DOLLAR
from tests.unit.usage.events import WORKSPACE

BALANCE, PROMO = (account_id(WORKSPACE, kind) for kind in OF_WORKSPACE)
REVENUE = house(AccountKind.REVENUE)
TWENTY = Payment(
    id=PaymentId("pi_1"),
    workspace_id=WORKSPACE,
    currency="USD",
    transaction_id=LedgerTransactionId("ltx_1"),
    paid=Shares(credit=20 * DOLLAR, fee=123 * CENT),
)
"""Twenty dollars of credit, charged with $21.23."""


def draft(*legs: Leg, kind: TransactionKind = TransactionKind.GRANT) -> TransactionDraft:
    return TransactionDraft(
        id=LedgerTransactionId("ltx_1"),
        kind=kind,
        key="k",
        cause=Cause(CauseKind.SYSTEM, "test"),
        workspace_id=WORKSPACE,
        event_at=AT,
        legs=legs,
    )


def _cents(number: int) -> int:
    return number * CENT


class TestDoubleEntry:
    @pytest.mark.parametrize(
        "legs",
        [
            (),
            (Leg(BALANCE, 0), Leg(REVENUE, 0)),
            (Leg(BALANCE, 1),),
            (Leg(BALANCE, 1), Leg(REVENUE, -2)),
            (Leg(BALANCE, 1, Layer.PENDING), Leg(REVENUE, -1)),
            (Leg(BALANCE, 1), Leg(house(AccountKind.REVENUE, "EUR"), -1)),
            (Leg(BALANCE, 2**60), Leg(REVENUE, -(2**60))),
        ],
    )
    def test_a_draft_that_does_not_balance_is_refused(self, legs: tuple[Leg, ...]) -> None:
        with pytest.raises(UnbalancedTransaction):
            double_entry.check(draft(*legs))

    @given(
        amounts=st.lists(
            st.tuples(
                st.sampled_from([BALANCE, PROMO]),
                st.integers(-DOLLAR, DOLLAR).filter(bool),
                st.sampled_from(list(Layer)),
                st.sampled_from([TransactionKind.GRANT, TransactionKind.USAGE]),
            ),
            max_size=30,
        )
    )
    def test_balances_are_the_sums_of_their_entries(
        self, amounts: list[tuple[LedgerAccountId, int, Layer, TransactionKind]]
    ) -> None:
        accounts = {each: new_account(each) for each in (BALANCE, PROMO)}
        entries = [
            entry
            for account, amount, layer, kind in amounts
            for entry in double_entry.apply(
                accounts, draft(Leg(account, amount, layer), Leg(REVENUE, -amount, layer), kind=kind)
            )
        ]
        for account in accounts.values():
            own = [entry for entry in entries if entry.account_id == account.id]
            assert account.posted == sum(entry.amount for entry in own if entry.layer is Layer.POSTED)
            assert account.pending == sum(entry.amount for entry in own if entry.layer is Layer.PENDING)
            assert [entry.account_version for entry in own] == list(range(1, len(own) + 1))
        used = sum(amount for _, amount, layer, kind in amounts if kind == "usage" and layer == "posted")
        frozen = sum(max(0, account.pending) for account in accounts.values())
        assert available(accounts.values(), AT) == -sum(account.posted for account in accounts.values()) - frozen
        assert spendable_in_all(accounts.values()) == max(0, available(accounts.values(), AT) + used)


class TestReturns:
    def test_three_parts_take_what_the_whole_gave(self) -> None:
        """700, 700 and 723 cents of 2123 (money: refunds are proportional to the cumulative amount)."""
        taken, payment = [], TWENTY
        for cents in (700, 700, 723):
            shares = shares_of(payment, cents * CENT)
            taken.append(shares.credit)
            payment = Payment(**{**_fields(payment), "returned": added(payment.returned, shares)})
        assert taken == [659_444_182, 659_444_183, 681_111_635]
        assert payment.returned == payment.paid

    def test_a_small_part_takes_its_share(self) -> None:
        ten = Payment(**{**_fields(TWENTY), "paid": Shares(credit=10 * DOLLAR, fee=77 * CENT)})
        assert shares_of(ten, 333 * CENT).credit == 309_192_200

    def test_a_dispute_over_a_part_takes_a_part(self) -> None:
        assert shares_of(TWENTY, 500 * CENT).credit == 471_031_559

    def test_a_full_return_takes_the_credit_and_not_the_gross(self) -> None:
        assert shares_of(TWENTY, 2123 * CENT) == TWENTY.paid

    def test_tax_is_returned_with_its_net(self) -> None:
        taxed = Payment(**{**_fields(TWENTY), "paid": Shares(credit=20 * DOLLAR, tax=2 * DOLLAR)})
        assert shares_of(taxed, 22 * DOLLAR).tax == 2 * DOLLAR

    @given(
        paid=st.builds(Shares, credit=st.integers(1, 10**12), fee=st.integers(0, 10**10), tax=st.integers(0, 10**10)),
        data=st.data(),
    )
    def test_parts_in_any_sizes_end_at_the_same_sums(self, paid: Shares, data: st.DataObject) -> None:
        payment = Payment(**{**_fields(TWENTY), "paid": paid})
        for permille in [*data.draw(st.lists(st.integers(0, 1000), max_size=6)), 1000]:
            part = (paid.gross - payment.returned.gross) * permille // 1000
            if not part:
                continue
            shares = shares_of(payment, part)
            assert min(shares.credit, shares.fee) >= 0
            assert shares.tax >= -1, "the tax takes the rest of two roundings"
            payment = Payment(**{**_fields(payment), "returned": added(payment.returned, shares)})
            assert payment.returned.credit == paid.credit * payment.returned.gross // paid.gross
        assert payment.returned == paid

    @given(
        paid=st.builds(
            Shares,
            credit=st.integers(1, 10**6).map(_cents),
            fee=st.integers(0, 10**5).map(_cents),
            tax=st.integers(0, 10**6).map(_cents),
        ),
        purpose=st.sampled_from(Purpose),
        data=st.data(),
    )
    def test_entries_of_a_taxed_payment_and_its_refunds_balance_and_the_whole_returns_all_of_the_tax(
        self, paid: Shares, purpose: Purpose, data: st.DataObject
    ) -> None:
        if purpose is Purpose.PLAN:
            paid = Shares(credit=0, fee=paid.credit + paid.fee, tax=paid.tax)
        payment = Payment(**{**_fields(TWENTY), "paid": paid, "purpose": purpose})
        posted: Counter[LedgerAccountId] = Counter()
        pending: Counter[LedgerAccountId] = Counter()

        def book(booked: TransactionDraft) -> None:
            double_entry.check(booked)
            for leg in booked.legs:
                (pending if leg.layer is Layer.PENDING else posted)[leg.account_id] += leg.amount

        is_credit = purpose is Purpose.CREDIT
        book((drafts.top_up if is_credit else drafts.plan_payment)(WORKSPACE, payment.id, paid, AT))
        assert posted[house(AccountKind.TAX_PAYABLE)] == -paid.tax
        assert posted[BALANCE] == -paid.credit
        for number, permille in enumerate([*data.draw(st.lists(st.integers(1, 1000), max_size=8)), 1000]):
            left = (paid.gross - payment.returned.gross) // CENT
            if not left:
                break
            shares = shares_of(payment, max(1, left * permille // 1000) * CENT)
            hold = Hold(
                id=f"refund:{number}",
                payment_id=payment.id,
                transaction_id=payment.transaction_id,
                workspace_id=WORKSPACE,
                currency="USD",
                shares=shares,
            )
            book(drafts.refund_pending(payment, hold.id, shares, AT))
            book(drafts.hold_end(payment, hold, TransactionKind.REFUND, AT, post=True))
            payment = Payment(**{**_fields(payment), "returned": added(payment.returned, shares)})
        assert payment.returned == paid
        kept = (AccountKind.TAX_PAYABLE, AccountKind.FEES_INCOME, AccountKind.PLAN_INCOME)
        assert {posted[each] for each in (BALANCE, *map(house, kept))} == {0}
        assert not any(pending.values())


def _fields(payment: Payment) -> dict[str, object]:
    return {name: getattr(payment, name) for name in payment.__struct_fields__}


class TestRounding:
    def test_lines_of_half_cents_sum_to_the_rounded_total(self) -> None:
        assert rounding.lines([CENT // 2] * 3) == [CENT, CENT, 0]

    @given(st.lists(st.integers(-(10**12), 10**12), max_size=81))
    def test_lines_sum_to_the_total_that_is_rounded_once(self, amounts: list[int]) -> None:
        rounded = rounding.lines(amounts)
        assert sum(rounded) == rounding.half_up(sum(amounts))
        assert all(abs(before - after) < 2 * CENT for before, after in zip(amounts, rounded, strict=True))


class TestMonths:
    @pytest.mark.parametrize(
        ("at", "closed", "period"),
        [
            (datetime(2026, 10, 31, 23, 59, 59, 999_999), "", "2026-10"),  # noqa: DTZ001
            (datetime(2026, 11, 1), "", "2026-11"),  # noqa: DTZ001
            (datetime(2026, 10, 31, 23, 59, 59), "2026-10", "2026-11"),  # noqa: DTZ001
            (datetime(2026, 12, 31), "2026-12", "2027-01"),  # noqa: DTZ001
        ],
    )
    def test_an_event_is_booked_into_its_month_unless_that_is_closed(
        self, at: datetime, closed: str, period: str
    ) -> None:
        assert chain.period_of(at, closed) == period

    @given(st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1)))  # noqa: DTZ001
    def test_each_instant_lies_in_one_month(self, at: datetime) -> None:
        first, end = chain.period_bounds(f"{at:%Y-%m}")
        assert first <= at < end
        assert end - timedelta(microseconds=1) < end
        assert f"{end:%Y-%m}" == chain.next_period(f"{at:%Y-%m}")

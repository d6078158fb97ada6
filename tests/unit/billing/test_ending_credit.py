"""Promotional credit with an end: used first, and gone from its end on, whether a job has run or not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from opencode_cloud.billing.commands import BillingCommand, execute_billing_command
from opencode_cloud.billing.models.accounts import AccountKind, ending_account
from opencode_cloud.billing.models.documents import EndingCredit, PrepaidBalance
from opencode_cloud.billing.models.payments import Shares
from opencode_cloud.billing.service import drafts
from opencode_cloud.billing.service.reading import days_left
from opencode_cloud.billing.services import BillingServices
from opencode_cloud.budgets.windows import counter
from opencode_cloud.composition.services.billing import billing_services
from opencode_cloud.contracts.actor import Actor, ActorKind
from opencode_cloud.contracts.budgets import BudgetPeriod, BudgetScope, BudgetUnit, CreditEnd, KnownBudget
from opencode_cloud.contracts.ids import PaymentId
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.errors import Conflict, Unprocessable
from opencode_cloud.operators.command import command_of, parser
from opencode_cloud.operators.service import GrantBalance
from opencode_cloud.schema.billing import ledger_entries, ledger_transactions
from opencode_cloud.schema.budgets import budgets
from tests.unit.billing.books import AT, CENT, DOLLAR, Books
from tests.unit.usage.events import WORKSPACE

ANN = Actor(kind=ActorKind.OPERATOR, name="ann", role="owner")
DAY = timedelta(days=1)
MS = 1000
SERIES = count(1)


def at(moment: datetime) -> int:
    return int(moment.replace(tzinfo=UTC).timestamp())


@pytest.fixture
def desk(books: Books) -> BillingServices:
    made = billing_services(books.database, books.place.outbox, books.audit, enabled=True)
    assert made is not None
    return made


def today() -> datetime:
    return utc_now().replace(microsecond=0)


def granted(books: Books, dollars: int, ends_at: datetime | None, key: str = "g") -> None:
    books.book(drafts.grant(WORKSPACE, dollars * DOLLAR, key, AT, ends_at))


def bought(books: Books, dollars: int) -> None:
    books.book(drafts.top_up(WORKSPACE, PaymentId(f"pi_{dollars}"), Shares(credit=dollars * DOLLAR), AT))


def gateway_limit(books: Books, moment: datetime) -> int:
    """Return the limit to which the gateway keeps a workspace at a time, from what was projected to it."""
    (row,) = books.rows(select(budgets).where(budgets.c.workspace_id == WORKSPACE, budgets.c.scope == "balance"))
    known = KnownBudget(
        id=row["id"],
        scope=BudgetScope.BALANCE,
        unit=BudgetUnit.COST,
        period=BudgetPeriod.TOTAL,
        limit=row["amount"],
        ends=msgspec.convert(row["ends"] or (), tuple[CreditEnd, ...]),
    )
    return counter(known, at(moment)).budget.limit


def test_a_grant_of_30_days_is_gone_on_day_31_although_no_job_has_run(books: Books, desk: BillingServices) -> None:
    """Case 52."""
    begun = today() - 31 * DAY
    granted(books, 10, begun + 30 * DAY)
    assert books.available(at=begun + 30 * DAY - timedelta(seconds=1)) == 10 * DOLLAR
    assert books.available(at=begun + 30 * DAY) == 0 == books.available()
    assert gateway_limit(books, begun + 30 * DAY - timedelta(seconds=1)) == 10 * DOLLAR
    assert gateway_limit(books, begun + 30 * DAY) == 0
    balance = desk.reader.balance(WORKSPACE)
    assert (balance.available, balance.promo, balance.ends) == (0, 0, [])
    # The entry of expiry follows, once, and changes nothing that could be spent.
    assert (desk.expiries.run(), desk.expiries.run()) == (1, 0)
    (entry,) = [each for each in books.transactions() if each.kind == "expiry"]
    assert (entry.event_at, books.sum(AccountKind.PROMOTIONS)) == (begun + 30 * DAY, 0)
    assert (books.available(), gateway_limit(books, today())) == (0, 0)
    books.verify()


def test_bought_credit_does_not_end_with_a_grant(books: Books, desk: BillingServices) -> None:
    """Case 53."""
    end = today() + DAY
    granted(books, 5, end)
    bought(books, 20)
    assert books.available() == 25 * DOLLAR
    assert books.available(at=end) == gateway_limit(books, end) == 20 * DOLLAR
    balance = desk.reader.balance(WORKSPACE)
    assert (balance.promo, balance.paid) == (5 * DOLLAR, 20 * DOLLAR)
    assert [(each.ends_at, each.amount) for each in balance.ends] == [(end, 5 * DOLLAR)]


def test_what_ends_first_is_used_first_and_bought_credit_last(books: Books) -> None:
    soon, later = today() + DAY, today() + 9 * DAY
    bought(books, 20)
    granted(books, 4, None, "endless")
    granted(books, 3, later, "later")
    granted(books, 2, soon, "soon")
    left: list[tuple[int, ...]] = []
    for number, dollars in enumerate((1, 2, 3, 4)):
        books.take(books.use(number, dollars * DOLLAR))
        sums = books.sums()
        places = (ending_account(WORKSPACE, soon), ending_account(WORKSPACE, later))
        left.append((*(-sums[each] // DOLLAR for each in places), -books.sum(AccountKind.PROMO, WORKSPACE) // DOLLAR))
    assert left == [(1, 3, 4), (0, 2, 4), (0, 0, 3), (0, 0, 0)]
    assert books.sum(AccountKind.BALANCE, WORKSPACE) == -19 * DOLLAR
    assert books.available() == 19 * DOLLAR == books.available(at=later)
    books.verify()


def test_a_call_from_before_the_end_uses_the_credit_and_a_later_one_does_not(books: Books) -> None:
    end = today() - timedelta(minutes=10)
    granted(books, 5, end)
    bought(books, 20)
    before, after = (at(end + timedelta(minutes=minutes)) * MS for minutes in (-1, 1))
    books.take(books.use(1, 3 * DOLLAR, at=before), books.use(2, DOLLAR, at=after))
    assert books.sums()[ending_account(WORKSPACE, end)] == -2 * DOLLAR
    assert books.available() == 19 * DOLLAR
    # The gateway has counted 4, and its limit is 25 without the 2 that are lost.
    assert gateway_limit(books, today()) - 4 * DOLLAR == 19 * DOLLAR


def test_events_that_come_late_still_use_the_credit_for_an_hour(books: Books, desk: BillingServices) -> None:
    end = today() - timedelta(minutes=30)
    granted(books, 5, end)
    assert desk.expiries.run() == 0
    books.take(books.use(1, 2 * DOLLAR, at=at(end - timedelta(minutes=1)) * MS))
    assert books.available() == 0
    assert books.sums()[ending_account(WORKSPACE, end)] == -3 * DOLLAR


def test_a_credit_in_debt_loses_only_what_was_there(books: Books) -> None:
    end = today() + DAY
    granted(books, 10, end)
    books.take(books.use(1, 12 * DOLLAR))
    assert books.available() == books.available(at=end) == -2 * DOLLAR
    assert gateway_limit(books, end) == 10 * DOLLAR


def test_usage_that_is_given_back_after_the_end_is_lost_too(books: Books, desk: BillingServices) -> None:
    end = today() - 2 * DAY
    granted(books, 10, end)
    books.take(books.use(1, 4 * DOLLAR, at=at(end - DAY) * MS))
    usage = books.transactions()[-1]
    assert desk.expiries.run() == 1
    desk.credits.reverse(ANN, usage.id, "wrong price")
    assert books.available() == 0
    assert desk.expiries.run() == 1
    assert books.sums()[ending_account(WORKSPACE, end)] == 0
    assert desk.reconciliation.findings() == []


class TestCommands:
    def test_the_end_belongs_to_the_terms_of_a_grant(self, books: Books, desk: BillingServices) -> None:
        end = today() + DAY
        first = desk.credits.grant(ANN, WORKSPACE, DOLLAR, "pilot", "k", end)
        assert desk.credits.grant(ANN, WORKSPACE, DOLLAR, "pilot", "k", end).id == first.id
        for other in (None, end + DAY):
            with pytest.raises(Conflict) as caught:
                desk.credits.grant(ANN, WORKSPACE, DOLLAR, "pilot", "k", other)
            assert caught.value.code == "idempotency_key_reused"
        assert books.available() == DOLLAR
        movements = desk.reader.movements(WORKSPACE, None, 9)
        assert [each.id for each in movements] == [first.id]

    def test_an_end_lies_in_the_future_and_is_exact(self, desk: BillingServices) -> None:
        wrong = (today() - DAY, today() + timedelta(days=1, microseconds=1))
        for end in wrong:
            with pytest.raises(Unprocessable) as caught:
                desk.credits.grant(ANN, WORKSPACE, DOLLAR, "pilot", "k", end)
            assert caught.value.code == "invalid_end"
        with pytest.raises(Unprocessable) as caught:
            desk.credits.grant(ANN, WORKSPACE, -DOLLAR, "pilot", "k", today() + DAY)
        assert caught.value.code == "invalid_end"

    def test_credit_is_taken_back_in_the_order_of_its_use(self, books: Books, desk: BillingServices) -> None:
        end = today() + DAY
        desk.credits.grant(ANN, WORKSPACE, 3 * DOLLAR, "pilot", "a", end)
        desk.credits.grant(ANN, WORKSPACE, 3 * DOLLAR, "pilot", "b")
        desk.credits.grant(ANN, WORKSPACE, -4 * DOLLAR, "too much", "c")
        assert books.sums()[ending_account(WORKSPACE, end)] == 0
        assert books.available() == books.available(at=end) == 2 * DOLLAR
        desk.credits.grant(ANN, WORKSPACE, -4 * DOLLAR, "too much", "d")
        assert books.available() == -2 * DOLLAR
        books.verify()

    def test_a_grant_is_reversed_before_its_end_only(self, books: Books, desk: BillingServices) -> None:
        granted(books, 5, today() - DAY, "past")
        with pytest.raises(Conflict) as caught:
            desk.credits.reverse(ANN, books.transactions()[0].id, "twice")
        assert caught.value.code == "credit_ended"
        wrong = desk.credits.grant(ANN, WORKSPACE, 3 * DOLLAR, "pilot", "a", today() + DAY)
        desk.credits.reverse(ANN, wrong.id, "twice")
        assert books.available() == 0

    def test_the_command_line_gives_an_end(self) -> None:
        arguments = ["grant", WORKSPACE, "10", "--reason", "r", "--until", "2027-01-31T00:00:00"]
        command = msgspec.convert({"type": "grant", **command_of(parser().parse_args(arguments))}, GrantBalance)
        assert command.ends_at == datetime(2027, 1, 31)  # noqa: DTZ001 - UTC without a zone


class TestChecks:
    def test_nothing_is_found_in_books_with_ends(self, books: Books, desk: BillingServices) -> None:
        granted(books, 5, today() + DAY, "a")
        granted(books, 5, today() - timedelta(hours=1), "b")
        books.take(books.use(1, DOLLAR))
        assert desk.reconciliation.findings() == []

    def test_an_end_that_the_gateway_does_not_know_is_found(self, books: Books, desk: BillingServices) -> None:
        granted(books, 5, today() + DAY)
        with books.database.transaction() as connection:
            connection.execute(text("UPDATE budgets SET ends = NULL"))
        assert [each.check for each in desk.reconciliation.findings()] == ["ends"]

    def test_an_expiry_that_is_not_booked_is_found(self, books: Books, desk: BillingServices) -> None:
        granted(books, 5, today() - 3 * DAY)
        found = execute_billing_command(BillingCommand(action="reconcile"), desk, ANN)
        assert [each["check"] for each in found] == ["expiries"]


def test_a_forecast_loses_what_ends_before_it_is_used() -> None:
    now = today()
    ends = [EndingCredit(ends_at=now + 2 * DAY, amount=5 * DOLLAR), EndingCredit(ends_at=now + 3 * DAY, amount=DOLLAR)]
    balance = PrepaidBalance(
        currency="USD", available=16 * DOLLAR, paid=10 * DOLLAR, promo=6 * DOLLAR, frozen=0, ends=ends
    )
    # 2 of 5 until the second day, then 1 of 1; the 10 that were bought last for 10 more days.
    assert days_left(balance, DOLLAR, now) == 13
    assert days_left(balance, 100 * DOLLAR, now) == 0


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("grant"), st.integers(1, 9), st.sampled_from([-50, -2, 3, 30, None])),
        st.tuples(st.just("buy"), st.integers(1, 9), st.none()),
        st.tuples(st.just("use"), st.integers(1, 900), st.integers(-60, 0)),
        st.tuples(st.just("take back"), st.integers(1, 9), st.none()),
        st.tuples(st.just("run"), st.just(0), st.none()),
    ),
    max_size=12,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_any_history_has_sums_of_zero_and_one_balance(
    books: Books, desk: BillingServices, steps: list[tuple[str, int, int | None]]
) -> None:
    """Ends are hours from now. Bought credit is never lost, and the gateway's room is the available balance."""
    series = next(SERIES)
    now = today()
    for number, (what, amount, hours) in enumerate(steps):
        key = f"{series}-{number}"
        end = None if hours is None else now + timedelta(hours=hours)
        match what:
            case "grant":
                books.book(drafts.grant(WORKSPACE, amount * DOLLAR, key, AT, end))
            case "buy":
                books.book(drafts.top_up(WORKSPACE, PaymentId(key), Shares(credit=amount * DOLLAR), AT))
            case "use":
                assert end is not None
                call = books.use(series * 1000 + number, amount * CENT, at=at(end) * MS)
                books.take(call)
                books.take(call)
            case "take back":
                desk.credits.grant(ANN, WORKSPACE, -amount * DOLLAR, "taken back", key)
            case _:
                desk.expiries.run()
    books.verify()
    assert sum(books.sums().values()) == 0
    for hours in (0, 4, 40):
        later = now + timedelta(hours=hours)
        # A limit is never negative, so the gateway sees a debt as no room.
        if books.limit() is not None:
            room = gateway_limit(books, later) - _counted(books)
            assert max(0, room) == max(0, books.available(at=later))
    desk.expiries.run()
    assert {each.check for each in desk.reconciliation.findings()} <= {"expiries"}


def _counted(books: Books) -> int:
    """Return what the gateway's counter holds: all usage that was settled on it."""
    column, entry = ledger_transactions.c, ledger_entries.c
    query = select(entry.amount).join(ledger_transactions, column.seq == entry.seq)
    rows = books.rows(query.where(column.kind == "usage", entry.account_version.is_not(None)))
    return sum(row["amount"] for row in rows)

"""Transactions in MySQL: once for each key, chained, with balances under a lock; usage is charged once."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event as sql_events
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from opencode_cloud.billing.models.accounts import AccountKind
from opencode_cloud.billing.models.payments import Shares
from opencode_cloud.billing.models.transactions import TransactionDraft
from opencode_cloud.billing.service import drafts
from opencode_cloud.contracts.actor import Actor, ActorKind
from opencode_cloud.contracts.ids import PaymentId
from opencode_cloud.contracts.outbox import Topic
from opencode_cloud.contracts.usage import SettledEvent
from opencode_cloud.kit.errors import Conflict, Unavailable
from opencode_cloud.kit.retry import Backoff, retry
from opencode_cloud.kit.sql import Database
from tests.unit.billing.books import AT, CENT, DOLLAR, Books
from tests.unit.usage.events import NOON, OTHER, WORKSPACE

OPERATOR = Actor(kind=ActorKind.OPERATOR, name="ops")
_K = AccountKind
SERIES = count(1)
"""Numbers of series of calls: an example of hypothesis finds the rows of those before it."""


def top_up(number: int = 1, dollars: int = 20) -> TransactionDraft:
    return drafts.top_up(WORKSPACE, PaymentId(f"pi_{number}"), Shares(credit=dollars * DOLLAR, fee=123 * CENT), AT)


class TestBooking:
    def test_a_top_up_credits_the_balance_and_keeps_the_fee_apart(self, books: Books) -> None:
        books.book(top_up())
        assert (books.available(), books.limit()) == (20 * DOLLAR, 20 * DOLLAR)
        assert books.sum(_K.STRIPE_CLEARING) == 2123 * CENT
        assert books.sum(_K.FEES_INCOME) == -123 * CENT
        books.verify()

    def test_the_gateway_is_told_of_each_change_of_the_limit_and_of_nothing_else(self, books: Books) -> None:
        books.book(top_up())
        books.take(books.use(1, DOLLAR))
        books.book(top_up())
        assert books.place.told(Topic.BUDGETS) == [WORKSPACE]

    def test_a_key_is_booked_once(self, books: Books) -> None:
        first, again = books.book(top_up()), books.book(top_up())
        assert [each.id for each in first] == [each.id for each in again]
        assert books.available() == 20 * DOLLAR

    def test_a_key_with_other_terms_is_refused_and_nothing_of_its_unit_is_booked(self, books: Books) -> None:
        books.book(top_up())
        with pytest.raises(Conflict) as caught:
            books.book(top_up(2), top_up(1, dollars=30))
        assert caught.value.code == "idempotency_key_reused"
        assert books.available() == 20 * DOLLAR

    def test_rows_of_the_books_cannot_be_changed_or_deleted(self, books: Books) -> None:
        books.book(top_up())
        for statement in (
            "UPDATE ledger_entries SET amount = 1",
            "DELETE FROM ledger_entries",
            "UPDATE ledger_transactions SET workspace_id = ''",
            "DELETE FROM ledger_transactions",
        ):
            with pytest.raises(DBAPIError, match="append-only"), books.database.transaction() as connection:
                connection.execute(text(statement))

    def test_a_debt_is_shown_and_the_gateway_gets_no_negative_limit(self, books: Books) -> None:
        books.book(drafts.adjustment(WORKSPACE, -5 * DOLLAR, "k", AT, corrects=drafts.LedgerTransactionId("")))
        assert (books.available(), books.limit()) == (-5 * DOLLAR, 0)

    def test_grants_and_usage_from_before_the_ledger_open_the_books(self, books: Books) -> None:
        books.balance.grant(OPERATOR, WORKSPACE, 10 * DOLLAR, "before", "g1")
        books.ingest._settlement = None
        books.take(books.use(1, 3 * DOLLAR))
        books.ingest._settlement = books.settlement
        books.take(books.use(2, DOLLAR))
        assert [each.kind for each in books.transactions()] == ["opening", "opening_usage", "usage"]
        assert (books.available(), books.limit()) == (6 * DOLLAR, 10 * DOLLAR)
        books.verify()


class TestUsage:
    def test_a_batch_becomes_one_transaction_for_each_workspace_and_day(self, books: Books) -> None:
        books.book(top_up())
        day = 86_400_000
        calls = [books.use(number, CENT, at=NOON + number % 2 * day) for number in range(10)]
        others = [books.use(20 + number, CENT, OTHER, at=NOON) for number in range(3)]
        books.take(*calls, *others)
        kinds = [each.kind for each in books.transactions()]
        assert kinds == ["top_up", "usage", "usage", "usage_uncounted"]
        assert sum(books.postings().values()) == 13 * CENT == -books.sum(_K.REVENUE)
        books.verify()

    def test_promotional_credit_is_used_first(self, books: Books) -> None:
        books.book(drafts.grant(WORKSPACE, DOLLAR, "g", AT), top_up())
        books.take(books.use(1, 3 * DOLLAR))
        assert books.sum(_K.PROMO, WORKSPACE) == 0
        assert books.sum(_K.BALANCE, WORKSPACE) == -18 * DOLLAR

    def test_calls_that_the_gateway_did_not_count_shrink_the_limit(self, books: Books) -> None:
        """Otherwise the gateway would let the workspace spend their cost a second time."""
        stray = books.use(1, 2 * DOLLAR)
        books.book(top_up())
        books.take(stray)
        assert (books.available(), books.limit()) == (18 * DOLLAR, 18 * DOLLAR)

    def test_a_late_event_is_charged_once_and_names_the_transaction_of_its_call(self, books: Books) -> None:
        books.book(top_up())
        lost = books.use(1, 0, outcome="lost")
        late = books.use(1, DOLLAR, id=f"{lost.event.id}.late")
        for _ in range(3):
            books.take(lost, late)
        assert books.available() == 19 * DOLLAR
        charged, corrected = books.use(2, DOLLAR), books.use(2, CENT)
        books.take(charged)
        books.take(books.use(2, CENT, id=f"{corrected.event.id}.late"))
        first, second = books.transactions()[-2:]
        assert second.corrects == first.id
        assert second.cause_id == charged.event.id

    def test_events_whose_rows_were_deleted_are_not_charged_again(self, books: Books) -> None:
        books.book(top_up())
        books.take(books.use(1, DOLLAR))
        with books.database.transaction() as connection:
            connection.execute(text("DELETE FROM usage_events"))
        books.take(books.use(1, DOLLAR))
        assert books.available() == 19 * DOLLAR

    @settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        calls=st.lists(st.tuples(st.integers(0, 10**9), st.booleans(), st.integers(0, 3)), min_size=1, max_size=20),
        data=st.data(),
    )
    def test_any_order_repetition_and_grouping_charges_each_event_once(
        self, books: Books, calls: list[tuple[int, bool, int]], data: st.DataObject
    ) -> None:
        start = 1000 * next(SERIES)
        events = [
            books.use(start + number, cost, OTHER if other else WORKSPACE, at=NOON + day * 86_400_000)
            for number, (cost, other, day) in enumerate(calls)
        ]
        before = {each: books.available(each) for each in (WORKSPACE, OTHER)}
        stirred = data.draw(st.permutations(events)) + data.draw(st.lists(st.sampled_from(events), max_size=10))
        while stirred:
            size = data.draw(st.integers(1, len(stirred)))
            books.take(*stirred[:size])
            stirred = stirred[size:]
        for workspace in (WORKSPACE, OTHER):
            cost = sum(each.event.charged for each in events if each.event.workspace_id == workspace)
            assert books.available(workspace) == before[workspace] - cost
        books.verify()


class TestConcurrency:
    def test_ten_threads_with_the_same_payments_credit_each_once(self, books: Books) -> None:
        def pay(seed: int) -> None:
            for number in random.Random(seed).sample(range(10), 10):
                retry(lambda number=number: books.book(top_up(number)), _ATTEMPTS, Unavailable)

        with ThreadPoolExecutor(10) as threads:
            list(threads.map(pay, range(10)))
        assert books.available() == books.limit() == 200 * DOLLAR
        assert len(books.transactions()) == 10
        books.verify()

    def test_usage_and_credits_of_two_workspaces_at_once_add_up(self, books: Books) -> None:
        books.book(top_up())
        events = [books.use(number, CENT, (WORKSPACE, OTHER)[number % 2]) for number in range(200)]

        def work(seed: int) -> None:
            draw = random.Random(seed)
            if seed % 4 == 0:
                retry(lambda: books.book(top_up(100 + seed)), _ATTEMPTS, Unavailable)
            shuffled = draw.sample(events, len(events))
            for start in range(0, len(shuffled), 50):
                books.take(*shuffled[start : start + 50])

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(work, range(8)))
        assert books.available() == 60 * DOLLAR - 100 * CENT
        assert books.available(OTHER) == -100 * CENT
        books.verify()


_ATTEMPTS = Backoff(first=0.1, longest=1, attempts=20)


class KilledAfter:
    """Kills the connection of a database after a number of statements, as a crash of the process would."""

    def __init__(self, database: Database, statements: int) -> None:
        self.killed = False
        self._engine = database.engine
        self._killer = Database(database.engine.url)
        self._left = statements

    def __enter__(self) -> KilledAfter:
        sql_events.listen(self._engine, "after_cursor_execute", self._count)
        return self

    def __exit__(self, *_: object) -> None:
        sql_events.remove(self._engine, "after_cursor_execute", self._count)
        self._killer.dispose()

    def _count(self, _connection: Any, cursor: Any, *_: Any) -> None:
        self._left -= 1
        if not self._left:
            self.killed = True
            with self._killer.transaction() as connection:
                connection.execute(text(f"KILL CONNECTION {cursor.connection.thread_id()}"))


def test_a_crash_after_any_statement_books_all_or_nothing(books: Books) -> None:
    books.book(drafts.grant(WORKSPACE, DOLLAR, "g", AT))
    statements = 0
    while True:
        statements += 1
        payment, call = top_up(1000 + statements), books.use(1000 + statements, CENT)

        def work(payment: TransactionDraft = payment, call: SettledEvent = call) -> None:
            books.book(payment)
            books.take(call)

        with KilledAfter(books.database, statements) as crash, suppress(Unavailable, DBAPIError):
            work()
        work()
        assert books.available() == DOLLAR + statements * (20 * DOLLAR - CENT)
        if not crash.killed:
            break
    assert statements > 20
    assert books.limit() == DOLLAR + statements * 20 * DOLLAR
    books.verify()

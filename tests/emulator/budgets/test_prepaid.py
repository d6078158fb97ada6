"""Credit of the ledger limits calls in DynamoDB: whatever happens at once, nothing is spent that was not credited."""

from __future__ import annotations

import asyncio
import random
import time
from datetime import UTC, timedelta

import msgspec
import pytest

from opencode_cloud.billing.models.payments import Shares
from opencode_cloud.billing.service import drafts
from opencode_cloud.billing.service.payments import Payments
from opencode_cloud.billing.store.payments import PaymentStore
from opencode_cloud.budgets.service import Reservations
from opencode_cloud.contracts.budgets import BudgetPeriod, BudgetScope, BudgetUnit, KnownBudget, Reservation
from opencode_cloud.contracts.ids import PaymentId
from opencode_cloud.contracts.usage import SettledEvent
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.dynamodb import AsyncDynamoDB
from opencode_cloud.kit.errors import PaymentRequired, TooManyRequests
from opencode_cloud.kit.money import DOLLAR
from opencode_cloud.kit.sql import Database
from opencode_cloud.schema.usage_events import counters_of, from_row
from tests.emulator.budgets.calls import Caller
from tests.emulator.budgets.conftest import Tables
from tests.unit.billing.books import Books
from tests.unit.usage.events import WORKSPACE
from tests.unit.workspaces.team import Place

CALL = DOLLAR // 10


class Prepaid:
    """A workspace with a ledger in MySQL, and its gateway's counter in DynamoDB."""

    def __init__(self, database: Database, tables: Tables) -> None:
        self.books, self.tables = Books(Place(database)), tables
        self.payments = Payments(self.books.booking, PaymentStore())
        self.dynamodb = AsyncDynamoDB()
        self.reservations = Reservations(tables.store(self.dynamodb))

    def pay(self, payment: str, credit: int) -> None:
        with self.books.booking.unit() as unit:
            self.payments.top_up(unit, WORKSPACE, PaymentId(payment), Shares(credit=credit), utc_now())

    def refund(self, payment: str, amount: int) -> None:
        with self.books.booking.unit() as unit:
            self.payments.refund(unit, PaymentId(payment), f"re_{payment}", amount, utc_now())

    def known(self, at: int | None = None) -> Caller:
        """Return a caller at a time, with the balance that the gateway is told of."""
        with self.books.database.transaction() as connection:
            balance = self.books.balance.balances(connection, [WORKSPACE])[WORKSPACE]
        budget = KnownBudget(
            id=balance.id,
            scope=BudgetScope.BALANCE,
            unit=BudgetUnit.COST,
            period=BudgetPeriod.TOTAL,
            limit=balance.limit,
            ends=balance.ends,
        )
        caller = Caller((budget,), at=int(time.time()) if at is None else at)
        caller.workspace = msgspec.structs.replace(caller.workspace, id=WORKSPACE)
        return caller

    async def reserve(self, at: int | None = None) -> tuple[Caller, Reservation] | None:
        caller = self.known(at)
        reservation = caller.reservation(CALL)
        try:
            await self.reservations.reserve(reservation, caller.used(reservation, 0))
        except (PaymentRequired, TooManyRequests):
            return None
        return caller, reservation

    async def settle(self, caller: Caller, reservation: Reservation, cost: int) -> None:
        await self.reservations.settle(reservation, caller.used(reservation, cost, charged=cost))

    async def call(self, share: int) -> bool:
        held = await self.reserve()
        if held is not None:
            await self.settle(*held, CALL * share // 100)
        return held is not None

    def charge(self) -> None:
        """Charge all settled calls, as the stream does; in any order and more than once."""
        rows = [row for row in self.tables.rows(self.tables.usage) if "event" in row]
        events = [SettledEvent(event=from_row(row), counters=counters_of(row)) for row in rows]
        self.books.take(*random.sample(events, len(events)))
        self.books.take(*events)

    def counter(self) -> dict[str, int]:
        found = list(self.tables.counters().values())
        return found[0] if found else {"committed": 0, "reserved": 0, "spent": 0}


@pytest.fixture
def prepaid(database: Database, tables: Tables) -> Prepaid:
    return Prepaid(database, tables)


async def test_fifty_calls_at_once_on_the_credit_of_one_let_one_through(prepaid: Prepaid) -> None:
    prepaid.pay("pi_1", CALL)
    held = [each for each in await asyncio.gather(*(prepaid.reserve() for _ in range(50))) if each]
    assert len(held) == 1
    await prepaid.settle(*held[0], CALL)
    prepaid.charge()
    assert prepaid.books.available() == 0
    assert await prepaid.reserve() is None
    await prepaid.dynamodb.close()


async def test_credit_that_is_not_in_the_books_is_never_spent(prepaid: Prepaid) -> None:
    """Calls, charges and top-ups in any order: the counter is at most the credit, and both sides end equal."""
    draw = random.Random(7)
    credit = 0
    for step in range(12):
        if draw.random() < 0.4:
            prepaid.pay(f"pi_{step}", 2 * CALL)
            credit += 2 * CALL
        if credit:
            await asyncio.gather(*(prepaid.call(draw.choice([0, 50, 100])) for _ in range(4)))
        if draw.random() < 0.5:
            prepaid.charge()
        assert prepaid.counter()["committed"] <= credit
    prepaid.charge()
    assert prepaid.books.available() == credit - prepaid.counter()["spent"] >= 0
    assert prepaid.books.limit() == credit
    prepaid.books.verify()
    await prepaid.dynamodb.close()


async def test_a_refund_during_calls_admits_no_further_one_and_books_the_debt(prepaid: Prepaid) -> None:
    prepaid.pay("pi_1", 10 * CALL)
    running = [each for each in await asyncio.gather(*(prepaid.reserve() for _ in range(5))) if each]
    prepaid.refund("pi_1", 10 * CALL)
    assert await prepaid.reserve() is None
    for held in running:
        await prepaid.settle(*held, CALL)
    prepaid.charge()
    assert prepaid.books.available() == -5 * CALL
    prepaid.pay("pi_2", 6 * CALL)
    assert await prepaid.call(100)
    assert not await prepaid.call(100)
    await prepaid.dynamodb.close()


async def test_credit_that_has_ended_admits_no_call_although_no_job_has_run(prepaid: Prepaid) -> None:
    end = utc_now().replace(microsecond=0) - timedelta(days=1)
    prepaid.books.book(drafts.grant(WORKSPACE, 10 * CALL, "trial", end - timedelta(days=30), end))
    last = int(end.replace(tzinfo=UTC).timestamp()) - 1
    held = await prepaid.reserve(last)
    assert held is not None
    assert await prepaid.reserve(last + 1) is None
    # Later purchases are whole, and are the only credit.
    await prepaid.settle(*held, CALL)
    prepaid.pay("pi_1", CALL)
    prepaid.charge()
    assert prepaid.books.available() == CALL
    assert await prepaid.call(100)
    assert not await prepaid.call(100)
    await prepaid.dynamodb.close()

"""Every counter stays exact after any sequence of calls, crashes, late settlements, changed limits and new windows."""

import asyncio
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from opencode_cloud.budgets.service import LeaseReaper, Reservations
from opencode_cloud.contracts.access import EnforcedPolicy
from opencode_cloud.contracts.budgets import BudgetPeriod, BudgetScope, BudgetUnit, Claim, Counter, Reservation
from opencode_cloud.contracts.ids import GroupId
from opencode_cloud.contracts.usage import UsageEvent
from opencode_cloud.kit.clock import now_seconds
from opencode_cloud.kit.dynamodb import AsyncDynamoDB
from opencode_cloud.kit.errors import PaymentRequired, TooManyRequests
from opencode_cloud.schema.usage_events import from_row
from tests.emulator.budgets.calls import NOON, Caller, budget
from tests.emulator.budgets.conftest import Tables, create_tables
from tests.ministack import Emulator

SECONDS = {"minute": 60, "hour": 3600, "day": 86_400}
Index = st.integers(0, 1000)


@dataclass
class Call:
    caller: Caller
    reservation: Reservation
    at: int
    lost: bool
    """True if its process died. The next sweep ends the call."""
    swept: bool = False

    def event(self, share: int) -> UsageEvent:
        """Return the event of a call that used ``share`` percent of its claim."""
        claim = self.reservation.claim
        part = [amount * share // 100 for amount in (claim.cost, claim.tokens, claim.charged)]
        used = self.caller.used(self.reservation, part[0], tokens=part[1], charged=part[2])
        return msgspec.structs.replace(used, at=self.at * 1000)


@dataclass
class Ledger:
    """The expected counters, by key."""

    spent: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    reserved: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    cost: int = 0

    def fits(self, call: Reservation, beside: Reservation | None = None) -> bool:
        """Tell whether a call fits; with ``beside`` only where it asks for more than that reservation."""
        claims = [(counter, call.claim.of(counter.budget)) for counter in call.counters]
        had = {} if beside is None else {c.key: beside.claim.of(c.budget) for c in beside.counters}
        return all(
            self.spent[c.key] + self.reserved[c.key] + claim <= c.budget.limit
            for c, claim in claims
            if claim > had.get(c.key, 0)
        )

    def hold(self, call: Reservation, sign: int = 1, *, requests: bool = True) -> None:
        for counter in call.counters:
            amount = sign * call.claim.of(counter.budget)
            if not _exact(counter):
                self.reserved[counter.key] += amount
            elif requests:
                self.spent[counter.key] += amount

    def use(self, call: Reservation, event: UsageEvent) -> None:
        for counter in call.counters:
            if not _exact(counter):
                amounts = {BudgetUnit.COST: event.cost, BudgetUnit.TOKENS: event.tokens.total}
                balance = counter.budget.scope is BudgetScope.BALANCE
                self.spent[counter.key] += event.charged if balance else amounts[counter.budget.unit]
        self.cost += event.cost


def _exact(counter: Counter) -> bool:
    return counter.budget.unit is BudgetUnit.REQUESTS


class Calls(RuleBasedStateMachine):
    """Two callers of one workspace. They have a budget of each kind, small enough to be used up.

    Both make calls of a project and of a session with a budget, and others. They come into two groups with budgets, and
    leave them, also while they make calls.
    """

    emulator: Emulator

    @initialize(limits=st.lists(st.integers(0, 60), min_size=11, max_size=11), own=st.booleans())
    def begin(self, limits: list[int], own: bool) -> None:
        self.tables: Tables = create_tables(self.emulator)
        self.loop, self.dynamodb = asyncio.Runner(), AsyncDynamoDB()
        self.store = self.tables.store(self.dynamodb)
        self.budgets, self.sweeper = Reservations(self.store), LeaseReaper(self.store)
        shared = (
            budget(BudgetScope.WORKSPACE, 40 + limits[0], period=BudgetPeriod.HOUR),
            budget(BudgetScope.WORKSPACE, 3 + limits[1] % 10, BudgetUnit.REQUESTS, BudgetPeriod.MINUTE),
            budget(BudgetScope.BALANCE, 60 + limits[2], period=BudgetPeriod.TOTAL),
            budget(BudgetScope.EACH_MEMBER, limits[3], period=BudgetPeriod.DAY),
            budget(BudgetScope.PROJECT, limits[6], period=BudgetPeriod.DAY, subject="web"),
            budget(BudgetScope.PROJECT, 5, BudgetUnit.REQUESTS, BudgetPeriod.HOUR, subject="web"),
            budget(BudgetScope.GROUP, limits[8], period=BudgetPeriod.DAY, subject="grp_1"),
            budget(BudgetScope.GROUP, 4, BudgetUnit.REQUESTS, BudgetPeriod.HOUR, subject="grp_2"),
            budget(BudgetScope.EACH_IN_GROUP, limits[9], period=BudgetPeriod.DAY, subject="grp_1"),
            budget(BudgetScope.EACH_IN_GROUP, limits[10], BudgetUnit.TOKENS, BudgetPeriod.DAY, subject="grp_2"),
        )
        first = Caller(shared, key=(budget(BudgetScope.KEY, limits[4], BudgetUnit.TOKENS, BudgetPeriod.MINUTE),))
        second = Caller(member=(budget(BudgetScope.MEMBER, limits[5], period=BudgetPeriod.DAY),) if own else ())
        policy = EnforcedPolicy(session_budget=limits[7] + 1)
        first.workspace = msgspec.structs.replace(first.workspace, policy=policy)
        second.workspace = first.workspace
        self.callers, self.now, self.ledger = (first, second), NOON, Ledger()
        self.open: list[Call] = []
        self.ended: list[Call] = []

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            self.loop.run(self.dynamodb.close())
            self.loop.close()

    # --------------------------------------------------------------------------------- calls

    @rule(
        who=st.integers(0, 1),
        cost=st.integers(0, 30),
        tokens=st.integers(0, 30),
        byok=st.booleans(),
        lost=st.booleans(),
        project=st.sampled_from(["", "web", "api"]),
        session=st.sampled_from(["", "ses_a", "ses_b"]),
    )
    def reserve(self, who: int, cost: int, tokens: int, byok: bool, lost: bool, project: str, session: str) -> None:
        caller = self.callers[who]
        caller.at, caller.project, caller.session = self.now, project, session
        lease, charged = -10 if lost else 900, 0 if byok else cost
        made = caller.reservation(cost, tokens=tokens, charged=charged, lease=lease)
        fits = self.ledger.fits(made)
        try:
            self.loop.run(self.budgets.reserve(made, caller.facts(made)))
        except (PaymentRequired, TooManyRequests) as refused:
            assert not fits, "a call was refused that fits"
            said = refused.details
            assert said["used"] + said["reserved"] + said["asked"] > said["limit"]
            return
        assert fits, "a call was let through that does not fit"
        self.ledger.hold(made)
        self.open.append(Call(caller, made, self.now, lost))

    @precondition(lambda self: self.open)
    @rule(index=Index, cost=st.integers(0, 40), tokens=st.integers(0, 40), byok=st.booleans())
    def exchange(self, index: int, cost: int, tokens: int, byok: bool) -> None:
        """Continue a call with another model."""
        call = self.open[index % len(self.open)]
        claim = Claim(cost=cost, charged=0 if byok else cost, tokens=tokens)
        old, new = call.reservation, msgspec.structs.replace(call.reservation, claim=claim)
        if not call.swept:
            self.ledger.hold(old, -1)
        fits = all(claim.of(counter.budget) <= counter.budget.limit for counter in new.counters)
        fits = fits and self.ledger.fits(new, beside=old)
        try:
            done = self.loop.run(self.budgets.exchange(old, new, call.caller.facts(new)))
        except (PaymentRequired, TooManyRequests) as refused:
            assert not fits or call.swept, "an exchange was refused that fits"
            said = refused.details
            assert call.swept or said["used"] + said["reserved"] + said["asked"] > said["limit"]
            done = False
        else:
            assert done is not call.swept
            assert fits or call.swept, "an exchange was let through that does not fit"
        if done:
            call.reservation = new
        if not call.swept:
            self.ledger.hold(call.reservation)

    @precondition(lambda self: self.open)
    @rule(index=Index, cost=st.integers(0, 40), share=st.integers(0, 100))
    def settle_after_an_exchange_whose_answer_was_lost(self, index: int, cost: int, share: int) -> None:
        call = self._take(index)
        claim = Claim(cost=cost, charged=cost, tokens=0)
        new = msgspec.structs.replace(call.reservation, claim=claim)
        with suppress(PaymentRequired, TooManyRequests):
            self.loop.run(self.budgets.exchange(call.reservation, new, call.caller.facts(new)))
        event = call.event(share)
        assert self.loop.run(self.budgets.settle(call.reservation, event))
        if not call.swept:
            self.ledger.hold(call.reservation, -1, requests=False)
        self.ledger.use(call.reservation, event)
        # No later settlement knows of the exchange either.
        self.ended.append(call)

    @precondition(lambda self: self.open)
    @rule(index=Index, share=st.integers(0, 100), times=st.integers(1, 3))
    def settle(self, index: int, share: int, times: int) -> None:
        call = self._take(index)
        event = call.event(share)
        settled = [self.loop.run(self.budgets.settle(call.reservation, event)) for _ in range(times)]
        assert settled == [True, False, False][:times]
        if not call.swept:
            self.ledger.hold(call.reservation, -1, requests=False)
        self.ledger.use(call.reservation, event)
        self.ended.append(call)

    @precondition(lambda self: self.open)
    @rule(index=Index)
    def take_back(self, index: int) -> None:
        call = self._take(index)
        assert self.loop.run(self.store.release(call.reservation)) is not call.swept
        if not call.swept:
            self.ledger.hold(call.reservation, -1)

    @precondition(lambda self: self.ended)
    @rule(index=Index, share=st.integers(0, 100))
    def settle_and_take_back_what_has_ended(self, index: int, share: int) -> None:
        call = self.ended[index % len(self.ended)]
        assert not self.loop.run(self.budgets.settle(call.reservation, call.event(share)))
        assert not self.loop.run(self.store.release(call.reservation))

    @rule()
    def sweep(self) -> None:
        due = [call for call in self.open if call.lost and not call.swept]
        assert self.loop.run(self.sweeper.run(now_seconds())) == len(due)
        for call in due:
            call.swept = True
            self.ledger.hold(call.reservation, -1, requests=False)

    # --------------------------------------------------------------------------------- the world around them

    @rule(who=st.integers(0, 1), groups=st.sets(st.sampled_from(["grp_1", "grp_2"])))
    def change_groups(self, who: int, groups: set[str]) -> None:
        caller = self.callers[who]
        caller.member = msgspec.structs.replace(caller.member, groups=tuple(GroupId(each) for each in sorted(groups)))

    @rule(limit=st.integers(0, 120), which=st.integers(0, 9))
    def change_a_limit(self, limit: int, which: int) -> None:
        shared = list(self.callers[0].workspace.budgets)
        shared[which] = msgspec.structs.replace(shared[which], limit=limit)
        for caller in self.callers:
            caller.workspace = msgspec.structs.replace(caller.workspace, budgets=tuple(shared))

    @rule(period=st.sampled_from(sorted(SECONDS)))
    def let_time_pass(self, period: str) -> None:
        self.now += SECONDS[period]

    # --------------------------------------------------------------------------------- invariants

    @invariant()
    def counters_are_exact(self) -> None:
        for key, row in self.tables.counters().items():
            assert (row["spent"], row["reserved"]) == (self.ledger.spent[key], self.ledger.reserved[key]), key
            assert row["committed"] == row["spent"] + row["reserved"]

    @invariant()
    def what_is_under_way_is_on_record(self) -> None:
        assert set(self.tables.reservations()) == {call.reservation.id for call in self.open if not call.swept}

    @invariant()
    def the_events_say_what_was_spent(self) -> None:
        assert sum(from_row(row).cost for row in self.tables.rows(self.tables.usage)) == self.ledger.cost

    def _take(self, index: int) -> Call:
        return self.open.pop(index % len(self.open))


@pytest.mark.parametrize("sequences", [15, pytest.param(100, marks=pytest.mark.slow)])
def test_every_sequence_of_calls_and_crashes_keeps_the_counters_exact(tables: Tables, sequences: int) -> None:
    machine = type("Machine", (Calls,), {"emulator": tables.emulator})
    slow = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    limits = settings(max_examples=sequences, stateful_step_count=30, suppress_health_check=slow, deadline=None)
    run_state_machine_as_test(machine, settings=limits)

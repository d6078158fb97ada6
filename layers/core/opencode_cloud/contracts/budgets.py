"""The nouns of a call's way: what is counted against what, and the errors of calls that do not fit.

A rate limit is a budget too: of requests or tokens instead of money, by the minute. So one machine holds them all.
Amounts are micro-cents (US$1 is 100,000,000), requests or tokens, as the budget's unit says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

import msgspec

from opencode_cloud.contracts.ids import BudgetId, CallId
from opencode_cloud.kit.errors import PaymentRequired, TooManyRequests, Unavailable


class Unit(StrEnum):
    """What a budget counts."""

    COST = "cost"
    REQUESTS = "requests"
    TOKENS = "tokens"


class Period(StrEnum):
    """How often a budget begins anew, in UTC."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"
    TOTAL = "total"
    """Never."""


class Scope(StrEnum):
    """Whose calls a budget bounds."""

    WORKSPACE = "workspace"
    MEMBER = "member"
    EACH_MEMBER = "each_member"
    """Every member by themselves who has no budget of the same unit and period."""
    SERVICE_ACCOUNT = "service_account"
    KEY = "key"
    BALANCE = "balance"
    """The workspace's prepaid balance: only what is charged counts."""


class KnownBudget(msgspec.Struct, frozen=True, kw_only=True):
    """A budget as the gateway knows it: projected into the row of whatever it bounds."""

    id: BudgetId
    scope: Scope
    unit: Unit
    period: Period
    limit: int
    subject: str = ""
    """Id of the member, service account or key; empty for the workspace's own."""
    name: str = ""
    """How messages call its subject: an address, or a name."""
    alerts: bool = True
    """Whether people are told when much of it is used."""

    @property
    def watched(self) -> bool:
        """Whether there are alerts of it: a rate limit that is reached each minute is no news."""
        return self.alerts and self.period is not Period.MINUTE


class Counter(msgspec.Struct, frozen=True, kw_only=True):
    """A budget in one window, for one subject: a row of the table ``budgets``."""

    key: str
    """The row's partition key: budget, subject where the budget is everybody's, start of the window."""
    budget: KnownBudget
    resets_at: int | None
    """Seconds since the epoch at which the window ends; None: never."""
    starts_at: int = 0
    """Seconds since the epoch at which the window began."""


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """What one call may take at most, or has taken."""

    cost: int
    """Micro-cents."""
    charged: int
    """Of it, what counts against the balance."""
    tokens: int
    requests: int = 1

    def of(self, budget: KnownBudget) -> int:
        """Return what counts against ``budget``."""
        if budget.scope is Scope.BALANCE:
            return self.charged
        match budget.unit:
            case Unit.COST:
                return self.cost
            case Unit.REQUESTS:
                return self.requests
            case Unit.TOKENS:
                return self.tokens


class Reservation(msgspec.Struct, frozen=True, kw_only=True):
    """What a call holds back on every counter that applies to it, until it is settled or its lease ends."""

    id: CallId
    """Of the call."""
    counters: Sequence[Counter]
    claim: Claim
    lease_until: int
    """Seconds since the epoch."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a counter is taken, in its budget's unit."""

    spent: int = 0
    reserved: int = 0
    """Held back by calls that are under way."""
    refused_at: int | None = None
    """The limit at which a call was refused in this window because too little was left; None: none was."""


class Shortage(msgspec.Struct, frozen=True, kw_only=True):
    """A counter that did not hold a call."""

    counter: Counter
    asked: int
    """What the call may take at most."""
    standing: Standing

    @property
    def lasting(self) -> bool:
        """Whether the call would not fit either if no other call was under way."""
        return self.standing.spent + self.asked > self.counter.budget.limit

    @property
    def hopeless(self) -> bool:
        """Whether the call would not fit into the whole budget."""
        return self.asked > self.counter.budget.limit


class Refused(Exception):
    """A reservation was not made; ``shortages`` are the counters that did not hold it."""

    def __init__(self, shortages: Sequence[Shortage]) -> None:
        super().__init__(", ".join(shortage.counter.key for shortage in shortages))
        self.shortages = shortages


class BudgetExhausted(PaymentRequired):
    """402: a budget does not hold the call until its window ends, or until somebody raises it.

    ``retry_after`` is None when waiting does not help.
    """

    def __init__(self, message: str, details: Mapping[str, Any], retry_after: int | None) -> None:
        super().__init__("budget_exhausted", message)
        self.details, self.retry_after = details, retry_after


class BudgetBusy(TooManyRequests):
    """429: the call fits as soon as calls that are under way have given back what they do not use."""

    def __init__(self, message: str, details: Mapping[str, Any], retry_after: int) -> None:
        super().__init__("budget_busy", message, retry_after)
        self.details = details


class RateLimited(TooManyRequests):
    """429: as many requests or tokens as the window has were used; ``retry_after`` is its end."""

    def __init__(self, message: str, details: Mapping[str, Any], retry_after: int) -> None:
        super().__init__("rate_limited", message, retry_after)
        self.details = details


def budget_contention() -> Unavailable:
    """So many calls count against the same budgets at once that no attempt came through; none of them is full."""
    return Unavailable(
        "budget_contention", "Very many calls count against the same budget at this moment. Send it again.", 1
    )

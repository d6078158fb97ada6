"""The models of budget checks: budgets, counters, claims and reservations, and the errors of calls that do not fit.

A rate limit is also a budget: of requests or tokens instead of money, with a period of a minute. One mechanism
therefore enforces both. Amounts are micro-cents (US$1 is 100,000,000), requests or tokens, according to the budget's
unit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

import msgspec

from opencode_cloud.contracts.ids import BudgetId, CallId
from opencode_cloud.kit.errors import PaymentRequired, TooManyRequests, Unavailable

LARGEST_LIMIT = 9_000_000_000_000_000
"""The largest limit: below 2^53, so that every JSON parser keeps it exactly. In micro-cents, 90 million dollars."""


class BudgetUnit(StrEnum):
    """The unit in which a budget counts."""

    COST = "cost"
    REQUESTS = "requests"
    TOKENS = "tokens"


class BudgetPeriod(StrEnum):
    """The interval at which a budget resets, in UTC."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"
    TOTAL = "total"
    """The budget never resets."""


class BudgetScope(StrEnum):
    """The calls that a budget limits."""

    WORKSPACE = "workspace"
    MEMBER = "member"
    EACH_MEMBER = "each_member"
    """The calls of each member who has no own budget of the same unit and period."""
    SERVICE_ACCOUNT = "service_account"
    KEY = "key"
    PROJECT = "project"
    """The calls whose client names the project."""
    SESSION = "session"
    """The calls of one session of a client. Its limit is in the workspace's policy, so no such budget can be set."""
    BALANCE = "balance"
    """The workspace's prepaid balance, which only charged amounts reduce."""
    GROUP = "group"
    """The calls of all members of a group together."""
    EACH_IN_GROUP = "each_in_group"
    """The calls of each member of a group who has no own budget of the same unit and period."""


OF_GROUPS = frozenset({BudgetScope.GROUP, BudgetScope.EACH_IN_GROUP})
"""Scopes whose subject is a group."""
PER_MEMBER = frozenset({BudgetScope.EACH_MEMBER, BudgetScope.EACH_IN_GROUP})
"""Scopes that count each member on their own."""


class CreditEnd(msgspec.Struct, frozen=True):
    """Promotional credit that ends, as far as calls have not used it."""

    at: int
    """Seconds since the epoch from which it cannot be spent."""
    amount: int
    """Micro-cents by which the limit of the balance falls then."""


class KnownBudget(msgspec.Struct, frozen=True, kw_only=True):
    """A budget as the gateway knows it, projected into the row of the thing that it limits."""

    id: BudgetId
    scope: BudgetScope
    unit: BudgetUnit
    period: BudgetPeriod
    limit: int
    subject: str = ""
    """Id of the member, service account, key or group, name of the project; empty for the workspace's own."""
    name: str = ""
    """The name of the subject in messages: an address, or a name."""
    alerts: bool = True
    """True if people are notified when much of the budget is used."""
    ends: tuple[CreditEnd, ...] = ()
    """Parts of the limit that end. Only the balance has any."""

    @property
    def watched(self) -> bool:
        """Tell whether the budget has alerts. A rate limit has none, since it may be reached every minute."""
        return self.alerts and self.period is not BudgetPeriod.MINUTE

    @property
    def of_each_in_group(self) -> bool:
        """Tell whether the budget is for each member of a group, and its subject is the group, not yet a member."""
        return self.scope is BudgetScope.EACH_IN_GROUP and self.subject.startswith("grp_")

    def as_of(self, at: int) -> KnownBudget:
        """Return the budget as it is at a time (seconds since the epoch): without the credit that has ended."""
        over = sum(each.amount for each in self.ends if each.at <= at)
        return msgspec.structs.replace(self, limit=max(0, self.limit - over), ends=()) if self.ends else self


class Counter(msgspec.Struct, frozen=True, kw_only=True):
    """A budget in one window, for one subject: a row of the table ``budgets``."""

    key: str
    """The row's partition key: budget, subject for a budget that applies to each member, start of the window."""
    budget: KnownBudget
    resets_at: int | None
    """Seconds since the epoch at which the window ends; None: it never ends."""
    starts_at: int = 0
    """Seconds since the epoch at which the window began."""
    unused_until: int | None = None
    """Seconds since the epoch after which a counter without a reset is deleted if no call used it; None: never."""


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """The highest possible usage of one call, or its actual usage."""

    cost: int
    """The cost in micro-cents."""
    charged: int
    """The part of ``cost`` that counts against the balance, in micro-cents."""
    tokens: int
    requests: int = 1

    def of(self, budget: KnownBudget) -> int:
        """Return the amount that counts against ``budget``, in its unit."""
        if budget.scope is BudgetScope.BALANCE:
            return self.charged
        match budget.unit:
            case BudgetUnit.COST:
                return self.cost
            case BudgetUnit.REQUESTS:
                return self.requests
            case BudgetUnit.TOKENS:
                return self.tokens


class Reservation(msgspec.Struct, frozen=True, kw_only=True):
    """The amounts that a call holds on every applicable counter, until it is settled or its lease ends."""

    id: CallId
    """The id of the call."""
    counters: Sequence[Counter]
    claim: Claim
    lease_until: int
    """The end of the lease, in seconds since the epoch."""


class BudgetUsage(msgspec.Struct, frozen=True, kw_only=True):
    """The used and reserved parts of a counter, in its budget's unit."""

    spent: int = 0
    reserved: int = 0
    """The amount held by calls in progress."""
    refused_limit: int | None = None
    """The limit at which a call was refused in this window because too little was left; None: no call was refused."""


class Shortage(msgspec.Struct, frozen=True, kw_only=True):
    """A counter that had too little left for a call."""

    counter: Counter
    claimed: int
    """The most that the call may use."""
    usage: BudgetUsage

    @property
    def lasting(self) -> bool:
        """Tell whether the call would not fit even if no other call was in progress."""
        return self.usage.spent + self.claimed > self.counter.budget.limit

    @property
    def hopeless(self) -> bool:
        """Tell whether the call would not fit into the whole, unused budget."""
        return self.claimed > self.counter.budget.limit


class ReservationRefused(Exception):
    """A reservation was refused. ``shortages`` are the counters that had too little left."""

    def __init__(self, shortages: Sequence[Shortage]) -> None:
        super().__init__(", ".join(shortage.counter.key for shortage in shortages))
        self.shortages = shortages


class BudgetExhausted(PaymentRequired):
    """402: the call does not fit into a budget until its window ends or its limit is raised.

    ``retry_after`` is None when waiting does not help.
    """

    def __init__(self, message: str, details: Mapping[str, Any], retry_after: int | None) -> None:
        super().__init__("budget_exhausted", message)
        self.details, self.retry_after = details, retry_after


class BudgetBusy(TooManyRequests):
    """429: the call fits as soon as calls in progress have returned their unused amounts."""

    def __init__(self, message: str, details: Mapping[str, Any], retry_after: int) -> None:
        super().__init__("budget_busy", message, retry_after)
        self.details = details


class RateLimited(TooManyRequests):
    """429: all requests or tokens of the window are used. ``retry_after`` is the window's end."""

    def __init__(self, message: str, details: Mapping[str, Any], retry_after: int) -> None:
        super().__init__("rate_limited", message, retry_after)
        self.details = details


def budget_contention() -> Unavailable:
    """Return the error for a reservation that lost every race with concurrent calls; no budget is exhausted."""
    return Unavailable(
        "budget_contention", "Very many calls count against the same budget at this moment. Send it again.", 1
    )

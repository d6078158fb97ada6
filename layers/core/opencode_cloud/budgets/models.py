"""The nouns of budgets: what is counted against what, and the errors of calls that do not fit.

A rate limit is a budget too: of requests or tokens instead of money, by the minute. So one machine holds them all.
Amounts are micro-cents (US$1 is 100,000,000), requests or tokens, as the budget's unit says.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import msgspec


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

    id: str
    scope: Scope
    unit: Unit
    period: Period
    limit: int
    subject: str = ""
    """Id of the member, service account or key; empty for the workspace's own."""
    name: str = ""
    """How messages call its subject: an address, or a name."""


class Counter(msgspec.Struct, frozen=True, kw_only=True):
    """A budget in one window, for one subject: a row of the table ``budgets``."""

    key: str
    """The row's partition key: budget, subject where the budget is everybody's, start of the window."""
    budget: KnownBudget
    resets_at: int | None
    """Seconds since the epoch at which the window ends; None: never."""


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

    id: str
    """Of the call."""
    counters: Sequence[Counter]
    claim: Claim
    lease_until: int
    """Seconds since the epoch."""

"""Balances, transactions and statements as the API shows them. Amounts are micro-cents, credit is positive."""

from __future__ import annotations

from pydantic import Field

from opencode_cloud.contracts.ids import LedgerTransactionId, WorkspaceId
from opencode_cloud.kit.api_models import ApiModel
from opencode_cloud.kit.instants import Instant


class EndingCredit(ApiModel):
    """Promotional credit that was not used yet, and ends."""

    ends_at: Instant = Field(description="From then on it cannot be spent.")
    amount: int


class PrepaidBalance(ApiModel):
    """A workspace's balance in the ledger. Calls of the last seconds are not in it yet."""

    currency: str
    available: int = Field(description="The usable amount: `paid` and `promo` without `frozen`. Negative: a debt.")
    paid: int = Field(description="Posted credit of payments and adjustments.")
    promo: int = Field(description="Promotional credit that has not ended. It is used first.")
    frozen: int = Field(description="Frozen by refunds and disputes that have not ended.")
    ends: list[EndingCredit] = Field(description="The parts of `promo` that end, in the order of their use.")


class BalanceForecast(ApiModel):
    """How long the balance lasts, if usage goes on as in the last week."""

    a_day: int = Field(description="The mean usage of a day of the last week.")
    days: int | None = Field(description="Whole days until the balance is used up; null without usage.")


class MoneyMovement(ApiModel):
    """A transaction, as it concerns the workspace."""

    id: LedgerTransactionId
    kind: str
    amount: int = Field(description="The change of the balance.")
    frozen: int = Field(description="The change of the frozen amount.")
    cause: str = Field(description="The kind and id of its cause, such as `payment:pi_...`.")
    corrects: LedgerTransactionId | None = Field(description="The transaction that it corrects or ends.")
    period: str = Field(description="The month that it is booked into.")
    event_at: Instant = Field(description="When its cause happened.")
    booked_at: Instant
    ends_at: Instant | None = Field(default=None, description="When the credit of a grant ends; null: never.")


class MovementEntry(ApiModel):
    """One entry of a transaction. Debits are positive, as in accounting."""

    account: str
    amount: int
    layer: str = Field(description="`posted`, or `pending` for an amount that is frozen or released.")
    balance_after: int | None


class MovementDetail(MoneyMovement):
    """A transaction with its entries and its place in the chain."""

    seq: int
    hash: str
    entries: list[MovementEntry]


class ChargedCall(ApiModel):
    """A usage event that a transaction charges."""

    event_id: str
    at: Instant
    amount: int


class UsageOfStatement(ApiModel):
    """Charged calls of one model and key in a month."""

    model: str = Field(description="Empty: the difference of calls that the sums by model count in another month.")
    key_id: str
    calls: int
    amount: int
    cents: int = Field(description="The amount in cents. Lines add up to the rounded total.")


class LateUsage(ApiModel):
    """Calls of an earlier, closed month that were charged in this one."""

    period: str
    amount: int


class StatementTotal(ApiModel):
    """The sum of all transactions of one kind."""

    kind: str
    amount: int
    transactions: int


class Statement(ApiModel):
    """A closed month of a workspace. It never changes."""

    workspace_id: WorkspaceId
    period: str
    currency: str
    opening: int = Field(description="The posted balance at the beginning.")
    closing: int = Field(description="The posted balance at the end: `opening` and all `totals`.")
    frozen: int = Field(description="Frozen at the end.")
    totals: list[StatementTotal]
    usage: list[UsageOfStatement]
    late_usage: list[LateUsage]
    usage_cents: int = Field(description="All usage, in cents, rounded once.")
    movements: list[MoneyMovement] = Field(description="All transactions but usage.")


class StatementSummary(ApiModel):
    """A statement in a list."""

    period: str
    created_at: Instant


class TrialBalanceLine(ApiModel):
    """The sums of all accounts of one kind. Debits are positive."""

    kind: str
    currency: str
    posted: int
    pending: int

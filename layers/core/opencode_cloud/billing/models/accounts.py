"""Accounts of the ledger, and their sums while they are locked.

Promotional credit with an end has an account for each end, whose id carries it: ``wrk_....20261231T000000/promo/USD``.

Amounts are integers of 10^-8 of the currency's unit (micro-cents for US dollars). Debits are positive, credits are
negative. A workspace's balance is a liability, so its credit of $20 is posted as -2,000,000,000.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum

import msgspec

from opencode_cloud.contracts.budgets import CreditEnd
from opencode_cloud.contracts.ids import LedgerAccountId, WorkspaceId

USD = "USD"
"""The currency of a deployment. Tables carry a currency everywhere; there is one at present (docs/decisions/037)."""
HOUSE = "house"
END = "%Y%m%dT%H%M%S"
"""The form of an end in the id of an account: UTC."""


class AccountKind(StrEnum):
    """The kind of an account. The first two belong to a workspace, the others to the house."""

    BALANCE = "balance"
    """Liability: what a workspace has paid and not used."""
    PROMO = "promo"
    """Liability: promotional credit that a workspace has not used."""
    REVENUE = "revenue"
    """Income: usage."""
    FEES_INCOME = "fees_income"
    """Income: processing fees that workspaces pay on top of a top-up."""
    PLAN_INCOME = "plan_income"
    """Income: plans per seat that were paid."""
    STRIPE_FEES = "stripe_fees"
    """Cost: fees that Stripe keeps."""
    STRIPE_CLEARING = "stripe_clearing"
    """Asset: charged by Stripe, before Stripe's own transaction. It returns to zero for each payment."""
    BANK = "bank"
    """Asset: money at Stripe and at the bank, without Stripe's fees. Refunds and disputes take from it."""
    TAX_PAYABLE = "tax_payable"
    """Liability: tax on top-ups."""
    REFUNDS = "refunds"
    """Liability: refunds that were booked and have not been paid. It returns to zero for each refund."""
    DISPUTES = "disputes"
    """Asset: withdrawn by Stripe for a dispute that has not ended."""
    SUSPENSE = "suspense"
    """Liability: payments that belong to no known workspace yet."""
    PROMOTIONS = "promotions"
    """Cost: promotional credit that was granted."""
    WRITE_OFF = "write_off"
    """Cost: debts that were given up, and adjustments."""
    OPENING = "opening"
    """Equity: balances from the time before the ledger."""


OF_WORKSPACE = (AccountKind.BALANCE, AccountKind.PROMO)
"""Kinds of accounts that each workspace has, in the order of their ids."""


class LedgerAccount(msgspec.Struct, kw_only=True):
    """An account and its sums. Only locked accounts of workspaces have sums; those of the house stay at zero."""

    id: LedgerAccountId
    workspace_id: WorkspaceId
    kind: AccountKind
    currency: str
    posted: int = 0
    """Sum of the posted entries."""
    pending: int = 0
    """Sum of the pending entries: frozen, if positive."""
    credited: int = 0
    """Sum of the posted entries of all transactions but usage."""
    version: int = 0
    """Number of entries."""

    @property
    def ends_at(self) -> datetime | None:
        """Return from when on the credit cannot be spent (naive UTC); None: it has no end."""
        end = self.id.partition("/")[0].partition(".")[2]
        return datetime.strptime(end, END) if end else None  # noqa: DTZ007 - UTC without a zone

    @property
    def left(self) -> int:
        """Return the posted credit that is not used; 0 for a debt."""
        return max(0, -self.posted)


def account_id(workspace_id: str, kind: AccountKind, currency: str = USD) -> LedgerAccountId:
    """Return the id of an account of a workspace; of the house if the workspace's id is empty."""
    return LedgerAccountId(f"{workspace_id or HOUSE}/{kind}/{currency}")


def ending_account(workspace_id: WorkspaceId, ends_at: datetime, currency: str = USD) -> LedgerAccountId:
    """Return the id of the account of a workspace's promotional credit that ends at a time, in whole seconds of UTC."""
    return LedgerAccountId(f"{workspace_id}.{ends_at.strftime(END)}/{AccountKind.PROMO}/{currency}")


def house(kind: AccountKind, currency: str = USD) -> LedgerAccountId:
    """Return the id of an account of the house."""
    return account_id("", kind, currency)


def new_account(found: LedgerAccountId) -> LedgerAccount:
    """Return the account of an id without entries; raises ``ValueError`` for a text that is no id of an account."""
    owner, kind, currency = found.split("/")
    workspace = owner.partition(".")[0]
    return LedgerAccount(
        id=found,
        workspace_id=WorkspaceId("" if workspace == HOUSE else workspace),
        kind=AccountKind(kind),
        currency=currency,
    )


def available(accounts: Iterable[LedgerAccount], at: datetime) -> int:
    """Return what a workspace may use at a time: its credit without what is frozen or has ended. Negative: a debt.

    Credit that has ended counts no more from its end on, whether its expiry is booked or not.
    """
    return -sum(
        account.posted + max(0, account.pending) + (account.left if has_ended(account, at) else 0)
        for account in accounts
    )


def has_ended(account: LedgerAccount, at: datetime) -> bool:
    """Return whether the credit of an account cannot be spent at a time any more."""
    return account.ends_at is not None and account.ends_at <= at


def ends_of(accounts: Iterable[LedgerAccount]) -> tuple[CreditEnd, ...]:
    """Return the parts of the gateway's limit that end, by their end; also those whose expiry is not booked yet."""
    ends = [
        CreditEnd(int(account.ends_at.replace(tzinfo=UTC).timestamp()), account.left)
        for account in accounts
        if account.ends_at is not None and account.left
    ]
    return tuple(sorted(ends, key=lambda end: end.at))


def spendable_in_all(accounts: Iterable[LedgerAccount]) -> int:
    """Return the limit of the gateway's budget: all credit ever, without what is frozen, and regardless of usage.

    The gateway subtracts what has ended by itself (:func:`ends_of`). Its own counter holds the usage, so both sides of
    its check grow independently (docs/decisions/033).
    """
    return max(0, -sum(account.credited + max(0, account.pending) for account in accounts))

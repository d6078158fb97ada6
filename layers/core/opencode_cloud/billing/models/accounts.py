"""Accounts of the ledger, and their sums while they are locked.

Amounts are integers of 10^-8 of the currency's unit (micro-cents for US dollars). Debits are positive, credits are
negative. A workspace's balance is a liability, so its credit of $20 is posted as -2,000,000,000.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from opencode_cloud.contracts.ids import LedgerAccountId, WorkspaceId

USD = "USD"
"""The currency of a deployment. Tables carry a currency everywhere; there is one at present (docs/decisions/037)."""
HOUSE = "house"


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


def account_id(workspace_id: str, kind: AccountKind, currency: str = USD) -> LedgerAccountId:
    """Return the id of an account of a workspace; of the house if the workspace's id is empty."""
    return LedgerAccountId(f"{workspace_id or HOUSE}/{kind}/{currency}")


def house(kind: AccountKind, currency: str = USD) -> LedgerAccountId:
    """Return the id of an account of the house."""
    return account_id("", kind, currency)


def new_account(found: LedgerAccountId) -> LedgerAccount:
    """Return the account of an id without entries; raises ``ValueError`` for a text that is no id of an account."""
    workspace, kind, currency = found.split("/")
    return LedgerAccount(
        id=found,
        workspace_id=WorkspaceId("" if workspace == HOUSE else workspace),
        kind=AccountKind(kind),
        currency=currency,
    )


def available(accounts: Iterable[LedgerAccount]) -> int:
    """Return what a workspace may still use: its credit without what is frozen. Negative: a debt."""
    return -sum(account.posted + max(0, account.pending) for account in accounts)


def spendable_in_all(accounts: Iterable[LedgerAccount]) -> int:
    """Return the limit of the gateway's budget: all credit ever, without what is frozen, and regardless of usage.

    The gateway's own counter holds the usage, so both sides of its check grow independently (docs/decisions/033).
    """
    return max(0, -sum(account.credited + max(0, account.pending) for account in accounts))

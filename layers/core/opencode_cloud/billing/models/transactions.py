"""Transactions of the ledger: immutable, with entries that sum to zero, an idempotency key and a cause."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

import msgspec

from opencode_cloud.contracts.ids import LedgerAccountId, LedgerTransactionId, WorkspaceId
from opencode_cloud.kit.marked_messages import gettext_noop


class TransactionKind(StrEnum):
    """The kind of a transaction. An idempotency key is unique within a kind."""

    OPENING = "opening"
    """Grants from the time before the ledger."""
    OPENING_USAGE = "opening_usage"
    """Usage from the time before the ledger."""
    USAGE = "usage"
    """Calls that the gateway settled on the balance's counter."""
    USAGE_UNCOUNTED = "usage_uncounted"
    """Charged calls that were settled without the balance's counter, so the limit shrinks by them."""
    GRANT = "grant"
    EXPIRY = "expiry"
    """Promotional credit that had ended before it was used."""
    TOP_UP = "top_up"
    PLAN_PAYMENT = "plan_payment"
    """A payment of a plan per seat. It is no credit."""
    PLAN_CREDIT = "plan_credit"
    """Promotional credit that a paid invoice of a plan includes. It ends with the period."""
    SETTLEMENT = "settlement"
    """Stripe's own transaction for a payment: its fee, and the rest to the bank."""
    SUSPENSE = "suspense"
    ASSIGNMENT = "assignment"
    """A payment without an owner, which an operator gives to a workspace."""
    REFUND_PENDING = "refund_pending"
    REFUND = "refund"
    REFUND_FAILED = "refund_failed"
    REFUND_PAID = "refund_paid"
    DISPUTE = "dispute"
    DISPUTE_WON = "dispute_won"
    DISPUTE_LOST = "dispute_lost"
    ADJUSTMENT = "adjustment"
    REVERSAL = "reversal"
    """The opposite of another transaction, which it names."""


USAGE_KINDS = frozenset({TransactionKind.USAGE, TransactionKind.OPENING_USAGE})
"""Kinds that the gateway's counter has counted already."""
CHARGING_KINDS = frozenset({TransactionKind.USAGE, TransactionKind.USAGE_UNCOUNTED})
"""Kinds that charge usage events, which ``ledger_postings`` lists."""
KIND_NAMES: Mapping[str, str] = {
    TransactionKind.OPENING: gettext_noop("Credit from before the ledger"),
    TransactionKind.OPENING_USAGE: gettext_noop("Usage from before the ledger"),
    TransactionKind.USAGE: gettext_noop("Usage"),
    TransactionKind.USAGE_UNCOUNTED: gettext_noop("Usage"),
    TransactionKind.GRANT: gettext_noop("Promotional credit"),
    TransactionKind.EXPIRY: gettext_noop("Promotional credit ended"),
    TransactionKind.TOP_UP: gettext_noop("Credit bought"),
    TransactionKind.PLAN_PAYMENT: gettext_noop("Plan paid by card"),
    TransactionKind.PLAN_CREDIT: gettext_noop("Credit of the plan"),
    TransactionKind.ASSIGNMENT: gettext_noop("Payment found"),
    TransactionKind.REFUND_PENDING: gettext_noop("Refund on its way"),
    TransactionKind.REFUND: gettext_noop("Refund"),
    TransactionKind.REFUND_FAILED: gettext_noop("Refund failed"),
    TransactionKind.REFUND_PAID: gettext_noop("Refund paid"),
    TransactionKind.DISPUTE: gettext_noop("Dispute opened"),
    TransactionKind.DISPUTE_WON: gettext_noop("Dispute won"),
    TransactionKind.DISPUTE_LOST: gettext_noop("Dispute lost"),
    TransactionKind.ADJUSTMENT: gettext_noop("Adjustment by the operator"),
    TransactionKind.REVERSAL: gettext_noop("Reversal"),
}
"""Names for people, which pages translate. The other kinds do not concern a workspace."""


class CauseKind(StrEnum):
    """The kind of a transaction's cause."""

    CALLS = "calls"
    PAYMENT = "payment"
    INVOICE = "invoice"
    OPERATOR = "operator"
    SYSTEM = "system"


class Layer(StrEnum):
    """Posted entries are final. Pending ones are reserved, and a later transaction posts or voids them."""

    POSTED = "posted"
    PENDING = "pending"


class Cause(msgspec.Struct, frozen=True):
    """The reason of a transaction: calls, a payment, an operator's command, or the opening of the books."""

    kind: CauseKind
    id: str


class Leg(msgspec.Struct, frozen=True):
    """One movement of a draft: an amount on an account. Debits are positive."""

    account_id: LedgerAccountId
    amount: int
    layer: Layer = Layer.POSTED


class TransactionDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction before it is booked."""

    kind: TransactionKind
    key: str
    """The idempotency key: the thing that happened, such as a payment's id. Unique within the kind."""
    cause: Cause
    workspace_id: WorkspaceId = WorkspaceId("")
    event_at: datetime
    """When the cause happened: naive UTC."""
    legs: tuple[Leg, ...]
    corrects: LedgerTransactionId = LedgerTransactionId("")
    terms: Mapping[str, str | int] = {}
    """What was asked for. A repetition of the key with other terms is refused. No personal data: it is hashed."""
    id: LedgerTransactionId


class LedgerEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One movement of a booked transaction."""

    n: int
    account_id: LedgerAccountId
    amount: int
    layer: Layer
    balance_after: int | None = None
    """Balance of the account's layer after the entry; None for accounts of the house."""
    account_version: int | None = None
    """Number of the entry within its account, from 1 without gaps; None for accounts of the house."""


class LedgerTransaction(msgspec.Struct, frozen=True, kw_only=True):
    """A booked transaction."""

    seq: int
    id: LedgerTransactionId
    kind: TransactionKind
    idempotency_key: str
    cause_kind: str
    cause_id: str
    corrects: LedgerTransactionId
    workspace_id: WorkspaceId
    event_at: datetime
    booked_at: datetime
    period: str
    """The month that it is booked into, such as ``2026-11``."""
    terms: bytes
    """SHA-256 of what was asked for."""
    body: bytes
    prev: bytes
    hash: bytes
    entries: tuple[LedgerEntry, ...] = ()


class LedgerHead(msgspec.Struct, frozen=True):
    """The end of the chain, and the latest closed month (empty: none)."""

    seq: int
    hash: bytes
    closed_through: str = ""

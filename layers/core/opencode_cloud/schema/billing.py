"""Tables of the ledger of money (docs/billing.md). Amounts are integers of 10^-8 of a currency's unit.

The tables have no foreign keys to workspaces: the books outlive a workspace. Triggers refuse every update and deletion
of ``ledger_transactions``, ``ledger_entries``, ``ledger_postings``, ``ledger_checkpoints`` and ``ledger_statements``.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    CHAR,
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    Enum,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    UniqueConstraint,
)

from opencode_cloud.kit.sql import Bytes, Digest, Id, Moment, id_column, table

PATH = 64
"""Longest id of an account: a workspace, a kind and a currency."""
KEY = 128
"""Longest idempotency key."""
CALL = 64
CODE = 32
BODY = 8192
"""Longest body of a transaction, in bytes."""
LAYERS = ("posted", "pending")


def _text(name: str, length: int, **options: Any) -> Column[str]:
    return Column(name, String(length, collation="utf8mb4_bin"), nullable=False, **options)


def _number(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default="0")


ledger_accounts = table(
    "ledger_accounts",
    Column("id", String(PATH, collation="utf8mb4_bin"), primary_key=True),
    Column("workspace_id", Id, nullable=False, server_default="", comment="empty: an account of the house"),
    _text("kind", 16),
    _text("currency", 3),
    _number("posted"),
    _number("pending"),
    Column("credited", BigInteger, nullable=False, server_default="0", comment="posted without usage"),
    Column("version", BigInteger, nullable=False, server_default="0", comment="number of entries"),
    Index(None, "workspace_id"),
)
"""Sums are kept for accounts of workspaces only; they are locked. Accounts of the house keep none, so none is hot."""

ledger_head = table(
    "ledger_head",
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("hash", Digest, nullable=False),
    Column("closed_through", CHAR(7), nullable=False, comment="latest closed month, such as 2026-10; empty: none"),
)
"""One row. Its lock orders all transactions."""

ledger_transactions = table(
    "ledger_transactions",
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("id", Id, nullable=False),
    _text("kind", 32),
    _text("idempotency_key", KEY),
    _text("cause_kind", 32),
    _text("cause_id", KEY),
    Column("corrects", Id, nullable=False, server_default="", comment="the transaction that this one corrects"),
    Column("workspace_id", Id, nullable=False, server_default=""),
    Column("event_at", Moment, nullable=False, comment="when the cause happened"),
    Column("booked_at", Moment, nullable=False),
    Column("period", CHAR(7), nullable=False, comment="month that it is booked into"),
    Column("terms", Digest, nullable=False, comment="SHA-256 of what was asked for, to recognise a changed repetition"),
    Column("body", Bytes(BODY), nullable=False, comment="the bytes that are hashed"),
    Column("prev", Digest, nullable=False),
    Column("hash", Digest, nullable=False),
    UniqueConstraint("id"),
    UniqueConstraint("kind", "idempotency_key"),
    UniqueConstraint("prev"),
    Index(None, "workspace_id", "seq"),
    Index(None, "workspace_id", "period", "seq"),
    Index(None, "cause_id"),
)
"""Append-only."""

ledger_entries = table(
    "ledger_entries",
    Column("seq", BigInteger, nullable=False, autoincrement=False),
    Column("n", Integer, nullable=False, autoincrement=False),
    _text("account_id", PATH),
    Column("amount", BigInteger, nullable=False, comment="debits are positive"),
    Column("layer", Enum(*LAYERS, name="layer"), nullable=False),
    Column("balance_after", BigInteger, comment="of the layer; null for the house"),
    Column("account_version", BigInteger, comment="null for the house"),
    PrimaryKeyConstraint("seq", "n"),
    UniqueConstraint("account_id", "account_version"),
    CheckConstraint("amount <> 0", name="amount"),
    Index(None, "account_id", "seq"),
)
"""Append-only."""

ledger_postings = table(
    "ledger_postings",
    Column("event_id", String(CALL, collation="utf8mb4_bin"), primary_key=True),
    Column("transaction_id", Id, nullable=False),
    Column("workspace_id", Id, nullable=False),
    Column("at", Moment, nullable=False, comment="arrival of the call"),
    Column("amount", BigInteger, nullable=False),
    Index(None, "transaction_id", "event_id"),
    Index(None, "workspace_id", "at"),
)
"""Which usage events a transaction charged. Append-only."""

ledger_payments = table(
    "ledger_payments",
    Column("id", String(KEY, collation="utf8mb4_bin"), primary_key=True, comment="the provider's id of the payment"),
    Column("workspace_id", Id, nullable=False),
    _text("currency", 3),
    Column("transaction_id", Id, nullable=False),
    Column("gross", BigInteger, nullable=False),
    Column("credit", BigInteger, nullable=False),
    Column("fee", BigInteger, nullable=False),
    Column("tax", BigInteger, nullable=False),
    Column("returned", BigInteger, nullable=False, server_default="0", comment="gross of refunds and disputes"),
    Column("credit_returned", BigInteger, nullable=False, server_default="0"),
    Column("fee_returned", BigInteger, nullable=False, server_default="0"),
    Column("tax_returned", BigInteger, nullable=False, server_default="0"),
    Column(
        "purpose",
        Enum("credit", "plan", name="purpose"),
        nullable=False,
        server_default="credit",
        comment="what was bought; the fee of a plan is its whole price",
    ),
    Column("created_at", Moment, nullable=False),
    Index(None, "workspace_id", "created_at"),
)

ledger_holds = table(
    "ledger_holds",
    Column("id", String(KEY, collation="utf8mb4_bin"), primary_key=True, comment="such as refund:<id>"),
    _text("payment_id", KEY),
    Column("transaction_id", Id, nullable=False),
    Column("workspace_id", Id, nullable=False),
    _text("currency", 3),
    Column("gross", BigInteger, nullable=False),
    Column("credit", BigInteger, nullable=False),
    Column("fee", BigInteger, nullable=False),
    Column("tax", BigInteger, nullable=False),
    Column("state", Enum("pending", "posted", "voided", name="state"), nullable=False),
    Column("ended_by", Id, nullable=False, server_default=""),
    Index(None, "payment_id"),
    Index(None, "workspace_id", "state"),
)
"""Pending transfers: money of refunds and disputes that is frozen until they end."""

ledger_proposals = table(
    "ledger_proposals",
    id_column(),
    Column("workspace_id", Id, nullable=False),
    Column("amount", BigInteger, nullable=False),
    _text("idempotency_key", KEY),
    Column("reason", String(255), nullable=False),
    Column("corrects", Id, nullable=False, server_default=""),
    Column("proposed_by", String(254), nullable=False),
    Column("proposed_at", Moment, nullable=False),
    Column("approved_by", String(254), nullable=False, server_default=""),
    Column("transaction_id", Id, nullable=False, server_default=""),
    UniqueConstraint("workspace_id", "idempotency_key"),
)
"""Adjustments above the limit of one operator, until a second one approves them."""

coupons = table(
    "coupons",
    _text("code", CODE, primary_key=True),
    Column("amount", BigInteger, nullable=False, comment="micro-cents of promotional credit"),
    Column("most_uses", Integer, nullable=False),
    Column("uses", Integer, nullable=False, server_default="0"),
    Column("ends_at", Moment, comment="null: never"),
    Column("credit_days", Integer, nullable=False, server_default="0", comment="until the credit ends; 0: it does not"),
    Column("reason", String(255), nullable=False),
    Column("created_by", String(254), nullable=False),
    Column("created_at", Moment, nullable=False),
)
"""Codes that workspaces redeem for promotional credit. A redemption locks the row of its code."""

ledger_closes = table(
    "ledger_closes",
    Column("period", CHAR(7), primary_key=True),
    Column("seq", BigInteger, nullable=False, autoincrement=False, comment="the last transaction before the close"),
    Column("closed_at", Moment, nullable=False),
)

ledger_statements = table(
    "ledger_statements",
    Column("workspace_id", Id, nullable=False),
    Column("period", CHAR(7), nullable=False),
    Column("document", JSON, nullable=False),
    Column("created_at", Moment, nullable=False),
    PrimaryKeyConstraint("workspace_id", "period"),
)
"""Append-only."""

ledger_checkpoints = table(
    "ledger_checkpoints",
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("text", Bytes(4096), nullable=False, comment="the bytes that are signed"),
    Column("signature", Bytes(512), nullable=False),
    Column("key_id", String(255), nullable=False),
    Column("created_at", Moment, nullable=False),
)
"""Append-only."""

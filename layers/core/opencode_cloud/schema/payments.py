"""Tables of payments by Stripe (docs/stripe.md). Amounts are integers of 10^-8 of a currency's unit.

The books of money are the ledger's tables. These rows list the requests to
Stripe, and its events that were processed.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Enum,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    UniqueConstraint,
)

from opencode_cloud.kit.sql import Id, Moment, id_column, table

STRIPE_ID = 255
"""Longest id that Stripe announces."""
REASON = 64
REFUND_STATES = ("proposed", "rejected", "ordered", "refused", "pending", "succeeded", "failed")
DOCUMENTS = ("invoice", "credit_note")
PLAN_STATES = ("starting", "active", "past_due", "ended")


def _stripe_id(name: str, **options: Any) -> Column[str]:
    return Column(name, String(STRIPE_ID, collation="utf8mb4_bin"), nullable=False, server_default="", **options)


payment_customers = table(
    "payment_customers",
    Column("workspace_id", Id, primary_key=True),
    _stripe_id("customer_id"),
    Column("created_at", Moment, nullable=False),
    UniqueConstraint("customer_id"),
)
"""The customer of a workspace at Stripe. There is one, and it stays the same."""

top_ups = table(
    "top_ups",
    id_column(),
    Column("workspace_id", Id, nullable=False),
    Column("credit", BigInteger, nullable=False),
    Column("fee", BigInteger, nullable=False),
    Column("currency", String(3, collation="utf8mb4_bin"), nullable=False),
    Column("state", Enum("open", "pending", "paid", "failed", "expired", name="state"), nullable=False),
    Column("reason", String(REASON, collation="utf8mb4_bin"), nullable=False, server_default=""),
    _stripe_id("session_id"),
    _stripe_id("payment_id"),
    Column("created_by", Id, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("kind", Enum("checkout", "reload", name="kind"), nullable=False, server_default="checkout"),
    Column("attempt", Integer, nullable=False, server_default="0", comment="grows after a definite answer of Stripe"),
    Column("tried_at", Moment, comment="when the first request of this attempt was sent"),
    Column("taxed", Boolean, nullable=False, server_default="0", comment="Stripe computes tax on it"),
    Column("tax", BigInteger, nullable=False, server_default="0", comment="as Stripe has computed it"),
    _stripe_id("calculation_id", comment="Stripe's calculation of the tax of a reload"),
    Index(None, "workspace_id", "created_at"),
    Index(None, "state", "created_at"),
)

auto_reloads = table(
    "auto_reloads",
    Column("workspace_id", Id, primary_key=True),
    Column("enabled", Boolean, nullable=False),
    Column("threshold", BigInteger, nullable=False, comment="a reload begins below this balance"),
    Column("amount", BigInteger, nullable=False),
    Column("day_cap", BigInteger, comment="null: none"),
    Column("month_cap", BigInteger, comment="null: none"),
    Column("state", Enum("idle", "charging", "action_required", "stopped", name="state"), nullable=False),
    Column("reason", String(REASON, collation="utf8mb4_bin"), nullable=False, server_default=""),
    Column("top_up_id", Id, nullable=False, server_default="", comment="the running purchase"),
    _stripe_id("method_id", comment="the card of the last attempt"),
    Column("next_at", Moment, comment="when the next attempt is due"),
    Column("state_at", Moment, nullable=False, comment="begin of the state"),
    Column("base_url", String(255), nullable=False, comment="the address for links in mails"),
    Column("updated_by", Id, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Index(None, "state", "next_at"),
)
"""The lease of a charge is the state: another charge begins only from ``idle``."""

payment_refunds = table(
    "payment_refunds",
    id_column(),
    Column("workspace_id", Id, nullable=False),
    _stripe_id("payment_id"),
    Column("amount", BigInteger, nullable=False, comment="gross: with the share of the fee"),
    Column("asked", BigInteger, nullable=False, comment="the amount that was asked for; 0: all that was left"),
    Column("idempotency_key", String(REASON, collation="utf8mb4_bin"), nullable=False),
    Column("reason", String(255), nullable=False),
    Column("state", Enum(*REFUND_STATES, name="state"), nullable=False),
    Column("code", String(REASON, collation="utf8mb4_bin"), nullable=False, server_default=""),
    _stripe_id("refund_id"),
    Column("attempt", Integer, nullable=False, server_default="0", comment="grows after a definite answer of Stripe"),
    Column("tried_at", Moment, comment="when the first request of this attempt was sent"),
    Column("requested_by", String(254), nullable=False),
    Column("decided_by", String(254), nullable=False, server_default=""),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    UniqueConstraint("payment_id", "idempotency_key"),
    Index(None, "workspace_id", "created_at"),
    Index(None, "state", "updated_at"),
)
"""Orders of refunds. They change while the accounts of their workspace, or their own row, are locked."""

payment_series = table(
    "payment_series",
    Column("kind", Enum(*DOCUMENTS, name="kind"), primary_key=True),
    Column("number", BigInteger, nullable=False, comment="the last that was given"),
)
"""Its row is locked in the transaction that issues a document, so the numbers have no gaps."""

payment_documents = table(
    "payment_documents",
    Column("kind", Enum(*DOCUMENTS, name="kind"), nullable=False),
    Column("number", BigInteger, nullable=False, autoincrement=False),
    _stripe_id("subject", comment="the payment or the refund"),
    Column("workspace_id", Id, nullable=False),
    Column("document", JSON, nullable=False),
    Column("issued_at", Moment, nullable=False),
    PrimaryKeyConstraint("kind", "number"),
    UniqueConstraint("kind", "subject"),
    Index(None, "workspace_id", "issued_at"),
)
"""Append-only: triggers refuse updates and deletions."""

plans = table(
    "plans",
    id_column(),
    Column("workspace_id", Id, nullable=False),
    Column("state", Enum(*PLAN_STATES, name="state"), nullable=False),
    Column("live", Boolean, comment="null for a plan that has ended, so that a workspace has one that has not"),
    Column("seat_price", BigInteger, nullable=False, comment="for a seat and month"),
    Column("seat_credit", BigInteger, nullable=False, comment="promotional credit for a seat and month"),
    Column("seats", Integer, nullable=False, comment="the number at Stripe"),
    _stripe_id("subscription_id"),
    _stripe_id("item_id"),
    _stripe_id("session_id"),
    Column("attempt", Integer, nullable=False, server_default="0", comment="number of the checkout"),
    Column("changes", Integer, nullable=False, server_default="0", comment="number of changes sent to Stripe"),
    Column("period_start", Moment),
    Column("period_end", Moment),
    Column("ends_at", Moment, comment="null: it renews"),
    Column("noticed_for", Moment, comment="end of the period whose renewal was announced"),
    Column("reason", String(REASON, collation="utf8mb4_bin"), nullable=False, server_default=""),
    Column("version", Integer, nullable=False, server_default="0", comment="number of states of Stripe written"),
    Column("base_url", String(255), nullable=False, comment="the address for links in mails"),
    Column("created_by", Id, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("tried_at", Moment, comment="when the card was first asked to start the plan"),
    _stripe_id("card_id", comment="the card that was first asked to start the plan"),
    Column("checked_at", Moment, comment="when the state was last read at Stripe"),
    Column("taxed", Boolean, nullable=False, server_default="0", comment="Stripe computes tax on its invoices"),
    UniqueConstraint("workspace_id", "live"),
    Index(None, "subscription_id"),
    Index(None, "workspace_id", "created_at"),
)
"""Plans per seat. A workspace has at most one that has not ended."""

second_subscriptions = table(
    "second_subscriptions",
    id_column(),
    _stripe_id("subscription_id"),
    Column("plan_id", Id, nullable=False),
    Column("workspace_id", Id, nullable=False),
    Column("ended_at", Moment, comment="null: it is not yet canceled and paid back"),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    UniqueConstraint("subscription_id"),
    Index(None, "ended_at", "updated_at"),
)
"""Paid starts of a plan beside another one. They change while their own row, or that of their plan, is locked."""

plan_invoices = table(
    "plan_invoices",
    Column("id", String(STRIPE_ID, collation="utf8mb4_bin"), primary_key=True),
    Column("plan_id", Id, nullable=False),
    Column("workspace_id", Id, nullable=False),
    Column("number", String(REASON, collation="utf8mb4_bin"), nullable=False),
    Column("status", String(32, collation="utf8mb4_bin"), nullable=False),
    Column("reason", String(REASON, collation="utf8mb4_bin"), nullable=False),
    Column("seats", Integer, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("tax", BigInteger, nullable=False, server_default="0", comment="in the total"),
    Column("due", BigInteger, nullable=False),
    Column("paid", BigInteger, nullable=False),
    Column("credited", BigInteger, nullable=False, comment="amount of all credit notes"),
    Column("period_start", Moment),
    Column("period_end", Moment),
    Column("url", String(2048, collation="utf8mb4_bin"), nullable=False),
    Column("failed", Boolean, nullable=False, comment="the payers were told of a failed payment"),
    Column("version", Integer, nullable=False, comment="number of states of Stripe written"),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Index(None, "workspace_id", "created_at"),
    Index(None, "plan_id"),
)
"""Invoices of plans as Stripe has them. The money of each is in the ledger."""

stripe_events = table(
    "stripe_events",
    Column("id", String(STRIPE_ID, collation="utf8mb4_bin"), primary_key=True),
    Column("type", String(REASON, collation="utf8mb4_bin"), nullable=False),
    _stripe_id("object_id"),
    Column("live", Boolean, nullable=False),
    Column("state", Enum("applied", "kept", "ignored", name="state"), nullable=False),
    Column("reason", String(REASON, collation="utf8mb4_bin"), nullable=False, server_default=""),
    Column("applied_by", Enum("webhook", "sweep", "replay", name="applied_by"), nullable=False),
    Column("created_at", Moment, nullable=False, comment="when Stripe made it"),
    Column("updated_at", Moment, nullable=False),
    Index(None, "state", "created_at"),
)
"""A row is written in the transaction of the event's effect, so each row was processed. ``kept`` waits for a replay."""

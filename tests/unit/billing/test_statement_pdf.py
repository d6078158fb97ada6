"""A statement as PDF shows each line of its JSON."""

from __future__ import annotations

from datetime import datetime

from opencode_cloud.billing.models.documents import (
    LateUsage,
    MoneyMovement,
    Statement,
    StatementTotal,
    UsageOfStatement,
)
from opencode_cloud.billing.statement_pdf import pdf_of
from opencode_cloud.contracts.ids import LedgerTransactionId, WorkspaceId
from opencode_cloud.kit.money import CENT, DOLLAR
from tests.pdf_text import text_of

AT = datetime(2026, 11, 20, 8, 5)  # noqa: DTZ001 - UTC without a zone
BOUGHT = MoneyMovement(
    id=LedgerTransactionId("ltx_1"),
    kind="top_up",
    amount=20 * DOLLAR,
    frozen=0,
    cause="payment:pi_1",
    corrects=None,
    period="2026-11",
    event_at=AT,
    booked_at=AT,
)
STATEMENT = Statement(
    workspace_id=WorkspaceId("wrk_1"),
    period="2026-11",
    currency="USD",
    opening=DOLLAR,
    closing=1234 * DOLLAR,
    frozen=7 * DOLLAR,
    totals=[StatementTotal(kind="top_up", amount=20 * DOLLAR, transactions=1)],
    usage=[
        UsageOfStatement(model="claude-sonnet", key_id="key_1", calls=12345, amount=3 * CENT, cents=3),
        UsageOfStatement(model="", key_id="", calls=0, amount=CENT, cents=1),
    ],
    late_usage=[LateUsage(period="2026-10", amount=2 * CENT)],
    usage_cents=4,
    movements=[BOUGHT],
)
LINES = (
    "Statement 2026-11",
    "Workspace wrk_1. A closed month in UTC, in USD.",
    "Opening balance $1.00",
    "Closing balance $1,234.00",
    "Frozen by refunds and disputes $7.00",
    "Credit bought 1 $20.00",
    "claude-sonnet, key key_1 12,345 $0.03",
    "Calls that other months count 0 $0.01",
    "Usage 12,345 $0.04",
    "$0.02 of usage of 2026-10 came late.",
    "20 November 2026, 08:05 UTC: Credit bought, ltx_1 $20.00",
)


def test_the_file_has_each_line_of_the_statement() -> None:
    text = text_of(pdf_of(STATEMENT))
    assert [line for line in LINES if line not in text] == []


def test_a_month_without_usage_and_transactions_has_its_balances_only() -> None:
    quiet = STATEMENT.model_copy(
        update={"totals": [], "usage": [], "late_usage": [], "usage_cents": 0, "movements": [], "frozen": 0}
    )
    text = text_of(pdf_of(quiet))
    assert "Closing balance $1,234.00" in text
    assert [word for word in ("Usage", "Frozen", "Other transactions") if word in text] == []


def test_the_same_statement_has_the_same_bytes() -> None:
    assert pdf_of(STATEMENT) == pdf_of(STATEMENT.model_copy())

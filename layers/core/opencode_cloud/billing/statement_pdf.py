"""The statement of a closed month as a PDF file. It has the sections of the CSV file."""

from __future__ import annotations

from opencode_cloud.billing.models.documents import Statement
from opencode_cloud.billing.models.transactions import KIND_NAMES
from opencode_cloud.billing.service.chain import period_bounds
from opencode_cloud.http.pdf_files import render
from opencode_cloud.kit import money
from opencode_cloud.kit.pdf.files import GAP, shown_time, titled_sheets
from opencode_cloud.kit.pdf.sheets import Sheets
from opencode_cloud.kit.pdf.tables import Table


def pdf_of(statement: Statement) -> bytes:
    """Return a statement as a PDF file."""
    title = f"Statement {statement.period}"
    sheets = titled_sheets(title)
    sheets.paragraph(f"Workspace {statement.workspace_id}. A closed month in UTC, in {statement.currency}.")
    _add_balances(sheets, statement)
    _add_kinds(sheets, statement)
    _add_usage(sheets, statement)
    _add_movements(sheets, statement)
    sheets.space(GAP)
    sheets.paragraph("The CSV file has each amount in full, in micro-cents.")
    return render(sheets, title, period_bounds(statement.period)[1])


def _section(sheets: Sheets, *heads: str) -> Table:
    sheets.space(GAP)
    return Table(sheets, *heads)


def _add_balances(sheets: Sheets, statement: Statement) -> None:
    table = _section(sheets, "Balance", "Amount")
    table.add("Opening balance", money.shown(statement.opening))
    table.add("Closing balance", money.shown(statement.closing))
    if statement.frozen:
        table.add("Frozen by refunds and disputes", money.shown(statement.frozen))


def _add_kinds(sheets: Sheets, statement: Statement) -> None:
    table = _section(sheets, "Transactions by kind", "Number", "Amount")
    for each in statement.totals:
        table.add(KIND_NAMES.get(each.kind, each.kind), f"{each.transactions:,}", money.shown(each.amount))


def _add_usage(sheets: Sheets, statement: Statement) -> None:
    if not statement.usage and not statement.late_usage:
        return
    table = _section(sheets, "Usage by model and key", "Calls", "Amount")
    for each in statement.usage:
        model = each.model or "Calls that other months count"
        text = f"{model}, key {each.key_id}" if each.key_id else model
        table.add(text, f"{each.calls:,}", money.shown(each.cents * money.CENT))
    table.add_total(
        "Usage", f"{sum(each.calls for each in statement.usage):,}", money.shown(statement.usage_cents * money.CENT)
    )
    for late in statement.late_usage:
        sheets.paragraph(f"{money.shown(late.amount)} of usage of {late.period} came late.")


def _add_movements(sheets: Sheets, statement: Statement) -> None:
    if not statement.movements:
        return
    table = _section(sheets, "Other transactions", "Amount")
    for each in statement.movements:
        text = f"{shown_time(each.event_at)}: {KIND_NAMES.get(each.kind, each.kind)}, {each.id}"
        table.add(text, money.shown(each.amount))

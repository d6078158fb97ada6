"""The usage of a month with a mark-up as a PDF file, for the departments of a company."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opencode_cloud.http.pdf_files import render
from opencode_cloud.kit import money
from opencode_cloud.kit.pdf.files import GAP, titled_sheets
from opencode_cloud.kit.pdf.tables import Table

if TYPE_CHECKING:
    from datetime import datetime

    from opencode_cloud.contracts.ids import WorkspaceId
    from opencode_cloud.usage.service.chargeback import Chargeback


def pdf_of(chargeback: Chargeback, workspace_id: WorkspaceId, markup: str, at: datetime) -> bytes:
    """Return a month as a PDF file. ``markup`` is the factor as it was asked for; ``at`` the first of the month."""
    by = chargeback.by.replace("_", " ") if chargeback.by else "group"
    title = f"Usage {chargeback.month} by {by}"
    sheets = titled_sheets(title)
    sheets.paragraph(f"Workspace {workspace_id}. A month in UTC, in USD. The amount is the cost times {markup}.")
    sheets.space(GAP)
    table = Table(sheets, by.capitalize(), "Calls", "Cost", "Amount")
    for line in chargeback.lines:
        name = line.name or f"Calls without a {by}"
        text = name if line.group in ("", line.name) else f"{name} ({line.group})"
        table.add(text, f"{line.calls:,}", money.shown(line.cost), _amount(line.cents))
    calls, cost = sum(line.calls for line in chargeback.lines), sum(line.cost for line in chargeback.lines)
    table.add_total("Total", f"{calls:,}", money.shown(cost), _amount(chargeback.cents))
    return render(sheets, title, at)


def _amount(cents: int) -> str:
    return money.shown(cents * money.CENT)

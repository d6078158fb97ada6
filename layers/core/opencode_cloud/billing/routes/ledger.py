"""`/api/v1/workspaces/{workspace}/billing`: the balance, its transactions down to the call, and statements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path
from pydantic import BaseModel

from opencode_cloud.billing.models.documents import (
    BalanceForecast,
    ChargedCall,
    MoneyMovement,
    MovementDetail,
    PrepaidBalance,
    Statement,
    StatementSummary,
)
from opencode_cloud.billing.service.reading import movement_of
from opencode_cloud.billing.sheets import as_csv
from opencode_cloud.contracts.ids import LedgerTransactionId, WorkspaceId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.http.gate import WORKSPACE, Gate
from opencode_cloud.kit import http_events, http_files
from opencode_cloud.kit.api_responses import document
from opencode_cloud.kit.http_app import response_of
from opencode_cloud.kit.pagination import DEFAULT_LIMIT, Cursor, Limit, Page, decode_cursor, decode_id, page_of

if TYPE_CHECKING:
    from opencode_cloud.billing.service.reading import BillingReader

TAG = "Billing"
Period = Annotated[str, Path(pattern=r"^\d{4}-\d{2}$", description="A month in UTC, such as `2026-11`.")]


class StatementList(BaseModel):
    """The closed months of a workspace."""

    data: list[StatementSummary]


class LedgerRoutes:
    """Routes that read the ledger."""

    def __init__(self, reader: BillingReader, gate: Gate) -> None:
        self._reader = reader
        self._gate = gate

    def mount(self) -> None:
        """Add every route to the gate's app."""
        add, read, root = self._gate.add, Permission.BILLING_READ, f"{WORKSPACE}/billing"
        one = f"{root}/transactions/<transaction_id>"
        add(f"GET {root}/balance", self.balance, read, "Read the prepaid balance", TAG)
        add(f"GET {root}/forecast", self.forecast, read, "Read how long the balance lasts", TAG)
        add(f"GET {root}/transactions", self.transactions, read, "List transactions", TAG)
        add(f"GET {one}", self.transaction, read, "Read a transaction", TAG)
        add(f"GET {one}/calls", self.calls, read, "List the calls that a transaction charges", TAG)
        add(f"GET {root}/statements", self.statements, read, "List statements", TAG)
        add(f"GET {root}/statements/<period>.csv", self.statement_sheet, read, "Read a statement, as CSV", TAG)
        add(f"GET {root}/statements/<period>.pdf", self.statement_file, read, "Read a statement, as PDF", TAG)
        add(f"GET {root}/statements/<period>", self.statement, read, "Read a statement", TAG)

    def balance(self, workspace_id: WorkspaceId) -> Response[PrepaidBalance]:
        """Read the balance in the ledger. The budget with the scope `balance` shows what running calls reserve."""
        return document(self._reader.balance(workspace_id))

    def forecast(self, workspace_id: WorkspaceId) -> Response[BalanceForecast]:
        """Read how many days the balance lasts, if usage goes on as in the last seven days."""
        return document(self._reader.forecast(workspace_id))

    def transactions(
        self, workspace_id: WorkspaceId, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
    ) -> Response[Page[MoneyMovement]]:
        """List transactions, the newest first. Each is final; a correction is a new one that names the old one."""
        before = decode_cursor(cursor, tuple[int])
        rows = self._reader.movements(workspace_id, before[0] if before else None, limit + 1)
        return document(page_of(rows, limit, lambda row: (row.seq,), movement_of))

    def transaction(self, workspace_id: WorkspaceId, transaction_id: LedgerTransactionId) -> Response[MovementDetail]:
        """Read a transaction with its entries and its hash."""
        return document(self._reader.movement(workspace_id, transaction_id))

    def calls(
        self,
        workspace_id: WorkspaceId,
        transaction_id: LedgerTransactionId,
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> Response[Page[ChargedCall]]:
        """List the usage events that a transaction charges. Their amounts add up to it."""
        after = decode_id(cursor)
        rows = self._reader.calls(workspace_id, transaction_id, after, limit + 1)
        return document(page_of(rows, limit, lambda row: (row.event_id,), lambda row: row))

    def statements(self, workspace_id: WorkspaceId) -> Response[StatementList]:
        """List the months that are closed, the newest first. A month closes on day 3 of the next one."""
        return document(StatementList(data=self._reader.statements(workspace_id)))

    def statement(self, workspace_id: WorkspaceId, period: Period) -> Response[Statement]:
        """Read the statement of a closed month: opening and closing balance, usage by model and key, all movements."""
        return document(self._reader.statement(workspace_id, period))

    def statement_sheet(self, workspace_id: WorkspaceId, period: Period) -> Response[str]:
        """Get the statement of a closed month as CSV: a row for each balance, sum, line of usage and movement."""
        body = as_csv(self._reader.statement(workspace_id, period))
        name = f"statement-{workspace_id}-{period}"
        headers = {**http_events.PRIVATE, "Content-Disposition": f'attachment; filename="{name}.csv"'}
        return response_of(http_events.reply(self._gate.event, body, "text/csv; charset=utf-8", headers=headers))

    def statement_file(self, workspace_id: WorkspaceId, period: Period) -> Response[str]:
        """Get the statement of a closed month as a PDF file. The same statement has the same bytes each time."""
        found = self._reader.statement(workspace_id, period)
        # Import here only, because the library takes longer to load than all others.
        from opencode_cloud.billing.statement_pdf import pdf_of

        name = f"statement-{workspace_id}-{period}"
        return response_of(http_files.pdf_reply(self._gate.event, pdf_of(found), name))

"""`/api/v1/workspaces/{workspace}/invoices`: invoices and credit notes."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from aws_lambda_powertools.event_handler import Response

from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.http.gate import WORKSPACE, Gate
from opencode_cloud.kit import http_files
from opencode_cloud.kit.api_responses import document
from opencode_cloud.kit.http_app import response_of
from opencode_cloud.kit.pagination import DEFAULT_LIMIT, Cursor, Limit, Page, decode_cursor, page_of
from opencode_cloud.payments.models.documents import SaleDocument

if TYPE_CHECKING:
    from opencode_cloud.payments.service.documents import Documents

TAG = "Payments"


class InvoiceRoutes:
    """Routes of invoices and credit notes."""

    def __init__(self, documents: Documents, gate: Gate) -> None:
        self._documents = documents
        self._gate = gate

    def mount(self) -> None:
        """Add every route to the gate's app."""
        add, read, root = self._gate.add, Permission.BILLING_READ, f"{WORKSPACE}/invoices"
        add(f"GET {root}", self.list, read, "List invoices and credit notes", TAG)
        add(f"GET {root}/<number>.pdf", self.file, read, "Read an invoice or a credit note, as PDF", TAG)
        add(f"GET {root}/<number>", self.get, read, "Read an invoice or a credit note", TAG)

    def list(
        self, workspace_id: WorkspaceId, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
    ) -> Response[Page[SaleDocument]]:
        """List invoices and credit notes, the newest first."""
        before = decode_cursor(cursor, tuple[datetime, str])
        rows = self._documents.of_workspace(workspace_id, before, limit + 1)
        return document(page_of(rows, limit, lambda row: (row[0], row[1]), lambda row: row[2]))

    def get(self, workspace_id: WorkspaceId, number: str) -> Response[SaleDocument]:
        """Read a document. Each purchase has an invoice, which is also its receipt; each refund has a credit note."""
        return document(self._documents.get(workspace_id, number))

    def file(self, workspace_id: WorkspaceId, number: str) -> Response[str]:
        """Get a document as a PDF file, with the data of the JSON. The same document has the same bytes each time."""
        found, event = self._documents.get(workspace_id, number), self._gate.event
        # Import here only, because the library takes longer to load than all others.
        from opencode_cloud.payments.invoice_pdf import pdf_of

        return response_of(http_files.pdf_reply(event, pdf_of(found), found.number))

"""Issue an invoice for each purchase and a credit note for each refund, in the transaction that books them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from opencode_cloud.billing.models.payments import Shares
from opencode_cloud.contracts.ids import PaymentId, WorkspaceId
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.money import CENT
from opencode_cloud.kit.rounding import lines
from opencode_cloud.payments.models import PaymentView, RefundView, TopUp
from opencode_cloud.payments.models.documents import (
    SERIES,
    DocumentKind,
    SaleDocument,
    document_not_found,
    numbered,
    opposite,
    sale_document,
)

if TYPE_CHECKING:
    from opencode_cloud.outbox.service import Outbox, UnitOfWork
    from opencode_cloud.payments.store.documents import SaleDocumentStore
    from opencode_cloud.payments.store.top_ups import TopUpStore


class Documents:
    """Rules of documents. A document is issued once, and never changed."""

    def __init__(self, outbox: Outbox, store: SaleDocumentStore, top_ups: TopUpStore, seller: str) -> None:
        """``seller`` has the name, address and tax id of the company, one line each."""
        self._outbox = outbox
        self._store = store
        self._top_ups = top_ups
        self._seller = [line.strip() for line in seller.splitlines() if line.strip()]

    def invoice(self, unit: UnitOfWork, top_up: TopUp, payment: PaymentView) -> None:
        """Issue the invoice of a paid purchase, once."""
        kind, connection = DocumentKind.INVOICE, unit.connection
        number = self._store.next(connection, kind)
        # The payer may have given a country only.
        buyer = [self._top_ups.workspace_name(connection, top_up.workspace_id), *payment.buyer]
        document = sale_document(
            kind,
            number,
            utc_now(),
            seller=self._seller,
            buyer=buyer,
            currency=top_up.currency,
            credit=top_up.credit // CENT,
            fee=top_up.fee // CENT,
            tax=top_up.tax // CENT,
            paid_at=payment.at,
            payment_id=payment.id,
        )
        self._store.add(connection, top_up.workspace_id, payment.id, number, document)

    def credit_note(self, unit: UnitOfWork, workspace_id: WorkspaceId, refund: RefundView, shares: Shares) -> None:
        """Issue the credit note of a refund that succeeded, once. A payment without an invoice has none."""
        kind, connection = DocumentKind.CREDIT_NOTE, unit.connection
        invoice = self._store.of_subject(connection, DocumentKind.INVOICE, refund.payment_id)
        if invoice is None or self._store.of_subject(connection, kind, refund.id):
            return
        number = self._store.next(connection, kind)
        # The shares are exact; a document has whole cents that add up to the refund.
        credit, fee, tax = (each // CENT for each in lines([shares.credit, shares.fee, shares.tax]))
        document = sale_document(
            kind,
            number,
            utc_now(),
            seller=invoice.seller,
            buyer=invoice.buyer,
            currency=invoice.currency,
            credit=credit,
            fee=fee,
            tax=tax,
            paid_at=refund.at,
            payment_id=PaymentId(refund.payment_id),
            corrects=invoice.number,
        )
        self._store.add(connection, workspace_id, refund.id, number, document)

    def undo_credit_note(self, unit: UnitOfWork, workspace_id: WorkspaceId, refund: RefundView) -> None:
        """Issue the invoice that takes back the credit note of a refund that failed after it had succeeded, once."""
        kind, connection = DocumentKind.INVOICE, unit.connection
        note = self._store.of_subject(connection, DocumentKind.CREDIT_NOTE, refund.id)
        if note is None or self._store.of_subject(connection, kind, refund.id):
            return
        number, now = self._store.next(connection, kind), utc_now()
        self._store.add(connection, workspace_id, refund.id, number, opposite(note, number, now))

    def get(self, workspace_id: WorkspaceId, name: str) -> SaleDocument:
        """Return a document by its number, such as ``INV-000001``; raises ``document_not_found`` (404)."""
        series, _, digits = name.partition("-")
        kind = next((kind for kind, prefix in SERIES.items() if prefix == series), None)
        found = None
        if kind is not None and digits.isascii() and digits.isdigit() and len(digits) < 19:
            with self._outbox.unit() as unit:
                found = self._store.get(unit.connection, workspace_id, kind, int(digits))
        # One spelling only.
        if kind is None or found is None or numbered(kind, int(digits)) != name:
            raise document_not_found()
        return found

    def of_workspace(
        self, workspace_id: WorkspaceId, before: tuple[datetime, str] | None, limit: int
    ) -> list[tuple[datetime, str, SaleDocument]]:
        """Return time, subject and document of all documents, the newest first, after a time and subject."""
        with self._outbox.unit() as unit:
            return self._store.of_workspace(unit.connection, workspace_id, before, limit)

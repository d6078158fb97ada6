"""Invoices and credit notes in MySQL. Rows never change: triggers refuse updates and deletions."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import select, update
from sqlalchemy.dialects.mysql import insert

from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.payments.models.documents import DocumentKind, SaleDocument
from opencode_cloud.schema.payments import payment_documents, payment_series

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Connection


class SaleDocumentStore:
    """The tables ``payment_documents`` and ``payment_series``."""

    def next(self, connection: Connection, kind: DocumentKind) -> int:
        """Lock the series of a kind until the transaction ends, and return its next number.

        A transaction that is rolled back takes no number, so a series has no gaps.
        """
        column = payment_series.c
        query = select(column.number).where(column.kind == kind).with_for_update()
        last = connection.execute(query).scalar()
        if last is None:
            first = insert(payment_series).on_duplicate_key_update(kind=column.kind)
            connection.execute(first, {"kind": kind, "number": 0})
            last = connection.execute(query).scalar_one()
        number = int(last) + 1
        connection.execute(update(payment_series).where(column.kind == kind).values(number=number))
        return number

    def add(
        self, connection: Connection, workspace_id: WorkspaceId, subject: str, number: int, document: SaleDocument
    ) -> None:
        """Write a document. ``subject`` is the payment or the refund, which has one document."""
        row = {
            "kind": document.kind,
            "number": number,
            "subject": subject,
            "workspace_id": workspace_id,
            "document": document.model_dump(mode="json"),
            "issued_at": document.issued_at,
        }
        connection.execute(payment_documents.insert(), row)

    def of_subject(self, connection: Connection, kind: DocumentKind, subject: str) -> SaleDocument | None:
        """Return the document of a payment or a refund; None without one."""
        column = payment_documents.c
        query = select(column.document).where(column.kind == kind, column.subject == subject)
        found = connection.execute(query).scalar()
        return None if found is None else SaleDocument.model_validate(found)

    def get(
        self, connection: Connection, workspace_id: WorkspaceId, kind: DocumentKind, number: int
    ) -> SaleDocument | None:
        """Return a document of a workspace; None if there is none."""
        column = payment_documents.c
        query = select(column.document).where(
            column.kind == kind, column.number == number, column.workspace_id == workspace_id
        )
        found = connection.execute(query).scalar()
        return None if found is None else SaleDocument.model_validate(found)

    def of_workspace(
        self, connection: Connection, workspace_id: WorkspaceId, before: tuple[datetime, str] | None, limit: int
    ) -> list[tuple[datetime, str, SaleDocument]]:
        """Return time, subject and document of a workspace's documents, the newest first, after a time and subject."""
        column = payment_documents.c
        query = select(column.issued_at, column.subject, column.document).where(column.workspace_id == workspace_id)
        if before is not None:
            at, subject = before
            query = query.where((column.issued_at < at) | ((column.issued_at == at) & (column.subject < subject)))
        rows = connection.execute(query.order_by(column.issued_at.desc(), column.subject.desc()).limit(limit))
        return [(row.issued_at, row.subject, SaleDocument.model_validate(row.document)) for row in rows]

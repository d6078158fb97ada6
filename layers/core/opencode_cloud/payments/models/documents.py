"""Invoices and credit notes: data first, so that each form of a document shows the same."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from opencode_cloud.contracts.ids import PaymentId
from opencode_cloud.kit.api_models import ApiModel
from opencode_cloud.kit.errors import NotFound
from opencode_cloud.kit.instants import Instant
from opencode_cloud.kit.marked_messages import gettext_noop


class DocumentKind(StrEnum):
    """The kind of a document. Each kind has one series of numbers."""

    INVOICE = "invoice"
    CREDIT_NOTE = "credit_note"


CREDIT_LINE = gettext_noop("Prepaid credit for model calls")
FEE_LINE = gettext_noop("Processing fee")
"""The texts of lines. Documents hold them in English, and pages translate them."""
SERIES = {DocumentKind.INVOICE: "INV", DocumentKind.CREDIT_NOTE: "CRN"}


class DocumentLine(ApiModel):
    """One line of a document."""

    text: str
    cents: int


class SaleDocument(ApiModel):
    """An invoice of a paid purchase, or the credit note of a refund. It never changes."""

    number: str = Field(description="`INV-` or `CRN-` and a number. Each series has no gaps.")
    kind: DocumentKind
    issued_at: Instant
    seller: list[str] = Field(description="The company that runs this deployment, line by line.")
    buyer: list[str] = Field(description="The workspace, and the name and address that the payer gave, line by line.")
    currency: str
    lines: list[DocumentLine]
    tax_cents: int
    total_cents: int = Field(description="All lines and the tax; negative for a credit note.")
    paid_at: Instant = Field(description="When the money moved. The document is a receipt.")
    payment_id: PaymentId
    corrects: str | None = Field(
        description="The number of the invoice that a credit note corrects, or of the credit note that an invoice "
        "takes back because its refund failed later."
    )


def numbered(kind: DocumentKind, number: int) -> str:
    """Return the number of a document as people read it."""
    return f"{SERIES[kind]}-{number:06}"


def sale_document(
    kind: DocumentKind,
    number: int,
    issued_at: datetime,
    *,
    seller: list[str],
    buyer: list[str],
    currency: str,
    credit: int,
    fee: int,
    tax: int,
    paid_at: datetime,
    payment_id: PaymentId,
    corrects: str | None = None,
) -> SaleDocument:
    """Return a document over a credit, fee and tax in cents; a credit note has the opposite signs."""
    sign = -1 if kind is DocumentKind.CREDIT_NOTE else 1
    given = [(CREDIT_LINE, credit), (FEE_LINE, fee)]
    return SaleDocument(
        number=numbered(kind, number),
        kind=kind,
        issued_at=issued_at,
        seller=seller,
        buyer=buyer,
        currency=currency,
        lines=[DocumentLine(text=text, cents=sign * cents) for text, cents in given if cents],
        tax_cents=sign * tax,
        total_cents=sign * (credit + fee + tax),
        paid_at=paid_at,
        payment_id=payment_id,
        corrects=corrects,
    )


def opposite(note: SaleDocument, number: int, issued_at: datetime) -> SaleDocument:
    """Return the invoice that takes a credit note back: the same lines with the opposite signs. It names the note."""
    return SaleDocument(
        number=numbered(DocumentKind.INVOICE, number),
        kind=DocumentKind.INVOICE,
        issued_at=issued_at,
        seller=note.seller,
        buyer=note.buyer,
        currency=note.currency,
        lines=[DocumentLine(text=each.text, cents=-each.cents) for each in note.lines],
        tax_cents=-note.tax_cents,
        total_cents=-note.total_cents,
        paid_at=issued_at,
        payment_id=note.payment_id,
        corrects=note.number,
    )


def document_not_found() -> NotFound:
    """Return the error for a document that does not exist or belongs to another workspace."""
    return NotFound("document_not_found", "The workspace has no document with this number.")

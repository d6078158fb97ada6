"""An invoice or a credit note as a PDF file."""

from __future__ import annotations

from itertools import zip_longest

from opencode_cloud.http.pdf_files import render
from opencode_cloud.kit import money
from opencode_cloud.kit.pdf.files import GAP, shown_time, titled_sheets
from opencode_cloud.kit.pdf.sheets import LEFT, RIGHT, Sheets, wrapped
from opencode_cloud.kit.pdf.tables import Table
from opencode_cloud.payments.models.documents import DocumentKind, SaleDocument

_HALF = (RIGHT - LEFT - GAP) / 2
_OPERATOR = "The operator of this deployment"


def pdf_of(document: SaleDocument) -> bytes:
    """Return a document as a PDF file."""
    title = f"{'Credit note' if document.kind is DocumentKind.CREDIT_NOTE else 'Invoice'} {document.number}"
    sheets = titled_sheets(title)
    corrects = f" It corrects {document.corrects}." if document.corrects else ""
    sheets.paragraph(f"Issued {shown_time(document.issued_at)}.{corrects}")
    sheets.space(GAP)
    _add_parties(sheets, document.seller or [_OPERATOR], document.buyer)
    sheets.space(GAP)
    _add_lines(sheets, document)
    sheets.space(GAP)
    done = "Refunded" if document.kind is DocumentKind.CREDIT_NOTE else "Paid"
    paid = f"{done} {shown_time(document.paid_at)}, payment {document.payment_id}. This document is the receipt."
    sheets.paragraph(paid)
    return render(sheets, title, document.issued_at, " ".join(document.seller[:1]) or _OPERATOR)


def _add_parties(sheets: Sheets, seller: list[str], buyer: list[str]) -> None:
    """Write seller and buyer beside each other."""
    middle = LEFT + _HALF + GAP
    sheets.line((LEFT, "From"), (middle, "To"), bold=True)
    columns = [[line for each in party for line in wrapped(each, _HALF)] for party in (seller, buyer)]
    for left, right in zip_longest(*columns, fillvalue=""):
        sheets.line((LEFT, left), (middle, right))


def _add_lines(sheets: Sheets, document: SaleDocument) -> None:
    table = Table(sheets, "Description", "Amount")
    for line in document.lines:
        table.add(line.text, _amount(line.cents))
    if document.tax_cents:
        table.add("Tax", _amount(document.tax_cents))
    table.add_total(f"Total in {document.currency}", _amount(document.total_cents))


def _amount(cents: int) -> str:
    return money.shown(cents * money.CENT)

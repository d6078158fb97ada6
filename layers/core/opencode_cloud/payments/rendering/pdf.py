"""An invoice or a credit note as PDF: A4, with embedded fonts, the same bytes for the same document.

Texts are drawn as they are. The library's paragraphs would read names as markup.
"""

# The library's types are partly unknown.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from datetime import datetime
from io import BytesIO
from itertools import chain, zip_longest
from typing import Any

from reportlab.pdfgen.canvas import Canvas

from opencode_cloud.kit import money
from opencode_cloud.payments.models.documents import DocumentKind, SaleDocument
from opencode_cloud.payments.rendering.fonts import MISSING, REGULAR, runs
from opencode_cloud.payments.rendering.sheets import (
    LEADING,
    LEFT,
    MARGIN,
    PAGE,
    RIGHT,
    DrawnRule,
    DrawnText,
    Sheets,
    before_right,
    wrapped,
)

_TITLE, _SMALL = 20.0, 8.0
_GAP, _THIN = 24.0, 0.5
_HALF = (RIGHT - LEFT - _GAP) / 2
_AMOUNT = 110.0
"""Width of the column of amounts."""
_KEPT = 40
"""Lines of a row that stay on one page."""
_OPERATOR = "The operator of this deployment"
_NOTICE = f"{MISSING} stands for a character that this file cannot show. The console and the API show the whole text."


def pdf_of(document: SaleDocument) -> bytes:
    """Return a document as a PDF file."""
    title = f"{'Credit note' if document.kind is DocumentKind.CREDIT_NOTE else 'Invoice'} {document.number}"
    pages = _laid_out(document, title).pages
    file = BytesIO()
    canvas = _canvas(file, document, title)
    for number, page in enumerate(pages, start=1):
        foot = f"Page {number} of {len(pages)}"
        y = MARGIN - LEADING
        for mark in (*page, DrawnText(LEFT, y, title, _SMALL), DrawnText(before_right(foot, _SMALL), y, foot, _SMALL)):
            _draw(canvas, mark)
        canvas.showPage()
    canvas.save()
    return file.getvalue()


def _laid_out(document: SaleDocument, title: str) -> Sheets:
    sheets = Sheets()
    sheets.paragraph(title, _TITLE, bold=True, leading=_TITLE * 1.3)
    corrects = f" It corrects {document.corrects}." if document.corrects else ""
    sheets.paragraph(f"Issued {_time(document.issued_at)}.{corrects}")
    sheets.space(_GAP)
    _add_parties(sheets, document.seller or [_OPERATOR], document.buyer)
    sheets.space(_GAP)
    _add_lines(sheets, document)
    sheets.space(_GAP)
    done = "Refunded" if document.kind is DocumentKind.CREDIT_NOTE else "Paid"
    paid = f"{done} {_time(document.paid_at)}, payment {document.payment_id}. This document is the receipt."
    sheets.paragraph(paid)
    if any(isinstance(mark, DrawnText) and MISSING in mark.text for mark in chain.from_iterable(sheets.pages)):
        sheets.space(_GAP)
        sheets.paragraph(_NOTICE)
    return sheets


def _add_parties(sheets: Sheets, seller: list[str], buyer: list[str]) -> None:
    """Write seller and buyer beside each other."""
    middle = LEFT + _HALF + _GAP
    sheets.line((LEFT, "From"), (middle, "To"), bold=True)
    columns = [[line for each in party for line in wrapped(each, _HALF)] for party in (seller, buyer)]
    for left, right in zip_longest(*columns, fillvalue=""):
        sheets.line((LEFT, left), (middle, right))


def _add_lines(sheets: Sheets, document: SaleDocument) -> None:
    """Write the lines, the tax and the total. Each page repeats the heads of the columns."""
    if not sheets.holds(3 * LEADING):
        sheets.turn()
    _add_heads(sheets)
    for line in document.lines:
        _add_row(sheets, line.text, line.cents)
    if document.tax_cents:
        _add_row(sheets, "Tax", document.tax_cents)
    # Otherwise the total goes to the next page, below the heads and their rule.
    if sheets.holds(2 * LEADING):
        sheets.rule()
    _add_row(sheets, f"Total in {document.currency}", document.total_cents, bold=True)


def _add_heads(sheets: Sheets) -> None:
    sheets.line((LEFT, "Description"), (before_right("Amount", bold=True), "Amount"), bold=True)
    sheets.rule()


def _add_row(sheets: Sheets, text: str, cents: int, *, bold: bool = False) -> None:
    """Write a text and its amount. A row goes to the next page as a whole, unless it is as long as a page."""
    amount = money.shown(cents * money.CENT)
    sheets.space(LEADING / 4)
    lines = wrapped(text, RIGHT - LEFT - _AMOUNT, bold=bold) or [""]
    height = LEADING * min(len(lines), _KEPT)
    for line in lines:
        if not sheets.holds(height):
            sheets.turn()
            _add_heads(sheets)
        sheets.line((LEFT, line), (before_right(amount, bold=bold), amount), bold=bold)
        amount, height = "", LEADING


def _canvas(file: BytesIO, document: SaleDocument, title: str) -> Canvas:
    """Return an empty file whose only time is that of the document."""
    # The stubs take the name of a font for a number. The default is a font that is not embedded.
    font: dict[str, Any] = {"initialFontName": REGULAR}
    canvas = Canvas(file, pagesize=PAGE, invariant=1, pageCompression=1, lang="en", **font)
    canvas.setTitle(title)
    canvas.setAuthor(" ".join(document.seller[:1]) or _OPERATOR)
    canvas.setSubject(title)
    canvas.setCreator("Opencode Cloud")

    def date(*_clock: int) -> str:
        return f"D:{document.issued_at:%Y%m%d%H%M%S}Z"

    canvas.setDateFormatter(date)
    canvas.setViewerPreference("DisplayDocTitle", "true")
    return canvas


def _draw(canvas: Canvas, mark: DrawnText | DrawnRule) -> None:
    if isinstance(mark, DrawnRule):
        canvas.setLineWidth(_THIN)
        canvas.line(LEFT, mark.y, RIGHT, mark.y)
        return
    drawn = canvas.beginText(mark.x, mark.y)
    for run in runs(mark.text, mark.font):
        drawn.setFont(run.font, mark.size)
        drawn.textOut(run.text)
    canvas.drawText(drawn)


def _time(at: datetime) -> str:
    return f"{at:%-d %B %Y, %H:%M} UTC"

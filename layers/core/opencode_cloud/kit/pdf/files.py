"""A PDF file of sheets: A4, with embedded fonts, and the title and the number of pages at the foot of each page.

Texts are drawn as they are. The library's paragraphs would read names as markup.
"""

# The library's types are partly unknown.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from datetime import datetime
from io import BytesIO
from itertools import chain
from typing import Any

import msgspec
from reportlab.pdfgen.canvas import Canvas

from opencode_cloud.kit.pdf.fonts import MISSING, REGULAR, runs
from opencode_cloud.kit.pdf.sheets import LEADING, LEFT, MARGIN, PAGE, RIGHT, DrawnRule, DrawnText, Sheets, before

TITLE, GAP = 20.0, 24.0
"""Size of a title, and the space between the parts of a document."""
_SMALL, _THIN = 8.0, 0.5
_NOTICE = f"{MISSING} stands for a character that this file cannot show."


class AboutFile(msgspec.Struct, frozen=True):
    """Properties of a file, as a viewer shows them."""

    title: str
    author: str
    creator: str
    at: datetime
    """The only time in the file, in UTC, so that the same data has the same bytes."""


def titled_sheets(title: str) -> Sheets:
    """Return sheets with a title."""
    sheets = Sheets()
    sheets.paragraph(title, TITLE, bold=True, leading=TITLE * 1.3)
    return sheets


def render(sheets: Sheets, about: AboutFile, whole_text: str) -> bytes:
    """Return sheets as a file. If it lacks a character, it says so, and where ``whole_text`` is."""
    if any(isinstance(mark, DrawnText) and MISSING in mark.text for mark in chain.from_iterable(sheets.pages)):
        sheets.space(GAP)
        sheets.paragraph(f"{_NOTICE} {whole_text}")
    file = BytesIO()
    canvas = _canvas(file, about)
    for number, page in enumerate(sheets.pages, start=1):
        for mark in (*page, *_foot(about.title, f"Page {number} of {len(sheets.pages)}")):
            _draw(canvas, mark)
        canvas.showPage()
    canvas.save()
    return file.getvalue()


def shown_time(at: datetime) -> str:
    """Return a time in UTC for people."""
    return f"{at:%-d %B %Y, %H:%M} UTC"


def _foot(title: str, pages: str) -> tuple[DrawnText, DrawnText]:
    y = MARGIN - LEADING
    return DrawnText(LEFT, y, title, _SMALL), DrawnText(before(RIGHT, pages, _SMALL), y, pages, _SMALL)


def _canvas(file: BytesIO, about: AboutFile) -> Canvas:
    # The stubs take the name of a font for a number. The default is a font that is not embedded.
    font: dict[str, Any] = {"initialFontName": REGULAR}
    canvas = Canvas(file, pagesize=PAGE, invariant=1, pageCompression=1, lang="en", **font)
    canvas.setTitle(about.title)
    canvas.setAuthor(about.author)
    canvas.setSubject(about.title)
    canvas.setCreator(about.creator)

    def date(*_clock: int) -> str:
        return f"D:{about.at:%Y%m%d%H%M%S}Z"

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

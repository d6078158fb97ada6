"""The text of a PDF file, for tests."""

from __future__ import annotations

from io import BytesIO

from pypdf import PdfReader


def text_of(file: bytes) -> str:
    """Return the text of all pages as one line."""
    return " ".join(" ".join(page.extract_text() for page in PdfReader(BytesIO(file)).pages).split())

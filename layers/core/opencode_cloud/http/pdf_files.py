"""PDF files of the product. Only code that makes one imports this module: its library loads slowly."""

from __future__ import annotations

from datetime import datetime

from opencode_cloud.kit.pdf import files
from opencode_cloud.kit.pdf.sheets import Sheets

PRODUCT = "Opencode Cloud"
_WHOLE_TEXT = "The console and the API show the whole text."


def render(sheets: Sheets, title: str, at: datetime, author: str = PRODUCT) -> bytes:
    """Return sheets as a file; ``at`` is the only time in it, in UTC."""
    return files.render(sheets, files.AboutFile(title, author, PRODUCT, at), _WHOLE_TEXT)

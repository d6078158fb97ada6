"""The templates of pages: what each of them must have."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TEMPLATES = Path(__file__).parents[3] / "web" / "templates"
WITH_TABLES = sorted(
    path
    for folder in ("administration", "operators")
    for path in (TEMPLATES / folder).glob("*.html")
    if "<table" in path.read_text()
)


@pytest.mark.parametrize("path", WITH_TABLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_table_scrolls_by_itself_on_a_narrow_screen(path: Path) -> None:
    """A wide table must not make the page wider than a phone."""
    before = re.findall(r"(\S[^\n]*)?<table", path.read_text())
    assert [each for each in before if not each.startswith('<div class="sheet')] == []

"""The tables of docs/formats.md are those of the code."""

from pathlib import Path

from opencode_cloud.gateway.formats.tables import SECTIONS, written

PAGE = Path(__file__).parents[4] / "docs" / "formats.md"


def test_the_page_has_every_table_as_the_code_states_it() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert all(f"<!-- {name} -->" in page for name in SECTIONS)
    assert written(page) == page, "run `make formats`"

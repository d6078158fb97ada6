"""Tables: a text that wraps, and numbers in columns at the right. Each page repeats the heads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from opencode_cloud.kit.pdf.sheets import LEADING, LEFT, RIGHT, Sheets, before, wrapped

_LAST, _OTHER = 110.0, 80.0
"""Widths of the last column and of the other columns of numbers."""
_TOGETHER = 40
"""Lines of a row that stay on one page."""


class Table:
    """Writes rows to sheets. The heads are those of the text and of each column of numbers."""

    def __init__(self, sheets: Sheets, *heads: str) -> None:
        self._sheets = sheets
        self._heads = heads
        later = [_LAST, *[_OTHER] * (len(heads) - 2)]
        self._ends = [RIGHT - sum(later[:place]) for place in reversed(range(len(heads) - 1))]
        self._room = RIGHT - LEFT - sum(later)
        if not sheets.holds(3 * LEADING):
            sheets.turn()
        self._write_heads()

    def add(self, text: str, *numbers: str, bold: bool = False) -> None:
        """Write a row. It goes to the next page as a whole, unless it is as long as a page."""
        self._sheets.space(LEADING / 4)
        lines = wrapped(text, self._room, bold=bold) or [""]
        height = LEADING * min(len(lines), _TOGETHER)
        for line in lines:
            if not self._sheets.holds(height):
                self._sheets.turn()
                self._write_heads()
            self._sheets.line((LEFT, line), *self._placed(numbers, bold=bold), bold=bold)
            numbers, height = (), LEADING

    def add_total(self, text: str, *numbers: str) -> None:
        """Write the last row, below a rule."""
        # Otherwise the total goes to the next page, below the heads and their rule.
        if self._sheets.holds(2 * LEADING):
            self._sheets.rule()
        self.add(text, *numbers, bold=True)

    def _write_heads(self) -> None:
        text, *numbers = self._heads
        self._sheets.line((LEFT, text), *self._placed(numbers, bold=True), bold=True)
        self._sheets.rule()

    def _placed(self, numbers: Sequence[str], *, bold: bool) -> Iterator[tuple[float, str]]:
        for end, number in zip(self._ends, numbers, strict=False):
            yield before(end, number, bold=bold), number

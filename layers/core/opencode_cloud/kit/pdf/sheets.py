"""Pages of A4 that fill from the top. Positions are points from the lower left corner."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from opencode_cloud.kit.pdf.fonts import BOLD, REGULAR, width, writable

PAGE = (210 / 25.4 * 72, 297 / 25.4 * 72)
"""Width and height of A4."""
MARGIN = 57.0
LEFT, RIGHT, TOP, BOTTOM = MARGIN, PAGE[0] - MARGIN, PAGE[1] - MARGIN, MARGIN + 20
SIZE, LEADING = 10.0, 15.0

_CLOSING = "、。〉》」』】〕〗〙〛！），．：；？］｝～ー々"  # noqa: RUF001 - these are no Latin ones
"""A line does not begin with these."""
_EAST_ASIAN = "\u1100-\u11ff\u2e80-\ua4cf\uac00-\ud7ff\uf900-\ufaff\ufe30-\uffef"
_UNITS = re.compile(rf"[{_EAST_ASIAN}][{_CLOSING}]*|[^\s{_EAST_ASIAN}]+|\s+")
"""A line may end after each: an East Asian character, a word of other scripts, spaces."""


class DrawnText(msgspec.Struct, frozen=True):
    """A line of text at the place where it begins."""

    x: float
    y: float
    text: str
    size: float = SIZE
    font: str = REGULAR


class DrawnRule(msgspec.Struct, frozen=True):
    """A thin line over the whole width."""

    y: float


class Sheets:
    """Collects the lines of all pages. A line that does not fit goes to the next page."""

    def __init__(self) -> None:
        self.pages: list[list[DrawnText | DrawnRule]] = [[]]
        self._y = TOP

    def space(self, points: float) -> None:
        """Leave space above the next line, but none at the top of a page."""
        if self._y < TOP:
            self._y -= points

    def holds(self, points: float) -> bool:
        """Tell whether a block of this height fits on the page."""
        return self._y - points >= BOTTOM

    def turn(self) -> None:
        """Begin a page."""
        self.pages.append([])
        self._y = TOP

    def rule(self) -> None:
        """Draw a thin line below the last line of text."""
        self._y -= LEADING / 3
        self.pages[-1].append(DrawnRule(self._y))

    def line(self, *parts: tuple[float, str], size: float = SIZE, bold: bool = False, leading: float = LEADING) -> None:
        """Write texts beside each other, each with the place where it begins, on the next line."""
        if not self.holds(leading):
            self.turn()
        self._y -= leading
        font = BOLD if bold else REGULAR
        self.pages[-1] += [DrawnText(x, self._y, text, size, font) for x, text in parts if text]

    def paragraph(self, text: str, size: float = SIZE, *, bold: bool = False, leading: float = LEADING) -> None:
        """Write a text over the whole width."""
        for line in wrapped(text, RIGHT - LEFT, size, bold=bold):
            self.line((LEFT, line), size=size, bold=bold, leading=leading)


def before(end: float, text: str, size: float = SIZE, *, bold: bool = False) -> float:
    """Return the place where a text begins that ends at ``end``."""
    return end - width(text, BOLD if bold else REGULAR, size)


def wrapped(text: str, room: float, size: float = SIZE, *, bold: bool = False) -> list[str]:
    """Return a text in lines of at most ``room`` points, as the fonts can write it. A word that is longer is cut."""
    font, lines, line = BOLD if bold else REGULAR, list[str](), ""
    for unit in _UNITS.findall(writable(text)):
        if width(line + unit.rstrip(), font, size) <= room:
            line += unit
            continue
        pieces = list(_cut(unit.rstrip(), room, font, size))
        lines += [line, *pieces[:-1]]
        line = pieces[-1]
    return [each.rstrip() for each in (*lines, line) if each.strip()]


def _cut(word: str, room: float, font: str, size: float) -> Iterator[str]:
    """Cut a word into pieces that fit."""
    piece = ""
    for character in word:
        if piece and width(piece + character, font, size) > room:
            yield piece
            piece = ""
        piece += character
    yield piece

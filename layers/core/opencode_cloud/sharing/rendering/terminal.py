"""Output of terminals as elements: colors by ANSI sequences, and long output folded.

`web/static/terminal.js` has the same rules.
"""

from __future__ import annotations

import re

from opencode_cloud.kit.languages import ngettext
from opencode_cloud.sharing.rendering.lenient import styled, without_home
from opencode_cloud.sharing.rendering.nodes import Element, Node, element, span

HEAD, TAIL, FOLDED = 12, 12, 40
"""Lines that are shown of a longer output, and the length from which one is folded."""
_GRAPHICS = re.compile(r"\x1b\[([0-9;]*)m", re.ASCII)
_STYLES = {1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "inverse"}
_ENDS = {22: ("bold", "dim"), 23: ("italic",), 24: ("underline",), 27: ("inverse",)}
_MODES = ("bold", "dim", "italic", "underline", "inverse")
_SEQUENCE = 100  # characters; a longer one is no sequence of a color

Run = tuple[str, str]
"""The classes of some words, and the words."""


class _Style:
    def __init__(self) -> None:
        self.modes: set[str] = set()
        self.ink = self.back = ""

    def take(self, sequence: str) -> None:
        found = _GRAPHICS.fullmatch(sequence) if len(sequence) <= _SEQUENCE else None
        codes = [int(code or "0") for code in found[1].split(";")] if found else []
        while codes:
            code = codes.pop(0)
            if code in (38, 48):
                self._extended(code, codes)
            else:
                self._simple(code)

    def _extended(self, code: int, codes: list[int]) -> None:
        kind = codes.pop(0) if codes else 0
        values = [codes.pop(0) for _ in range({2: 3, 5: 1}.get(kind, 0)) if codes]
        color = values[0] if kind == 5 and values and values[0] < 16 else None
        name = "" if color is None else str(color if color < 8 else color + 52)
        if code == 38:
            self.ink = f"ink-{name}" if name else ""
        else:
            self.back = f"back-{name}" if name else ""

    def _simple(self, code: int) -> None:
        if code == 0:
            self.modes, self.ink, self.back = set(), "", ""
        elif code in _STYLES:
            self.modes.add(_STYLES[code])
        elif code in _ENDS:
            self.modes -= set(_ENDS[code])
        elif 30 <= code <= 37 or 90 <= code <= 97:
            self.ink = f"ink-{code - 30}"
        elif 40 <= code <= 47 or 100 <= code <= 107:
            self.back = f"back-{code - 40}"
        elif code == 39:
            self.ink = ""
        elif code == 49:
            self.back = ""

    @property
    def classes(self) -> str:
        modes = [mode for mode in _MODES if mode in self.modes]
        return " ".join(filter(None, [*modes, self.ink, self.back]))


def lines_of(output: str) -> list[list[Run]]:
    """Return the lines of a terminal's output, as words with their styles."""
    lines: list[list[Run]] = [[]]
    style = _Style()
    for sequence, words in styled(output):
        style.take(sequence)
        first, *others = without_home(words).split("\n")
        if first:
            lines[-1].append((style.classes, first))
        lines.extend([(style.classes, piece)] if piece else [] for piece in others)
    return lines


def terminal(output: str, name: str = "output") -> list[Node]:
    """Return the elements of a terminal's output. Fold the middle of a long one, and count its lines."""
    lines = lines_of(output)
    last = len(lines) - 1 if lines[-1] == [] else len(lines)  # a line end is the end of its line
    if last <= FOLDED:
        return [_pre(name, lines)]
    hidden = last - HEAD - TAIL
    more = element(
        "details",
        {"class": "more"},
        element("summary", {}, ngettext("%(num)s line hidden", "%(num)s lines hidden", hidden)),
        _pre(name, lines[HEAD : HEAD + hidden]),
    )
    return [_pre(name, lines[:HEAD]), more, _pre(name, lines[HEAD + hidden :])]


def _pre(name: str, lines: list[list[Run]]) -> Element:
    made = element("pre", {"class": name, "tabindex": "0"})
    for index, line in enumerate(lines):
        if index:
            made.children.append("\n")
        made.children.extend(span(classes, words) if classes else words for classes, words in line)
    return made

"""Fonts. A PDF contains the glyphs that it uses, so every viewer shows the same.

Loading the library takes longer than a start of the function, so only code that makes a PDF imports this module.
"""

# The library's types are partly unknown.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import as_file, files
from itertools import groupby
from typing import Any

import msgspec
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

REGULAR, BOLD, EAST_ASIAN = "FiraSans", "FiraSansBold", "WenQuanYiMicroHei"
MISSING = "\N{REPLACEMENT CHARACTER}"
"""Stands for a character that no font has, or that the library cannot arrange."""

_FILES: Mapping[str, tuple[str, str]] = {
    REGULAR: ("fontpkg_fira_sans", "files/FiraSans-Regular.ttf"),
    BOLD: ("fontpkg_fira_sans", "files/FiraSans-Bold.ttf"),
    EAST_ASIAN: ("paperang_p2_fonts_cjk", "fonts/wqy-microhei.ttc"),
}
"""Packages of the layer, with the file in each."""
_CONTROLS = ("Cc", "Cf")
"""Categories of characters that show nothing, such as marks of direction."""
_SELECTOR = "VARIATION SELECTOR"


class Run(msgspec.Struct, frozen=True):
    """A part of a line in one font."""

    font: str
    text: str


def writable(text: str) -> str:
    """Return a text on one line with glyphs for each character. ``MISSING`` replaces the others."""
    words = unicodedata.normalize("NFC", " ".join(text.split()))
    return "".join(_writable(character) for character in words)


def runs(text: str, font: str) -> Iterator[Run]:
    """Split a writable text by fonts: ``font``, and the East Asian one for what only that has."""
    for chosen, part in groupby(text, lambda character: font if _has(font, character) else EAST_ASIAN):
        yield Run(_loaded(chosen), "".join(part))


def width(text: str, font: str, size: float) -> float:
    """Return the width of a writable text in points."""
    return sum(pdfmetrics.stringWidth(run.text, run.font, size) for run in runs(text, font))


def _writable(character: str) -> str:
    if unicodedata.category(character) in _CONTROLS or unicodedata.name(character, "").startswith(_SELECTOR):
        return ""
    return character if _has(REGULAR, character) or _has(EAST_ASIAN, character) else MISSING


def _has(font: str, character: str) -> bool:
    return ord(character) in _glyphs(font)


@cache
def _glyphs(font: str) -> Mapping[int, int]:
    face: Any = _font(font).face
    return face.charToGlyph


def _loaded(font: str) -> str:
    _font(font)
    return font


@cache
def _font(name: str) -> TTFont:
    """Read a font and make its name known to the library."""
    package, path = _FILES[name]
    with as_file(files(package).joinpath(path)) as file:
        font = TTFont(name, str(file))
    pdfmetrics.registerFont(font)
    return font

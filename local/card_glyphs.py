"""Draw the glyphs of the pictures of shares: `python -m local.card_glyphs` writes web/static/card-glyphs.bin.

A browser draws them once, from the DejaVu fonts of the machine, whose licence allows that. `sharing/rendering/card.py`
reads the file.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

from tests.e2e.browser import headless_chromium

TARGET = Path(__file__).resolve().parents[1] / "web" / "static" / "card-glyphs.bin"
RANGES = ((0x20, 0x7E), (0xA0, 0x17F), (0x384, 0x3CE), (0x400, 0x45F), (0x2010, 0x2026), (0x2190, 0x2193))
SIZES = {"title": "700 54px 'DejaVu Sans'", "text": "400 30px 'DejaVu Sans'"}
LEVELS = 16
DRAW = """([font, characters, levels]) => {
  const canvas = document.createElement("canvas")
  const context = canvas.getContext("2d", { willReadFrequently: true })
  context.font = font
  const { fontBoundingBoxAscent: ascent, fontBoundingBoxDescent: descent } = context.measureText("x")
  const height = Math.ceil(ascent + descent)
  return [height, characters.map((character) => {
    context.font = font
    const width = Math.ceil(context.measureText(character).width)
    canvas.width = width
    canvas.height = height
    context.font = font
    context.fillText(character, 0, Math.ceil(ascent))
    const { data } = context.getImageData(0, 0, width, height)
    const level = (at) => Math.round((data[at * 4 + 3] * (levels - 1)) / 255)
    return [width, Array.from({ length: width * height }, (_, at) => level(at))]
  })]
}"""


def main() -> None:
    """Draw all glyphs in all sizes."""
    characters = [chr(code) for first, last in RANGES for code in range(first, last + 1) if chr(code).isprintable()]
    head: dict[str, Any] = {}
    pixels = b""
    with headless_chromium() as browser:
        page = browser.new_page()
        for name, font in SIZES.items():
            height, glyphs = page.evaluate(DRAW, [font, characters, LEVELS])
            places: dict[str, tuple[int, int]] = {}
            for character, (width, coverage) in zip(characters, glyphs, strict=True):
                places[character] = (width, len(pixels))
                pixels += bytes(coverage)
            head[name] = {"height": height, "glyphs": places}
    TARGET.write_bytes(zlib.compress(json.dumps(head).encode() + b"\n" + pixels, 9))


if __name__ == "__main__":
    main()

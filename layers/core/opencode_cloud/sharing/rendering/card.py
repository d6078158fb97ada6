"""The picture of a share for chats and social networks: title, models, turns and first prompt, as a PNG.

Glyphs come from one file of bitmaps, so drawing needs neither fonts nor a library. A title in a script that the file
does not have is left out.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

import msgspec

from opencode_cloud.kit import web_assets
from opencode_cloud.kit.languages import gettext as _
from opencode_cloud.kit.languages import ngettext
from opencode_cloud.sharing.rendering.outline import MessageHead
from opencode_cloud.sharing.rendering.transcript import Transcript, model_names

WIDTH, HEIGHT = 1200, 630
GLYPHS = "card-glyphs.bin"
_MARGIN = 80
_LEVELS = 16  # of coverage of a pixel
_PAGE, _INK, _SOFT, _ACCENT = (16, 19, 23), (227, 232, 238), (152, 163, 175), (31, 111, 235)
_INKS = (_INK, _SOFT)
_NEUTRAL = "A shared session"
_BRAND = "Opencode Cloud"


class Summary(msgspec.Struct, frozen=True):
    """A share in a few words. ``prompt`` is the beginning of the first message of the user, without Markdown."""

    title: str = _NEUTRAL
    models: str = ""
    turns: int = 0
    prompt: str = ""

    @property
    def facts(self) -> str:
        """Return models and number of turns on one line."""
        turns = ngettext("%(num)s turn", "%(num)s turns", self.turns) if self.turns else ""
        return " · ".join(filter(None, (self.models, turns)))

    @property
    def description(self) -> str:
        """Return all but the title on one line."""
        return " · ".join(filter(None, (self.facts, self.prompt))) or _("A session of the coding agent opencode.")


def summarize(transcript: Transcript, heads: Sequence[MessageHead]) -> Summary:
    """Return a share in a few words. ``heads`` are all its messages."""
    names = model_names(transcript.models)
    used = {head.model: None for head in heads if head.model}  # a set that keeps its order
    models = [names.get(model, model) for model in used or names]
    prompts = [head for head in heads if head.role == "user"]
    listed = models[0] if models else ""
    if len(models) > 1:
        listed = _("%(model)s and %(number)s more", model=listed, number=len(models) - 1)
    return Summary(transcript.title, listed, len(prompts), prompts[0].words if prompts else "")


class _Size(msgspec.Struct):
    """Glyphs of one size: for each character its width, and the place of its rows in the file."""

    height: int
    glyphs: Mapping[str, tuple[int, int]]


class _Head(msgspec.Struct):
    title: _Size
    text: _Size


@lru_cache(maxsize=1)
def _font() -> tuple[_Head, bytes]:
    asset = web_assets.static_asset(GLYPHS)
    if asset is None:
        raise LookupError(f"{GLYPHS} is not among the static files")
    head, _, pixels = zlib.decompress(asset.body).partition(b"\n")
    return msgspec.json.decode(head, type=_Head), pixels


def render_card(summary: Summary) -> bytes:
    """Draw the picture of a share."""
    head, pixels = _font()
    rows = [bytearray(WIDTH) for _ in range(HEIGHT)]
    _fill(rows, 0, 0, WIDTH, 12)
    title = summary.title if _known(summary.title, head.title) else _NEUTRAL
    top = _MARGIN
    for words in _wrapped(title, head.title, 3):
        _draw(rows, words, head.title, pixels, _MARGIN, top, 0)
        top += head.title.height
    prompt = summary.prompt if _known(summary.prompt, head.text) else ""
    top += 24
    for words in _wrapped(prompt, head.text, 3):
        _draw(rows, words, head.text, pixels, _MARGIN, top, 1)
        top += head.text.height
    bottom = HEIGHT - _MARGIN - head.text.height
    _draw(rows, _BRAND, head.text, pixels, _MARGIN, bottom, 0)
    room = WIDTH - 3 * _MARGIN - _width(_BRAND, head.text)
    facts = _cut(summary.facts, head.text, room, more=False) if _known(summary.facts, head.text) else ""
    _draw(rows, facts, head.text, pixels, WIDTH - _MARGIN - _width(facts, head.text), bottom, 1)
    return _png(rows)


def _known(words: str, size: _Size) -> bool:
    return all(character in size.glyphs for character in words)


def _width(words: str, size: _Size) -> int:
    return sum(size.glyphs[character][0] for character in words)


def _wrapped(words: str, size: _Size, most: int) -> Iterator[str]:
    """Break words into at most ``most`` lines; the last one ends with an ellipsis if there is more."""
    room = WIDTH - 2 * _MARGIN
    lines = [""]
    for word in words.split(" "):
        longer = f"{lines[-1]} {word}".strip(" ")
        if _width(longer, size) <= room:
            lines[-1] = longer
        else:
            lines.append(word)
    lines = [each for each in lines if each]
    for number, each in enumerate(lines[:most], start=1):
        yield _cut(each, size, room, more=number == most < len(lines))


def _cut(words: str, size: _Size, room: int, *, more: bool) -> str:
    if not more and _width(words, size) <= room:
        return words
    while words and _width(f"{words}…", size) > room:
        words = words[:-1]
    return f"{words}…"


def _draw(rows: Sequence[bytearray], words: str, size: _Size, pixels: bytes, left: int, top: int, ink: int) -> None:
    first = 1 + ink * _LEVELS
    shades = bytes(0 if level == 0 else min(first + level, 255) for level in range(256))
    for character in words:
        width, at = size.glyphs[character]
        for row in range(size.height):
            begin = at + row * width
            rows[top + row][left : left + width] = pixels[begin : begin + width].translate(shades)
        left += width


def _fill(rows: Sequence[bytearray], left: int, top: int, width: int, height: int) -> None:
    for row in rows[top : top + height]:
        row[left : left + width] = bytes([1 + len(_INKS) * _LEVELS]) * width


def _palette() -> bytes:
    shades = [_PAGE, *(_mixed(ink, level) for ink in _INKS for level in range(_LEVELS)), _ACCENT]
    return b"".join(bytes(shade) for shade in shades)


def _mixed(ink: Sequence[int], level: int) -> tuple[int, ...]:
    part = level / (_LEVELS - 1)
    return tuple(round(page + (full - page) * part) for page, full in zip(_PAGE, ink, strict=True))


def _png(rows: Sequence[bytearray]) -> bytes:
    head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 3, 0, 0, 0)
    packed = zlib.compress(b"".join(b"\0" + row for row in rows), 6)
    chunks = ((b"IHDR", head), (b"PLTE", _palette()), (b"IDAT", packed), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

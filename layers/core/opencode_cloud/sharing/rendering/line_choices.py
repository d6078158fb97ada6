"""The changes and blocks of a window as choices of a form, by which members comment on lines without scripts."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qsl, urlencode

import msgspec

from opencode_cloud.kit.languages import gettext as _
from opencode_cloud.kit.languages import ngettext
from opencode_cloud.sharing.protocol.comments import DiffSide, unknown_place
from opencode_cloud.sharing.rendering.blocks import Tool, block
from opencode_cloud.sharing.rendering.changed_lines import changes_in
from opencode_cloud.sharing.rendering.lenient import line
from opencode_cloud.sharing.rendering.outline import MessageWindow
from opencode_cloud.sharing.rendering.patches import FilePatch
from opencode_cloud.sharing.rendering.shown_text import blocks_in
from opencode_cloud.sharing.rendering.transcript import TranscriptEntry
from opencode_cloud.sharing.rendering.views import patch_of

MOST_CHOICES = 200
"""The most choices: the newest changes and blocks of the page. A longer list would make the page heavy."""
_LONGEST_WORDS = 60  # characters
_MAY_HOLD_CODE = (b"```", b"~~~", b"\\n    ", b"\\n\\t", b'"tool"')


class LinePlace(msgspec.Struct, frozen=True, kw_only=True):
    """A side of a change, or a block, of one item."""

    item: str
    side: DiffSide
    change: int
    file: str = ""


def written(place: LinePlace) -> str:
    """Return a place as the value of a form's field."""
    return urlencode(msgspec.to_builtins(place))


def read(value: str) -> LinePlace:
    """Return the place of a form's field. Raises ``invalid_lines`` (400) for another text."""
    fields = dict(parse_qsl(value, keep_blank_values=True, max_num_fields=4) if value.count("&") < 4 else ())
    try:
        return msgspec.convert(fields, LinePlace, strict=False)
    except msgspec.ValidationError:
        raise unknown_place() from None


def line_choices(window: MessageWindow) -> list[tuple[str, str]]:
    """Return the places of a window whose lines a comment may be about: the values of a field, and words for them."""
    return [(written(place), words) for place, words in _all(window)][-MOST_CHOICES:]


def _all(window: MessageWindow) -> Iterator[tuple[LinePlace, str]]:
    transcript = window.transcript
    if transcript.diff and transcript.diff.inline:
        yield from _changes(transcript.diff.key, [patch_of(diff) for diff in transcript.diffs], "")
    for position, message in enumerate(transcript.messages, start=window.first + 1):
        entries = [message.entry] if message.entry else []
        for entry in [*entries, *message.parts]:
            if entry.inline:
                yield from _of_entry(entry, f"{position}. ")


def _of_entry(entry: TranscriptEntry, before: str) -> Iterator[tuple[LinePlace, str]]:
    value = entry.value
    yield from _changes(entry.key, changes_in(entry.key, value), before)
    if not entry.key.startswith("part/") or not any(mark in entry.raw for mark in _MAY_HOLD_CODE):
        return
    shown = block(value)
    name = f"{shown.name}: " if isinstance(shown, Tool) else ""
    for number, lines in enumerate(blocks_in(entry.key, value), start=1):
        first = line(next(filter(str.strip, lines), ""), _LONGEST_WORDS)
        count = ngettext("%(num)s line", "%(num)s lines", len(lines))
        place = LinePlace(item=entry.key, side=DiffSide.TEXT, change=number)
        yield place, f"{before}{name}{first} ({count})"


def _changes(key: str, changes: list[FilePatch], before: str) -> Iterator[tuple[LinePlace, str]]:
    seen: dict[str, int] = {}
    for change in [each for each in changes if each.lines]:
        number = seen[change.file] = seen.get(change.file, 0) + 1
        name = line(change.file, 200) or _("unnamed file")
        place = LinePlace(item=key, side=DiffSide.NEW, change=number, file=change.file)
        if any(each.new for each in change.lines):
            yield place, before + _("%(file)s, after the change", file=name)
        if any(each.old for each in change.lines):
            old = msgspec.structs.replace(place, side=DiffSide.OLD)
            yield old, before + _("%(file)s, before the change", file=name)

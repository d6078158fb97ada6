"""Lines of changes and of blocks on which members comment: finding them, and whether they are still there."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from opencode_cloud.kit.errors import BadRequest
from opencode_cloud.sharing.protocol.comments import (
    LONGEST_QUOTE,
    Comment,
    CommentedLines,
    DiffSide,
    WantedLines,
    lines_changed,
)
from opencode_cloud.sharing.rendering.changed_lines import changes_in, text_of
from opencode_cloud.sharing.rendering.lenient import decode
from opencode_cloud.sharing.rendering.shown_text import block_text, blocks_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from opencode_cloud.sharing.models import Item
    from opencode_cloud.sharing.rendering.patches import FilePatch
    from opencode_cloud.sharing.rendering.transcript import TranscriptEntry
    from opencode_cloud.sharing.service.windows import Conversation


T = TypeVar("T")


class LineFinder:
    """Finds lines in the present state of some items of a conversation, which are read together."""

    def __init__(
        self, conversation: Conversation, keys: Iterable[str], fill: Callable[[Sequence[Item]], Sequence[Item]]
    ) -> None:
        """``fill`` returns items with the bodies that are stored elsewhere."""
        self._entries = conversation.entries(keys, fill)
        self._changes: dict[str, Sequence[FilePatch]] = {}
        self._blocks: dict[str, Sequence[Sequence[str]]] = {}

    def find(self, item: str, wanted: WantedLines, redacted: Callable[[str], str]) -> CommentedLines:
        """Return the lines with their text, from which ``redacted`` removes secrets.

        Raises ``invalid_lines`` (400) for lines that the page does not show, and ``lines_changed`` (409) if their text
        is another one than the quote of ``wanted``.
        """
        text = self._text(item, wanted)
        if wanted.quote is not None and text[:LONGEST_QUOTE] != wanted.quote[:LONGEST_QUOTE]:
            raise lines_changed()
        text = redacted(text)  # as a rescan will leave it, if the change was stored before the rules knew a secret
        return CommentedLines(
            file="" if wanted.side is DiffSide.TEXT else wanted.file,
            first=wanted.first,
            last=wanted.last or wanted.first,
            side=wanted.side,
            change=wanted.change,
            quote=text[:LONGEST_QUOTE],
            length=len(text),
        )

    def checked(self, comment: Comment) -> Comment:
        """Return a comment that tells whether its lines are outdated."""
        lines = comment.lines
        if lines is None or self._shows(comment.item, lines):
            return comment
        return msgspec.structs.replace(comment, lines=msgspec.structs.replace(lines, outdated=True))

    def _shows(self, item: str, lines: CommentedLines) -> bool:
        wanted = WantedLines(file=lines.file, first=lines.first, last=lines.last, side=lines.side, change=lines.change)
        try:
            return lines.is_of(self._text(item, wanted))
        except BadRequest:
            return False

    def _text(self, item: str, wanted: WantedLines) -> str:
        if wanted.side is DiffSide.TEXT:
            return block_text(self._read(item, self._blocks, blocks_in), wanted)
        return text_of(self._read(item, self._changes, changes_in), wanted)

    def _read(
        self, item: str, known: dict[str, Sequence[T]], read: Callable[[str, object], Sequence[T]]
    ) -> Sequence[T]:
        """Return what the page shows of an item, which is read once for all comments on it."""
        if item not in known:
            entry = self._entries.get(item)
            known[item] = read(item, _data(entry)) if entry else ()
        return known[item]


def _data(entry: TranscriptEntry) -> object:
    return decode(entry.raw) if entry.decoded is None else entry.decoded

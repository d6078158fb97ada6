"""The lines of changes that a page shows with numbers, as comments name them. `web/static/lines.js` finds the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from opencode_cloud.sharing.protocol.comments import (
    MOST_LINES,
    DiffSide,
    WantedLines,
    no_changes,
    too_many_lines,
    unknown_file,
    unknown_line,
)
from opencode_cloud.sharing.rendering.blocks import Tool, block, diffs
from opencode_cloud.sharing.rendering.lenient import mapping
from opencode_cloud.sharing.rendering.patches import FilePatch
from opencode_cloud.sharing.rendering.tools import changes_of
from opencode_cloud.sharing.rendering.views import patch_of


def changes_in(key: str, value: object) -> list[FilePatch]:
    """Return the changes of files that a page shows of the item with this key, in their order.

    ``value`` is the item's data. Items that are no message, no part and not the changes of the session show none.
    """
    match key.partition("/")[0]:
        case "session_diff":
            return [patch_of(diff) for diff in diffs(value)]
        case "message":
            return [patch_of(diff) for diff in diffs(mapping(mapping(value).get("summary")).get("diffs"))]
        case "part":
            shown = block(mapping(value))
            return changes_of(shown) if isinstance(shown, Tool) else []
        case _:
            return []


def text_of(changes: Sequence[FilePatch], wanted: WantedLines) -> str:
    """Return the text of lines of one of ``changes``.

    Raises ``invalid_lines`` (400) for lines that the page does not show, and for too many.
    """
    last = wanted.last or wanted.first
    if not 0 <= last - wanted.first < MOST_LINES:
        raise too_many_lines()
    if not changes:
        raise no_changes()
    same = [change for change in changes if change.lines and change.file == wanted.file]
    if not 0 < wanted.change <= len(same):
        raise unknown_file()
    shown = _lines(same[wanted.change - 1], wanted.side)
    numbers = range(wanted.first, last + 1)
    for number in numbers:
        if number not in shown:
            raise unknown_line(number, wanted.side)
    return "\n".join(shown[number] for number in numbers)


def _lines(change: FilePatch, side: DiffSide) -> Mapping[int, str]:
    """Return the numbered lines of one side. Where a patch shows a number twice, its first line counts."""
    shown: dict[int, str] = {}
    for line in change.lines:
        if number := line.old if side is DiffSide.OLD else line.new:
            shown.setdefault(number, line.text)
    return shown

"""Comments on shares: the model, and the errors of its rules."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from opencode_cloud.contracts.ids import CommentId
from opencode_cloud.kit.errors import BadRequest, Conflict, Forbidden, NotFound
from opencode_cloud.kit.marked_messages import gettext_noop

LONGEST_COMMENT = 4000  # characters
MOST_COMMENTS = 1000  # of one share
MOST_COMMENT_BYTES = 800_000  # of one share, as JSON: all are in its page, and an answer has at most 6 MB
MOST_LINES = 50  # of one comment
LONGEST_QUOTE = 2000  # characters; mostly all of the lines, so that a later change is noticed


class DiffSide(StrEnum):
    """The side of a change: the file before it, or after it. Or no change: a block of code or output."""

    OLD = "old"
    NEW = "new"
    TEXT = "text"
    """The numbers count the lines of a block from 1, and ``change`` is the number of the block in its part, from 1."""


class WantedLines(msgspec.Struct, frozen=True, kw_only=True):
    """Lines of a change, or of a block of code or output, on which a member comments."""

    file: str
    """The name as the page shows it; empty if the change names no file, and for a block."""
    first: int
    last: int = 0
    """The last line; 0: the first line alone."""
    side: DiffSide = DiffSide.NEW
    change: int = 1
    """The number of the change, from 1, where the message or part changes the file several times."""
    quote: str | None = None
    """The beginning of the text that the member saw. A comment on other text is refused."""


class CommentedLines(msgspec.Struct, frozen=True, kw_only=True):
    """The lines of a change or of a block that a comment is about, as they were at its time."""

    file: str
    first: int
    last: int
    side: DiffSide
    change: int
    quote: str
    """The beginning of their text, at most :data:`LONGEST_QUOTE` characters. Secrets in it are replaced."""
    length: int
    """Characters of their text."""
    outdated: bool = False
    """Whether the change shows another text there, or no such lines. Found at each read; stored as False."""

    def is_of(self, text: str) -> bool:
        """Tell whether ``text`` is the text of the lines at the time of the comment."""
        return len(text) == self.length and text[:LONGEST_QUOTE] == self.quote


class Comment(msgspec.Struct, frozen=True, kw_only=True):
    """A remark of a member of the workspace on a message or a part of a share, or on the share as a whole."""

    id: CommentId
    item: str = ""
    """The key of the message or part, such as ``part/msg_1/prt_2``; empty: the share."""
    author: str
    """The id of the account or service account. Readers see the name only."""
    name: str
    text: str
    created_at: int
    """Milliseconds since the epoch."""
    resolved: bool = False
    lines: CommentedLines | None = None
    """The lines of a change in the item; None: the item as a whole."""

    def public(self) -> dict[str, Any]:
        """Return the comment as readers get it. The id of its author stays here."""
        return {name: value for name, value in msgspec.to_builtins(self).items() if name != "author"}


def comments_off() -> Forbidden:
    """Return the error for a comment on a share whose owner has not turned comments on."""
    return Forbidden("comments_off", "This share takes no comments. Its owner can turn them on.")


def invalid_comment() -> BadRequest:
    """Return the error for a comment without text, or with too much of it."""
    return BadRequest("invalid_comment", f"A comment has 1 to {LONGEST_COMMENT:,} characters.")


def too_many_lines() -> BadRequest:
    """Return the error for a range of lines that is empty or too long."""
    return BadRequest("invalid_lines", f"Name 1 to {MOST_LINES} lines, with the first one before the last one.")


def no_changes() -> BadRequest:
    """Return the error for lines of a message or part that shows no changes, or that is not there."""
    return BadRequest(
        "invalid_lines", gettext_noop("This message or part shows no changes of files. Comment on it as a whole.")
    )


def unknown_file() -> BadRequest:
    """Return the error for a file that the message or part does not change, or not so often."""
    return BadRequest("invalid_lines", "This message or part shows no such change. Name the file as the page shows it.")


def unknown_line(number: int, side: DiffSide) -> BadRequest:
    """Return the error for a line that a change does not show."""
    return BadRequest("invalid_lines", f"The change shows no line {number} on its {side} side. Name lines of the page.")


def no_text() -> BadRequest:
    """Return the error for lines of a part that shows no code or output, or that is not there."""
    return BadRequest("invalid_lines", gettext_noop("This part shows no code or output. Comment on it as a whole."))


def unknown_block(number: int) -> BadRequest:
    """Return the error for a block that a part does not show. It shows ``number`` of them."""
    return BadRequest("invalid_lines", f"This part shows {number} blocks of code and output. Count them from 1.")


def unknown_text_line(number: int, most: int) -> BadRequest:
    """Return the error for a line that a block does not have."""
    return BadRequest("invalid_lines", f"The block has no line {number}. Its lines have the numbers 1 to {most}.")


def unknown_place() -> BadRequest:
    """Return the error for a form whose place is none of the choices, or whose lines are no numbers."""
    return BadRequest("invalid_lines", gettext_noop("Choose a place of the list, and give its lines as numbers."))


def lines_changed() -> Conflict:
    """Return the error for lines that have another text than the member saw."""
    return Conflict(
        "lines_changed", gettext_noop("These lines have changed since you read them. Read them again, then comment.")
    )


def comment_not_found() -> NotFound:
    """Return the error for an id that no comment of the share has."""
    return NotFound("comment_not_found", "The share has no comment with this id.")


def too_many_comments() -> Conflict:
    """Return the error for a share that has as many comments as it may have, or as much text in them."""
    return Conflict(
        "too_many_comments",
        f"A share has at most {MOST_COMMENTS:,} comments with {MOST_COMMENT_BYTES // 1000} KB. Delete some first.",
    )

"""Comments on shares: the model, and the errors of its rules."""

from __future__ import annotations

from typing import Any

import msgspec

from opencode_cloud.contracts.ids import CommentId
from opencode_cloud.kit.errors import BadRequest, Conflict, Forbidden, NotFound

LONGEST_COMMENT = 4000  # characters
MOST_COMMENTS = 1000  # of one share


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

    def public(self) -> dict[str, Any]:
        """Return the comment as readers get it. The id of its author stays here."""
        return {name: value for name, value in msgspec.to_builtins(self).items() if name != "author"}


def comments_off() -> Forbidden:
    """Return the error for a comment on a share whose owner has not turned comments on."""
    return Forbidden("comments_off", "This share takes no comments. Its owner can turn them on.")


def invalid_comment() -> BadRequest:
    """Return the error for a comment without text, or with too much of it."""
    return BadRequest("invalid_comment", f"A comment has 1 to {LONGEST_COMMENT:,} characters.")


def comment_not_found() -> NotFound:
    """Return the error for an id that no comment of the share has."""
    return NotFound("comment_not_found", "The share has no comment with this id.")


def too_many_comments() -> Conflict:
    """Return the error for a share that has as many comments as it may have."""
    return Conflict("too_many_comments", f"A share has at most {MOST_COMMENTS:,} comments. Delete some first.")

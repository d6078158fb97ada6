"""Comments on a share: in its page, its Markdown and its JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec
from jinja2 import Environment
from markupsafe import Markup

from opencode_cloud.kit.languages import gettext as _
from opencode_cloud.sharing.protocol.comments import LONGEST_COMMENT, Comment
from opencode_cloud.sharing.rendering.markdown import quote
from opencode_cloud.sharing.rendering.transcript import moment


class CommentsView(msgspec.Struct, frozen=True, kw_only=True):
    """The comments of a share as one reader sees them."""

    comments: Sequence[Comment]
    action: str
    """The path to which forms are sent."""
    writer: str = ""
    """The id of the member who reads, and may comment; empty for other readers."""
    governs: bool = False
    """Whether the reader may delete the comments of others."""
    token: str = ""
    problem: str = ""
    """The reason for which the last form was refused, and ``draft`` its text."""
    draft: str = ""


def render_comments(environment: Environment, view: CommentsView, choices: Sequence[tuple[str, str]]) -> Markup:
    """Write the section of comments. ``choices`` are the keys of messages, and the words for them."""
    template = environment.get_template("comments.html")
    return Markup(template.render(view=view, choices=choices, longest=LONGEST_COMMENT))  # noqa: S704 - it escapes


def render_comment_list(environment: Environment, view: CommentsView) -> Markup:
    """Write the list of comments alone."""
    return Markup(environment.get_template("comment_list.html").render(view=view))  # noqa: S704 - it escapes


def place(item: str) -> str:
    """Return the words for the place of a comment."""
    kind, *ids = item.split("/")
    match kind:
        case "message" if ids:
            return _("message %(id)s", id=ids[-1])
        case "part" if ids:
            return _("part %(id)s", id=ids[-1])
        case other:
            return f"{other} {ids[-1]}" if ids else other


def comments_as_markdown(comments: Iterable[Comment]) -> Iterator[str]:
    """Yield the comments as paragraphs of Markdown, after a heading; nothing without comments."""
    for position, comment in enumerate(comments):
        if position == 0:
            yield "## Comments"
        state = " (resolved)" if comment.resolved else ""
        where = f" on {place(comment.item)}" if comment.item else ""
        yield quote(f"{comment.name}, {moment(comment.created_at)}{where}{state}:\n\n{comment.text}")

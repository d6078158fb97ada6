"""Comments on a share: in its page, its Markdown and its JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import urlencode

import msgspec
from jinja2 import Environment
from markupsafe import Markup

from opencode_cloud.kit.languages import gettext as _
from opencode_cloud.sharing.protocol.comments import LONGEST_COMMENT, MOST_LINES, Comment, CommentedLines, DiffSide
from opencode_cloud.sharing.rendering.markdown import code, fence, quote
from opencode_cloud.sharing.rendering.transcript import moment
from opencode_cloud.sharing.rendering.views import message_anchor, part_anchor


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

    @property
    def page(self) -> str:
        """Return the path of the share's page."""
        return self.action.removesuffix("/comments")


def render_comments(
    environment: Environment,
    view: CommentsView,
    choices: Sequence[tuple[str, str]],
    places: Sequence[tuple[str, str]],
) -> Markup:
    """Write the section of comments.

    ``choices`` are the keys of messages, and the words for them. ``places`` are those of changes and blocks.
    """
    template = environment.get_template("comments.html")
    values = {"view": view, "choices": choices, "places": places, "longest": LONGEST_COMMENT, "most_lines": MOST_LINES}
    return Markup(template.render(values))  # noqa: S704 - it escapes


def render_comment_list(environment: Environment, view: CommentsView) -> Markup:
    """Write the list of comments alone."""
    return Markup(environment.get_template("comment_list.html").render(view=view))  # noqa: S704 - it escapes


def lines_in_words(lines: CommentedLines, file: str = "") -> str:
    """Return the words for the lines that a comment is about. ``file`` stands for the name of their file."""
    values = {"line": lines.first, "end": lines.last, "file": file or lines.file or _("unnamed file")}
    match lines.side, lines.first == lines.last:
        case DiffSide.NEW, True:
            return _("line %(line)s of %(file)s", **values)
        case DiffSide.NEW, False:
            return _("lines %(line)s to %(end)s of %(file)s", **values)
        case DiffSide.TEXT, True:
            return _("line %(line)s of block %(number)s", line=lines.first, number=lines.change)
        case DiffSide.TEXT, False:
            return _(
                "lines %(line)s to %(end)s of block %(number)s", line=lines.first, end=lines.last, number=lines.change
            )
        case _, True:
            return _("old line %(line)s of %(file)s", **values)
        case _:
            return _("old lines %(line)s to %(end)s of %(file)s", **values)


def reference(item: str) -> str:
    """Return the end of the address that shows an item without scripts: the query and the fragment."""
    kind, _slash, cursor = item.partition("/")
    if kind == "session_diff":
        return "#changes"
    return f"?{urlencode({'at': cursor})}#{part_anchor(item) if kind == 'part' else message_anchor(cursor)}"


def place(item: str) -> str:
    """Return the words for the item that a comment is about."""
    kind, *ids = item.split("/")
    match kind:
        case "session_diff":
            return _("the files changed")
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
        lines = comment.lines
        where = f" on {place(comment.item)}" if comment.item else ""
        if lines:
            where = f" on {lines_in_words(lines, code(lines.file or 'unnamed file'))}, {place(comment.item)}"
        states = {"outdated": bool(lines and lines.outdated), "resolved": comment.resolved}
        state = ", ".join(name for name, holds in states.items() if holds)
        head = f"{comment.name}, {moment(comment.created_at)}{where}{f' ({state})' if state else ''}:"
        yield quote("\n\n".join([head, *([fence(lines.quote)] if lines else []), comment.text]))

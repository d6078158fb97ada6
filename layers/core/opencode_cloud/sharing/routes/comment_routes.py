"""The HTTP routes of comments (docs/protocol.md, "Comments"). Forms and programs use the same addresses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from opencode_cloud.contracts.ids import CommentId, ShareId
from opencode_cloud.http.requests import (
    SESSION_COOKIE,
    check_form_token,
    check_same_origin,
    cookie,
    form_fields,
    form_token,
)
from opencode_cloud.kit import http_events
from opencode_cloud.kit.errors import ServiceError
from opencode_cloud.kit.http_events import HttpReply
from opencode_cloud.kit.http_routes import HttpRoutes
from opencode_cloud.sharing.protocol.comments import Comment, WantedLines, unknown_place
from opencode_cloud.sharing.routes.visitors import visitor_of
from opencode_cloud.sharing.service.owning import governs, owner_of

if TYPE_CHECKING:
    from opencode_cloud.sharing.models import Share
    from opencode_cloud.sharing.rendering.comments import CommentsView
    from opencode_cloud.sharing.service.access import Visitor
    from opencode_cloud.sharing.service.commenting import Commenting
    from opencode_cloud.sharing.service.windows import Conversation

FORM = "application/x-www-form-urlencoded"
MOST_FIELDS = 20
LONGEST_NUMBER = 9
"""Digits of the number of a line."""


class _Written(msgspec.Struct):
    text: str
    item: str = ""
    lines: WantedLines | None = None


class _Resolution(msgspec.Struct):
    resolved: bool


class CommentRoutes:
    """Reads and writes comments over HTTP."""

    def __init__(self, commenting: Commenting, key: Callable[[], str]) -> None:
        """``key`` returns the deployment's key, from which tokens of forms are made."""
        self._commenting = commenting
        self._key = key

    def mount(self, app: HttpRoutes) -> None:
        """Add every route to ``app``."""
        self._event = app.event
        app.get("/share/<share_id>/comments")(self.read)
        app.post("/share/<share_id>/comments")(self.write)
        app.post("/share/<share_id>/comments/<comment_id>")(self.resolve)
        app.delete("/share/<share_id>/comments/<comment_id>")(self.delete)

    def of(self, share_id: ShareId, visitor: Visitor) -> Sequence[Comment]:
        """Return the comments of a share to a reader. Raises as :meth:`Commenting.read` does."""
        return self._commenting.read(share_id, visitor)[1]

    def beside(self, conversation: Conversation) -> Sequence[Comment]:
        """Return the comments of a share whose conversation a reader has opened."""
        return self._commenting.of(conversation.share, lambda: conversation)

    def read(self, share_id: ShareId) -> HttpReply:
        """``GET /share/{id}/comments`` -> ``{comments}``, or the list as HTML for the page's script."""
        event = self._event()
        visitor = visitor_of(event, share_id)
        share, comments = self._commenting.read(share_id, visitor)
        if "text/html" not in http_events.header(event, "accept"):
            return self._json({"comments": [each.public() for each in comments]})
        from opencode_cloud.sharing.routes.reader_pages import comment_list  # slow to import, and no sync needs it

        view = self.view(event, share, visitor, comments)
        if view is None:
            return http_events.reply(event, b"", "text/html; charset=utf-8")
        return comment_list(event, view)

    def write(self, share_id: ShareId) -> HttpReply:
        """``POST /share/{id}/comments {text, item?, lines?}`` -> 201 ``{comment}``; a form leads back to the page."""
        event = self._event()
        check_same_origin(event)
        visitor = visitor_of(event, share_id)
        if not http_events.header(event, "content-type").startswith(FORM):
            written = http_events.decode_body(event, _Written)
            comment = self._commenting.add(share_id, visitor, written.item, written.text, written.lines)
            return self._json({"comment": comment.public()}, HTTPStatus.CREATED)
        try:
            fields = form_fields(event, MOST_FIELDS)
            check_form_token(self._key(), cookie(event, SESSION_COOKIE), _action(share_id), _one(fields, "token"))
            self._take(share_id, visitor, fields)
        except ServiceError as error:
            from opencode_cloud.sharing.routes.reader_pages import refused_form  # slow to import

            return refused_form(event, share_id, error)
        return http_events.redirect(f"/share/{share_id}#comments", HTTPStatus.SEE_OTHER)

    def _take(self, share_id: ShareId, visitor: Visitor, fields: Mapping[str, Sequence[str]]) -> None:
        comment_id = CommentId(_one(fields, "comment"))
        match _one(fields, "action"):
            case "delete":
                self._commenting.delete(share_id, visitor, comment_id)
            case "resolve" | "reopen" as action:
                self._commenting.resolve(share_id, visitor, comment_id, resolved=action == "resolve")
            case "add_lines":
                self._add_lines(share_id, visitor, fields)
            case _:
                self._commenting.add(share_id, visitor, _one(fields, "item"), _one(fields, "text"))

    def _add_lines(self, share_id: ShareId, visitor: Visitor, fields: Mapping[str, Sequence[str]]) -> None:
        from opencode_cloud.sharing.rendering.line_choices import read  # slow to import, and no sync needs it

        place = read(_one(fields, "place"))
        first, last = (_line(_one(fields, name)) for name in ("first", "last"))
        wanted = WantedLines(file=place.file, first=first, last=last, side=place.side, change=place.change)
        self._commenting.add(share_id, visitor, place.item, _one(fields, "text"), wanted)

    def resolve(self, share_id: ShareId, comment_id: CommentId) -> HttpReply:
        """``POST /share/{id}/comments/{comment} {resolved}`` -> ``{comment}``."""
        event = self._event()
        check_same_origin(event)
        resolved = http_events.decode_body(event, _Resolution).resolved
        visitor = visitor_of(event, share_id)
        comment = self._commenting.resolve(share_id, visitor, comment_id, resolved=resolved)
        return self._json({"comment": comment.public()})

    def delete(self, share_id: ShareId, comment_id: CommentId) -> HttpReply:
        """``DELETE /share/{id}/comments/{comment}`` -> ``{}``."""
        event = self._event()
        check_same_origin(event)
        self._commenting.delete(share_id, visitor_of(event, share_id), comment_id)
        return self._json({})

    def view(
        self, event: http_events.Event, share: Share, visitor: Visitor, comments: Sequence[Comment]
    ) -> CommentsView | None:
        """Return the comments as the reader of a request sees them; None where there are none and none can be made."""
        from opencode_cloud.sharing.rendering.comments import CommentsView  # slow to import, and no sync needs it

        # A key reads, and has no forms.
        writer = self._commenting.writer(share, visitor) if visitor.request.cookie else None
        if not comments and writer is None:
            return None
        return CommentsView(
            comments=comments,
            action=_action(share.id),
            writer=owner_of(writer) if writer else "",
            governs=bool(writer and share.ownership and governs(writer, share.ownership)),
            token=form_token(self._key(), cookie(event, SESSION_COOKIE), _action(share.id)) if writer else "",
        )

    def _json(self, value: Any, status: int = HTTPStatus.OK) -> HttpReply:
        return http_events.reply(self._event(), msgspec.json.encode(value), status=status)


def _action(share_id: ShareId) -> str:
    return f"/share/{share_id}/comments"


def _one(fields: Mapping[str, Sequence[str]], name: str) -> str:
    return (fields.get(name) or [""])[0]


def _line(value: str) -> int:
    """Return the number of a line; 0 for an empty field."""
    if not value:
        return 0
    if not value.isascii() or not value.isdigit() or len(value) > LONGEST_NUMBER:
        raise unknown_place()
    return int(value)

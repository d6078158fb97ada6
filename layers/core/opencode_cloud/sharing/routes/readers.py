"""The HTTP routes of readers: the page of a share, its documents, tickets, passwords (docs/protocol.md, "Reading")."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.http.requests import check_same_origin, form_pairs, set_cookie
from opencode_cloud.kit import http_events
from opencode_cloud.kit.content_codings import Coding
from opencode_cloud.kit.errors import (
    BadRequest,
    Forbidden,
    Gone,
    NotFound,
    ServiceError,
    TooManyRequests,
    Unauthorized,
)
from opencode_cloud.kit.http_events import HttpReply
from opencode_cloud.kit.http_routes import HttpRoutes
from opencode_cloud.kit.release import VERSION
from opencode_cloud.sharing.models import FUNCTION_MB, share_not_found
from opencode_cloud.sharing.protocol.comments import Comment
from opencode_cloud.sharing.protocol.tickets import REMEMBERED_SECONDS, UNLOCK_SECONDS, VIEW_SECONDS
from opencode_cloud.sharing.routes.comment_routes import CommentRoutes
from opencode_cloud.sharing.routes.owner_forms import OwnerForms, is_panel_error
from opencode_cloud.sharing.routes.visitors import ticket_cookie, visitor_of
from opencode_cloud.sharing.service.access import ShareAccess, Visitor
from opencode_cloud.sharing.service.reading import Redirect, ShareDocument, ShareReader

if TYPE_CHECKING:
    from opencode_cloud.sharing.routes.reader_pages import ReaderPages
    from opencode_cloud.sharing.routes.window_routes import WindowRoutes

MARKDOWN = "text/markdown; charset=utf-8"
FORM = "application/x-www-form-urlencoded"
MOST_FIELDS = 20
"""Fields of a form for a password. Reading a million of them takes seconds."""


_DOCUMENT = {**http_events.PRIVATE, "X-Content-Type-Options": "nosniff", "X-Robots-Tag": "noindex, nofollow"}
"""Headers of documents. Like pages, no search engine lists them, and no browser reads them as HTML."""


class _Unlock(msgspec.Struct):
    password: str


def document_reply(
    event: http_events.Event, document: ShareDocument | Redirect, content_type: str = "application/json"
) -> HttpReply:
    """Answer with a document, or with a redirect to it."""
    if isinstance(document, Redirect):
        return http_events.redirect(document.address)
    if document.coding is not Coding.IDENTITY:
        return http_events.reply_packed(document.body, document.coding, content_type, headers=_DOCUMENT)
    return http_events.reply(event, document.body, content_type, headers=_DOCUMENT)


class ReaderRoutes:
    """The routes of readers."""

    def __init__(
        self,
        reading: ShareReader,
        share_access: ShareAccess,
        owner_forms: OwnerForms,
        comment_routes: CommentRoutes,
        *,
        public_url: str,
        upload_mb: int = FUNCTION_MB,
    ) -> None:
        """``upload_mb`` is the size of the largest upload that this deployment takes, in megabytes."""
        self._reading = reading
        self._share_access = share_access
        self._owner_forms = owner_forms
        self._comment_routes = comment_routes
        self._public_url = public_url
        self._upload_mb = upload_mb

    def mount(self, app: HttpRoutes) -> None:
        """Add every route to ``app``."""
        self._event = app.event
        app.errors_by(self.problem)
        app.get("/share/<share_id>/items")(self.items)
        app.get("/share/<share_id>/items/<seq>")(self.item)
        app.post("/share/<share_id>/ticket")(self.ticket)
        app.post("/share/<share_id>/unlock")(self.unlock)
        app.get("/share/<share_id>/messages")(self.messages)
        app.get("/share/<share_id>/prompts")(self.prompts)
        app.get("/share/<share_id>/search")(self.search)
        app.get("/share/<share_id>/card.png")(self.card)
        app.get("/share/oembed")(self.oembed)
        app.post("/share/<share_id>/owner")(self.owner)
        app.get("/share/<share_id>")(self.page)
        app.get("/s/<share_id>")(self.short_link)
        app.get("/health")(lambda: self._json({"status": "ok", "version": VERSION}))
        app.get("/assets/<name>")(self.asset)
        app.get("/assets/<version>/<name>")(self.asset)

    def items(self, share_id: ShareId) -> HttpReply:
        """``GET /share/{id}/items?after=`` -> the items after ``after``."""
        event = self._event()
        after = _number("after", http_events.query(event, "after", "0"))
        coding = http_events.accepted_coding(event)
        return document_reply(event, self._reading.items(share_id, visitor_of(event, share_id), after, coding))

    def item(self, share_id: ShareId, seq: str) -> HttpReply:
        """``GET /share/{id}/items/{seq}`` -> one item with its body."""
        event = self._event()
        return document_reply(event, self._reading.item(share_id, visitor_of(event, share_id), _number("seq", seq)))

    def messages(self, share_id: ShareId) -> HttpReply:
        """``GET /share/{id}/messages``: see :meth:`WindowRoutes.messages`."""
        return self._windows().messages(share_id)

    def prompts(self, share_id: ShareId) -> HttpReply:
        """``GET /share/{id}/prompts``: see :meth:`WindowRoutes.prompts`."""
        return self._windows().prompts(share_id)

    def search(self, share_id: ShareId) -> HttpReply:
        """``GET /share/{id}/search``: see :meth:`WindowRoutes.search`."""
        return self._windows().search(share_id)

    def ticket(self, share_id: ShareId) -> HttpReply:
        """``POST /share/{id}/ticket`` -> ``{ticket, expires_in}``, for the socket and as ``x-share-ticket``.

        Needs credentials or a valid ticket. The ticket is null when the share needs none.
        """
        event = self._event()
        check_same_origin(event)
        ticket = self._reading.admit(share_id, visitor_of(event, share_id)).ticket()
        return self._json({"ticket": ticket or None, "expires_in": VIEW_SECONDS if ticket else None})

    def unlock(self, share_id: ShareId) -> HttpReply:
        """``POST /share/{id}/unlock {password}`` -> ``{ticket, expires_in}``; a form is redirected back to the page."""
        event = self._event()
        if not http_events.header(event, "content-type").startswith(FORM):
            password = http_events.decode_body(event, _Unlock).password
            ticket = self._unlocked(event, share_id, password)
            return self._json({"ticket": ticket or None, "expires_in": UNLOCK_SECONDS if ticket else None})
        try:
            password = dict(form_pairs(event, MOST_FIELDS)).get("password", "")
            ticket = self._unlocked(event, share_id, password)
        except (BadRequest, Forbidden, TooManyRequests) as error:
            return self._rendered().password(event, share_id, error, error.message)
        except (NotFound, Gone) as error:
            return self._rendered().refusal(event, share_id, error)
        back = http_events.redirect(f"/share/{share_id}", HTTPStatus.SEE_OTHER)
        if ticket:
            back.headers["Set-Cookie"] = set_cookie(event, ticket_cookie(share_id), ticket, REMEMBERED_SECONDS)
        return back

    def _unlocked(self, event: http_events.Event, share_id: ShareId, password: str) -> str:
        earlier = visitor_of(event, share_id).ticket
        return self._share_access.unlock(share_id, password, http_events.source_address(event), earlier)

    def page(self, share_id: ShareId) -> HttpReply:
        """``GET /share/{id}``: a page, or JSON or Markdown by suffix (``.json``, ``.md``) or by Accept."""
        event = self._event()
        name, _, suffix = share_id.partition(".")
        share_id = ShareId(name)
        kind = suffix or _preferred(event)
        visitor = visitor_of(event, share_id)
        if kind == "json":
            comments, version = self._comments(share_id, visitor)
            result = self._reading.document(
                share_id,
                visitor,
                f"document{version}",
                "application/json",
                lambda state: self._rendered().document(state, comments),
            )
            return document_reply(event, result)
        if kind == "md":
            comments, version = self._comments(share_id, visitor)
            result = self._reading.document(
                share_id,
                visitor,
                f"transcript{version}",
                MARKDOWN,
                lambda state: self._rendered().markdown(event, state, comments),
            )
            return document_reply(event, result, MARKDOWN)
        if suffix:
            raise share_not_found()
        return _switched(event) or self._html(share_id, visitor)

    def _comments(self, share_id: ShareId, visitor: Visitor) -> tuple[Sequence[Comment], str]:
        """Return the comments of a share, and a name of their state: a large document is stored under its name."""
        comments = self._comment_routes.of(share_id, visitor)
        if not comments:
            return (), ""
        return comments, "-" + hashlib.sha256(msgspec.json.encode(comments)).hexdigest()[:16]

    def owner(self, share_id: ShareId) -> HttpReply:
        """``POST /share/{id}/owner``: a form of the owner's panel; the browser goes back to the page."""
        event = self._event()
        try:
            return self._owner_forms.take(event, share_id)
        except ServiceError as error:
            if not is_panel_error(error):
                return self._rendered().refusal(event, share_id, error)
            return self._html(share_id, visitor_of(event, share_id), error)

    def _html(self, share_id: ShareId, visitor: Visitor, failed: ServiceError | None = None) -> HttpReply:
        """Answer with the page. ``failed`` is the error of a form of the owner's panel."""
        from opencode_cloud.sharing.routes.window_routes import names_window, window_of  # no sync needs it

        event = self._event()
        try:
            conversation = self._reading.conversation(share_id, visitor, is_view=not names_window(event))
        except (Gone, NotFound, Unauthorized) as error:
            return self._rendered().refusal(event, share_id, error)
        try:
            window = window_of(event, conversation)
        except NotFound:
            return http_events.redirect(f"/share/{share_id}")  # the place that the link names is not there
        share, rendered = conversation.share, self._rendered()
        sessions = self._reading.relatives(share, rendered.sessions_of(window), visitor)
        panel = self._owner_forms.panel(event, share)
        token = self._owner_forms.token(event, share_id) if panel else ""
        return rendered.session(
            event,
            conversation,
            window,
            sessions,
            self._reading.bodies_origin(),
            panel=panel,
            token=token,
            failed=failed,
            comments=self._comment_routes.view(event, share, visitor, self._comment_routes.beside(conversation)),
        )

    def card(self, share_id: ShareId) -> HttpReply:
        """``GET /share/{id}/card.png`` -> the picture for previews of links. It is neutral for restricted shares."""
        event = self._event()
        try:
            conversation = self._reading.conversation(share_id, visitor_of(event, share_id))
        except Unauthorized:
            return self._rendered().card(None)
        return self._rendered().card(None if conversation.ticket else conversation)

    def oembed(self) -> HttpReply:
        """``GET /share/oembed?url=`` -> a description of a share for programs that embed links (oembed.com)."""
        event = self._event()
        path = _path_of(http_events.query(event, "url", ""))
        share_id = ShareId(path.removeprefix("/share/"))
        if not path.startswith("/share/") or "/" in share_id or http_events.query(event, "format", "json") != "json":
            raise share_not_found()
        conversation = self._reading.conversation(share_id, visitor_of(event, share_id))
        return self._json(self._rendered().oembed(event, conversation))

    def problem(self, event: http_events.Event, error: ServiceError, correlation_id: str) -> HttpReply | None:
        """Answer an error with a page if a browser asks for one."""
        method = event["requestContext"]["http"]["method"]
        if method not in ("GET", "HEAD") or "text/html" not in http_events.header(event, "accept"):
            return None
        return _switched(event) or self._rendered().problem(event, error, correlation_id)

    def short_link(self, share_id: ShareId) -> HttpReply:
        """``GET /s/{id}``: the legacy address of a share."""
        if not share_id.isascii() or not share_id.replace("-", "").replace("_", "").isalnum():
            raise share_not_found()
        return http_events.redirect(f"/share/{share_id}")

    def asset(self, name: str, version: str = "") -> HttpReply:
        """``GET /assets/{name}``, ``/assets/{version}/{name}``: the page's module and style."""
        return self._rendered().asset(self._event(), f"{version}/{name}" if version else name)

    def _rendered(self) -> ReaderPages:
        from opencode_cloud.sharing.routes.reader_pages import ReaderPages  # slow to import, and no sync needs it

        return ReaderPages(public_url=self._public_url, upload_mb=self._upload_mb)

    def _windows(self) -> WindowRoutes:
        from opencode_cloud.sharing.routes.window_routes import WindowRoutes  # no sync needs it

        return WindowRoutes(self._reading, self._event())

    def _json(self, value: Any) -> HttpReply:
        return http_events.reply(self._event(), msgspec.json.encode(value))


def _path_of(url: str) -> str:
    """Return the path of a URL; empty for a malformed one."""
    try:
        return urlsplit(url).path
    except ValueError:  # such as an address of IPv6 without its end
        return ""


def _switched(event: http_events.Event) -> HttpReply | None:
    """Answer a request that chooses a language; None for others."""
    from opencode_cloud.http.reader_language import switch  # no sync needs it

    return switch(event)


def _preferred(event: http_events.Event) -> str:
    """Return the form that a reader asks for: browsers name text/html, programs and agents name their own type."""
    accept = http_events.header(event, "accept")
    if "text/html" in accept:
        return ""
    if "text/markdown" in accept:
        return "md"
    return "json" if "application/json" in accept else ""


def _number(name: str, value: str) -> int:
    if not value.isascii() or not value.isdigit() or len(value) > 12:
        raise BadRequest("invalid_number", f"`{name}` must be a whole number of at most 12 digits.")
    return int(value)

"""The HTML pages: a share (/share/{id}), a missing share, and what a reader needs in order to see a share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from http import HTTPStatus
from itertools import groupby
from types import MappingProxyType
from typing import TypeAlias
from urllib.parse import urlencode

import msgspec
from jinja2 import Environment
from markupsafe import Markup

from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.kit import web_assets
from opencode_cloud.kit.languages import gettext as _
from opencode_cloud.kit.marked_messages import gettext_noop
from opencode_cloud.sharing.models import CONTAINER_MB, FUNCTION_MB, OwnerPanel, Refusal
from opencode_cloud.sharing.protocol.tickets import VIEW_SECONDS
from opencode_cloud.sharing.rendering.blocks import Block, File, Note, Tool, block, size
from opencode_cloud.sharing.rendering.card import Summary, summarize
from opencode_cloud.sharing.rendering.comments import (
    CommentsView,
    lines_in_words,
    place,
    reference,
    render_comment_list,
    render_comments,
)
from opencode_cloud.sharing.rendering.line_choices import line_choices
from opencode_cloud.sharing.rendering.nodes import Node, html
from opencode_cloud.sharing.rendering.outline import INLINE, MessageHead, MessageWindow
from opencode_cloud.sharing.rendering.owner_panel import render_owner_panel
from opencode_cloud.sharing.rendering.transcript import (
    TranscriptEntry,
    TranscriptMessage,
    iso,
    missing,
    model_names,
    moment,
)
from opencode_cloud.sharing.rendering.views import (
    block_nodes,
    changes_nodes,
    context_title,
    is_context,
    message_anchor,
    part_anchor,
    part_link,
    session_link,
    session_of,
)

SILENCE_MS = 60_000  # after its creation, until an empty share is probably one whose upload was refused
NO_PANEL = Markup()
Sessions: TypeAlias = Mapping[str, ShareId]
"""The shares of sub-agents' sessions, by the sessions' pseudonyms."""
NO_SESSIONS: Sessions = MappingProxyType({})


def content_security_policy(bodies: str = "", forms: str = "'none'") -> str:
    """Return the policy of a page. ``bodies`` is the origin to which large bodies are redirected, if any.

    ``'self'`` in connect-src covers the WebSocket of the same host. The target of a redirect must be allowed by name.
    """
    connect = " ".join(filter(None, ("'self'", bodies)))
    return web_assets.content_security_policy(scripts="'self'", connect=connect, forms=forms)


CONTENT_SECURITY_POLICY = content_security_policy()
FORM_POLICY = web_assets.content_security_policy(scripts="'self'", forms="'self'")
"""The policy of a page that holds a form or plain text, and no content of a share."""
HEADERS: Mapping[str, str] = MappingProxyType(web_assets.headers(CONTENT_SECURITY_POLICY))


class _Part(msgspec.Struct, frozen=True):
    """A part in the page. With ``href`` it is a placeholder for a part that the script fetches from there."""

    entry: TranscriptEntry
    block: Block | None
    href: str
    session: Node | None = None
    """The link to the session of a sub-agent."""

    @property
    def anchor(self) -> str:
        """Return the id of the part's element."""
        return part_anchor(self.entry.key)

    @property
    def body(self) -> Markup:
        """Return the part as HTML."""
        if not self.block:
            return Markup("")
        more = [self.session] if self.session else []
        return html([*block_nodes(self.block), *more, part_link(self.entry.key)])


class _Run(msgspec.Struct, frozen=True):
    """Parts in a row. With a ``title`` they are shown as one."""

    title: str
    parts: list[_Part]


class _Message(msgspec.Struct, frozen=True):
    """A message in the page. One that ``continues`` repeats agent and model of the message before it."""

    message: TranscriptMessage
    parts: list[_Part]
    href: str
    undone: bool
    continues: bool

    @property
    def anchor(self) -> str:
        """Return the id of the message's element."""
        return message_anchor(self.message.id)

    @property
    def changes(self) -> Markup:
        """Return the changes that followed from the message as HTML."""
        return html(changes_nodes([] if self.href else self.message.diffs))

    @property
    def state(self) -> str:
        """Return the state of the message for its head."""
        return _("undone") if self.undone else _("not finished") if self.message.unfinished else ""

    @property
    def runs(self) -> list[_Run]:
        """Return the parts, with neighbours that only look at files put together."""
        runs: list[_Run] = []
        for looks, grouped in groupby(self.parts, key=lambda part: is_context(part.block)):
            parts = list(grouped)
            names = [part.block.name for part in parts if isinstance(part.block, Tool)]
            runs.append(_Run(context_title(names) if looks and len(parts) > 1 else "", parts))
        return runs


def render_share(
    share_id: ShareId,
    window: MessageWindow,
    heads: Sequence[MessageHead],
    seq: int,
    base_url: str,
    ticket: str = "",
    *,
    age_ms: int = 0,
    upload_mb: int = FUNCTION_MB,
    refusal: Refusal | None = None,
    sessions: Sessions = NO_SESSIONS,
    owner: Markup = NO_PANEL,
    comments: CommentsView | None = None,
) -> str:
    """Write the page of a share as of ``seq``: the messages of ``window``, among those that ``heads`` describe.

    Items over ``INLINE`` bytes, or stored elsewhere, are placeholders. The script sends ``ticket`` if the share is not
    public.

    ``age_ms`` is the time since the share's creation. If nothing has arrived by ``SILENCE_MS``, the page says why:
    probably, the first upload was over ``upload_mb`` megabytes (docs/decisions/030). ``refusal`` tells of updates
    that could not be stored. ``sessions`` are the shares of sub-agents. ``owner`` is the owner's panel.
    """
    transcript = window.transcript
    template = _environment().get_template("share.html")
    return template.render(
        **_shown(share_id, window, sessions),
        base=base_url.rstrip("/"),
        address=f"{base_url.rstrip('/')}/share/{share_id}",
        seq=seq,
        ticket=ticket,
        lifetime=VIEW_SECONDS,
        silent_ms=None if seq else max(0, SILENCE_MS - age_ms),
        upload_mb=upload_mb,
        container_mb=CONTAINER_MB,
        missing=missing(refusal),
        owner=owner,
        comments=_comments(comments, window) if comments else "",
        summary=Summary() if ticket else summarize(transcript, heads),
        public=not ticket,
        changes=html(changes_nodes(transcript.diffs if not _later(share_id, transcript.diff) else [])),
        later=partial(_later, share_id),
    )


def render_window(share_id: ShareId, window: MessageWindow, sessions: Sessions = NO_SESSIONS) -> str:
    """Write the messages of a window alone, with the links to those before and after them."""
    return _environment().get_template("window.html").render(**_shown(share_id, window, sessions))


def _shown(share_id: ShareId, window: MessageWindow, sessions: Sessions) -> dict[str, object]:
    """Return what the templates need to write a window."""
    transcript = window.transcript
    before: TranscriptMessage | None = None
    messages: list[_Message] = []
    for message in transcript.messages:
        parts = [_part(share_id, entry, sessions) for entry in message.parts]
        href = _later(share_id, message.entry)
        messages.append(_Message(message, parts, href, message.id in window.undone, message.continues(before)))
        before = message
    return {
        "share_id": share_id,
        "window": window,
        "transcript": transcript,
        "names": model_names(transcript.models),
        "messages": messages,
    }


def sessions_of(window: MessageWindow) -> list[str]:
    """Return the sessions that parts of a window started for sub-agents."""
    task = b'"task"'
    entries = (entry for message in window.transcript.messages for entry in message.parts if task in entry.raw)
    return [session for entry in entries if (session := session_of(entry.value))]


def owner_panel(panel: OwnerPanel, action: str, token: str, *, done: str, problem: str) -> Markup:
    """Write the owner's panel. Its forms go to ``action`` with ``token``."""
    return render_owner_panel(_environment(), panel, action, token, done=done, problem=problem)


def comment_list(view: CommentsView) -> str:
    """Write the list of a share's comments."""
    return render_comment_list(_environment(), view)


def _comments(view: CommentsView, window: MessageWindow) -> Markup:
    return render_comments(_environment(), view, _choices(window), line_choices(window) if view.writer else ())


def _choices(window: MessageWindow) -> list[tuple[str, str]]:
    """Return the messages that a comment may be about: their keys, and words for them."""
    return [
        (message.entry.key, f"{position}. {role_name(message.role)} {moment(message.created)}".rstrip())
        for position, message in enumerate(window.transcript.messages, start=window.first + 1)
        if message.entry
    ]


_ROLES = {
    "unknown": gettext_noop("Message"),
    "user": gettext_noop("User"),
    "assistant": gettext_noop("Assistant"),
    "system": gettext_noop("System"),
}


def role_name(role: str) -> str:
    """Return the words for the role of a message's author."""
    name = _ROLES.get(role)
    return _(name) if name else role.capitalize()


def render_missing() -> str:
    """Write the page for 404: no share has this address."""
    return _notice(
        _("No session here"), _("There is no shared session at this address. Check the link for typing errors.")
    )


def render_no_page() -> str:
    """Write the page for 404: the site has no page at this address."""
    words = _("There is no page at this address. Check it for typing errors, or begin at the start page.")
    return _notice(_("Page not found"), words, link="/", label=_("Start page"))


def render_gone() -> str:
    """Write the page for 410: the share has been removed or has expired."""
    return _notice(
        _("No longer shared"), _("This session is no longer shared: its owner removed it, or it has expired.")
    )


def render_problem(status: int, words: str, correlation_id: str) -> str:
    """Write the page of an error that no other page describes."""
    if status == HTTPStatus.NOT_FOUND:
        return render_no_page()
    titles = {
        HTTPStatus.TOO_MANY_REQUESTS: _("Too many requests"),
        HTTPStatus.SERVICE_UNAVAILABLE: _("Temporarily unavailable"),
    }
    title = titles.get(HTTPStatus(status), _("Something went wrong"))
    return _notice(title, _(words), reference=correlation_id if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "")


def render_refused_form(share_id: ShareId, words: str) -> str:
    """Write the page for a form of a share's page that was refused."""
    return _notice(_("Nothing was changed"), _(words), link=f"/share/{share_id}", label=_("Back to the session"))


def render_sign_in(share_id: ShareId) -> str:
    """Write the page for 401: the share is for members of a workspace."""
    return _notice(
        _("Sign in to see this session"),
        _("This session is shared with the members of a workspace only."),
        link=f"/login?{urlencode({'continue': f'/share/{share_id}'})}",
        label=_("Sign in"),
    )


def render_password(share_id: ShareId, problem: str = "") -> str:
    """Write the page for 401 that asks for the share's password. ``problem`` describes the last failure."""
    return (
        _environment()
        .get_template("password.html")
        .render(
            action=f"/share/{share_id}/unlock",
            login=f"/login?{urlencode({'continue': f'/share/{share_id}'})}",
            problem=_(problem),
        )
    )


TEMPLATES = (
    "base.html",
    "comment_list.html",
    "comments.html",
    "components.html",
    "message.html",
    "notice.html",
    "owner.html",
    "password.html",
    "share.html",
    "window.html",
)
"""The templates of the pages of sharing. Other templates in the folder need filters of other features."""


def prepare() -> None:
    """Compile the templates now. A function that does so at start-up answers its first request sooner."""
    for name in TEMPLATES:
        _environment().get_template(name)


def _notice(title: str, words: str, link: str = "/", label: str = "", reference: str = "") -> str:
    return (
        _environment()
        .get_template("notice.html")
        .render(title=title, words=words, link=link, label=label or _("Home"), reference=reference)
    )


def _part(share_id: ShareId, entry: TranscriptEntry, sessions: Sessions) -> _Part:
    href = _later(share_id, entry)
    if not href:
        session = session_of(entry.value) if sessions else ""
        link = session_link(session, f"/share/{sessions[session]}") if session in sessions else None
        return _Part(entry, block(entry.value), "", link)
    shown = block(entry.value) if entry.inline else None
    if isinstance(shown, File):
        return _Part(entry, File(shown.name, shown.mime, shown.bytes, ""), href)
    return _Part(entry, Note(_large(entry)), href)


def _large(entry: TranscriptEntry) -> str:
    return _("Large part (%(size)s)", size=size(len(entry.raw))) if entry.inline else _("Large part")


def _later(share_id: ShareId, entry: TranscriptEntry | None) -> str:
    """Return the address from which the script fetches an item that is too large for the page; empty for others."""
    if entry is None or (entry.inline and len(entry.raw) <= INLINE):
        return ""
    return f"/share/{share_id}/items/{entry.seq}"


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = web_assets.environment()
    filters = {"place": place, "lines_in_words": lines_in_words, "reference": reference}
    environment.filters.update(moment=moment, iso=iso, role=role_name, **filters)  # pyright: ignore[reportUnknownMemberType]: untyped in Jinja
    return environment

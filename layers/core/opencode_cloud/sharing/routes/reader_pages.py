"""Answers for people and agents: pages, Markdown and JSON documents of shares.

The templates' library and the renderers take twice the processor time of bare Python's start, and no sync needs them.
So routes import this module at the first use, unless the function prepares it before a snapshot (docs/decisions/038).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from http import HTTPStatus

import msgspec

from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.http.reader_language import headers_of, language_of
from opencode_cloud.kit import http_events, languages, web_assets
from opencode_cloud.kit.content_codings import Coding
from opencode_cloud.kit.errors import Gone, NotFound, ServiceError, Unauthorized
from opencode_cloud.kit.http_events import HttpReply
from opencode_cloud.sharing.models import OwnerPanel
from opencode_cloud.sharing.protocol.comments import Comment
from opencode_cloud.sharing.rendering import pages
from opencode_cloud.sharing.rendering.card import HEIGHT, WIDTH, Summary, render_card, summarize
from opencode_cloud.sharing.rendering.comments import CommentsView, comments_as_markdown
from opencode_cloud.sharing.rendering.markdown import render_markdown
from opencode_cloud.sharing.rendering.outline import MessageWindow
from opencode_cloud.sharing.rendering.owner_panel import DONE
from opencode_cloud.sharing.rendering.transcript import to_document
from opencode_cloud.sharing.routes.owner_forms import action
from opencode_cloud.sharing.service.reading import SharedState
from opencode_cloud.sharing.service.windows import Conversation


class ReaderPages:
    """Renders shares."""

    def __init__(self, *, public_url: str, upload_mb: int) -> None:
        """``upload_mb`` is the size of the largest upload that this deployment takes, in megabytes."""
        self._public_url = public_url
        self._upload_mb = upload_mb

    def session(
        self,
        event: http_events.Event,
        conversation: Conversation,
        window: MessageWindow,
        sessions: pages.Sessions,
        bodies_origin: str,
        *,
        panel: OwnerPanel | None = None,
        token: str = "",
        failed: ServiceError | None = None,
        comments: CommentsView | None = None,
    ) -> HttpReply:
        """Answer with the page of a share that holds ``window``.

        ``bodies_origin`` is the origin to which large bodies are redirected.
        ``panel`` is for its owner, with the ``token`` of its forms. ``failed`` is the error of a form that was sent.
        """
        # Only pages for members have forms.
        has_forms = panel or (comments and comments.writer)
        policy = pages.content_security_policy(bodies_origin, forms="'self'" if has_forms else "'none'")
        done, problem = DONE.get(http_events.query(event, "done"), ""), failed.message if failed else ""
        base, age_ms = self._base(event), http_events.arrival_ms(event) - conversation.share.created_at
        with languages.speaking(language_of(event)):
            owner = pages.NO_PANEL
            if panel is not None:
                owner = pages.owner_panel(panel, action(conversation.share.id), token, done=done, problem=problem)
            html = pages.render_share(
                conversation.share.id,
                window,
                conversation.heads,
                conversation.seq,
                base,
                conversation.ticket,
                age_ms=age_ms,
                upload_mb=self._upload_mb,
                refusal=conversation.share.refusal,
                sessions=sessions,
                owner=owner,
                comments=comments,
            )
        return _page(event, html, policy, failed.status if failed else HTTPStatus.OK)

    def sessions_of(self, window: MessageWindow) -> list[str]:
        """Return the sessions of sub-agents that a window names."""
        return pages.sessions_of(window)

    def refusal(self, event: http_events.Event, share_id: ShareId, error: ServiceError) -> HttpReply:
        """Answer a person who may not read with the sign-in page, the password page, or the refusal."""
        if error.code == "password_required":
            return self.password(event, share_id, error)
        if isinstance(error, Unauthorized):
            return _notice(event, partial(pages.render_sign_in, share_id), error)
        return _notice(event, pages.render_gone if isinstance(error, Gone) else pages.render_missing, error)

    def password(
        self, event: http_events.Event, share_id: ShareId, error: ServiceError, problem: str = ""
    ) -> HttpReply:
        """Answer with the form of the share's password. ``problem`` describes the last failure."""
        return _notice(event, partial(pages.render_password, share_id, problem), error)

    def problem(self, event: http_events.Event, error: ServiceError, correlation_id: str) -> HttpReply:
        """Answer with a page that describes an error, and names its correlation id in the logs."""
        reply = _notice(event, partial(pages.render_problem, error.status, error.message, correlation_id), error)
        reply.headers.update(http_events.error_headers(error))
        return reply

    def document(self, state: SharedState, comments: Sequence[Comment]) -> bytes:
        """Return the share as JSON for programs."""
        document = to_document(state.share.id, state.items, state.seq, state.share.refusal)
        return msgspec.json.encode({**document, "comments": [each.public() for each in comments]})

    def markdown(self, event: http_events.Event, state: SharedState, comments: Sequence[Comment]) -> bytes:
        """Return the share as Markdown for agents."""
        session = render_markdown(state.share.id, state.items, self._base(event), refusal=state.share.refusal)
        return "\n\n".join([session.rstrip("\n"), *comments_as_markdown(comments), ""]).removesuffix("\n").encode()

    def card(self, conversation: Conversation | None) -> HttpReply:
        """Answer with the picture of a share; without a conversation with one that says nothing about it.

        No cache keeps it: after an unshare nothing may show the title.
        """
        summary = summarize(conversation.single, conversation.heads) if conversation else Summary()
        headers = {**http_events.PRIVATE, "X-Content-Type-Options": "nosniff"}
        return http_events.reply_binary(render_card(summary), "image/png", headers=headers)

    def oembed(self, event: http_events.Event, conversation: Conversation) -> dict[str, str | int]:
        """Return the description of a share for programs that embed links, of the oEmbed type ``link``."""
        base = self._base(event).rstrip("/")
        summary = Summary() if conversation.ticket else summarize(conversation.single, conversation.heads)
        return {
            "version": "1.0",
            "type": "link",
            "title": summary.title,
            "provider_name": "Opencode Cloud",
            "provider_url": f"{base}/",
            "thumbnail_url": f"{base}/share/{conversation.share.id}/card.png",
            "thumbnail_width": WIDTH,
            "thumbnail_height": HEIGHT,
        }

    def asset(self, event: http_events.Event, path: str) -> HttpReply:
        """Answer with a static file of the pages. Raises ``asset_not_found`` (404)."""
        asset = web_assets.static_asset(path)
        if asset is None:
            raise NotFound("asset_not_found", "There is no such file.")
        headers = {"Cache-Control": asset.cache_control, "X-Content-Type-Options": "nosniff"}
        if asset.media_type == "application/octet-stream":
            return http_events.reply_binary(asset.body, asset.media_type, headers=headers)
        coding = http_events.accepted_coding(event)
        if coding is not Coding.IDENTITY and len(asset.body) >= web_assets.PACK_FROM_BYTES:
            return http_events.reply_packed(web_assets.packed(asset, coding), coding, asset.media_type, headers=headers)
        return http_events.reply(event, asset.body, asset.media_type, headers=headers)

    def _base(self, event: http_events.Event) -> str:
        return http_events.base_url(event, self._public_url)


def refused_form(event: http_events.Event, share_id: ShareId, error: ServiceError) -> HttpReply:
    """Answer a person whose form was refused with the reason."""
    return _notice(event, partial(pages.render_refused_form, share_id, error.message), error)


def comment_list(event: http_events.Event, view: CommentsView) -> HttpReply:
    """Answer the page's script with the list of comments in the language of the page."""
    with languages.speaking(language_of(event)):
        html = pages.comment_list(view)
    headers = {**http_events.PRIVATE, **headers_of(language_of(event))}
    return http_events.reply(event, html.encode(), "text/html; charset=utf-8", headers=headers)


def _notice(event: http_events.Event, render: Callable[[], str], error: ServiceError) -> HttpReply:
    with languages.speaking(language_of(event)):
        return _page(event, render(), pages.FORM_POLICY, error.status)


def _page(event: http_events.Event, html: str, policy: str, status: int = HTTPStatus.OK) -> HttpReply:
    headers = {**pages.HEADERS, "Content-Security-Policy": policy, **headers_of(language_of(event))}
    return http_events.reply(event, html.encode(), headers.pop("Content-Type"), status=status, headers=headers)

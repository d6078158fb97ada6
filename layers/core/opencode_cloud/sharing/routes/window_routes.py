"""The HTTP routes that read a part of a conversation (docs/protocol.md, "Parts of a conversation")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.kit import http_events
from opencode_cloud.kit.http_events import HttpReply
from opencode_cloud.sharing.routes.visitors import visitor_of

if TYPE_CHECKING:
    from opencode_cloud.sharing.rendering.outline import MessageWindow
    from opencode_cloud.sharing.service.reading import ShareReader
    from opencode_cloud.sharing.service.windows import Conversation


def window_of(event: http_events.Event, conversation: Conversation) -> MessageWindow:
    """Return the window that a request asks for, the newest one by default. Raises ``message_not_found`` (404)."""
    if cursor := http_events.query(event, "before"):
        return conversation.before(cursor)
    if cursor := http_events.query(event, "since"):
        return conversation.since(cursor)
    if cursor := http_events.query(event, "at"):
        return conversation.around(cursor)
    if http_events.query(event, "from") == "beginning":
        return conversation.oldest()
    return conversation.newest()


def names_window(event: http_events.Event) -> bool:
    """Tell whether a request asks for a certain window, rather than opening the share."""
    return any(http_events.query(event, name) for name in ("before", "since", "at", "from"))


class WindowRoutes:
    """Windows, prompts, and the search."""

    def __init__(self, reading: ShareReader, event: http_events.Event) -> None:
        """``event`` is the request to answer."""
        self._reading = reading
        self._event = event

    def messages(self, share_id: ShareId) -> HttpReply:
        """``GET /share/{id}/messages?before=|since=|at=|from=beginning`` -> a window of messages as HTML."""
        from opencode_cloud.http.reader_language import headers_of, language_of
        from opencode_cloud.kit import languages
        from opencode_cloud.sharing.rendering import pages  # slow to import, and no sync needs it

        event = self._event
        visitor = visitor_of(event, share_id)
        conversation = self._reading.conversation(share_id, visitor)
        window = window_of(event, conversation)
        sessions = self._reading.relatives(conversation.share, pages.sessions_of(window), visitor)
        language = language_of(event)
        with languages.speaking(language):
            html = pages.render_window(share_id, window, sessions)
        headers = {**pages.HEADERS, **headers_of(language)}
        return http_events.reply(event, html.encode(), headers.pop("Content-Type"), headers=headers)

    def prompts(self, share_id: ShareId) -> HttpReply:
        """``GET /share/{id}/prompts`` -> ``{prompts: [[message, words, figures of the turn]]}``."""
        from opencode_cloud.sharing.rendering.outline import prompts_of  # no sync needs it

        event = self._event
        conversation = self._reading.conversation(share_id, visitor_of(event, share_id))
        return self._json({"prompts": prompts_of(conversation.heads)})

    def search(self, share_id: ShareId) -> HttpReply:
        """``GET /share/{id}/search?q=&from=`` -> ``{matches, next, searched, total}``: see :class:`Search`."""
        from opencode_cloud.sharing.service.searching import Search  # syncs need no renderers

        event = self._event
        words, cursor = http_events.query(event, "q"), http_events.query(event, "from")
        conversation = self._reading.conversation(share_id, visitor_of(event, share_id))
        search = Search(conversation, lambda items: self._reading.inline(share_id, items))
        return self._json(search.find(words, cursor))

    def _json(self, value: Any) -> HttpReply:
        return http_events.reply(self._event, msgspec.json.encode(value))

"""Search in a conversation, chunk by chunk from the beginning.

A request searches for some seconds at most, and returns the cursor from which the next one continues.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from opencode_cloud.kit.errors import BadRequest
from opencode_cloud.sharing.rendering.blocks import Block, Diff, File, Note, Reasoning, Text, Tool, block
from opencode_cloud.sharing.rendering.views import message_anchor, part_anchor

if TYPE_CHECKING:
    from opencode_cloud.sharing.models import Item
    from opencode_cloud.sharing.rendering.transcript import TranscriptEntry, TranscriptMessage
    from opencode_cloud.sharing.service.windows import Conversation

LEAST, MOST = 2, 200
"""Characters of what is searched for."""
SECONDS = 2.0
MATCHES = 200
"""An answer ends with the chunk of this match. A chunk has some hundred more at the most: it has 64 KB of text."""
GROUP_BYTES = 8_000_000  # of chunks that are read by one request to the object store
_AROUND = 60  # characters of a snippet before and after the words
_TOKEN = re.compile(r"[a-z0-9_-]+")


class SearchMatch(msgspec.Struct, frozen=True):
    """A message or a part that holds the words. ``anchor`` is the id of its element in the page."""

    anchor: str
    snippet: str


class SearchAnswer(msgspec.Struct, frozen=True):
    """Matches in the order of the conversation. ``next`` is where to search on; empty at the end.

    ``searched`` of ``total`` chunks have been searched.
    """

    matches: list[SearchMatch]
    next: str
    searched: int
    total: int


class Search:
    """Searches one conversation. Letters match in either case."""

    def __init__(self, conversation: Conversation, fill: Callable[[Sequence[Item]], Sequence[Item]]) -> None:
        """``fill`` returns items with the bodies that are stored elsewhere."""
        self._conversation = conversation
        self._fill = fill

    def find(self, words: str, cursor: str = "", seconds: float = SECONDS) -> SearchAnswer:
        """Search from ``cursor`` on. Raises ``invalid_search`` (400) and ``message_not_found`` (404)."""
        words = words.lower()
        if not LEAST <= len(words) <= MOST:
            raise BadRequest("invalid_search", f"`q` must have {LEAST} to {MOST} characters.")
        conversation, end = self._conversation, time.monotonic() + seconds
        chunk = conversation.chunk_at(cursor) if cursor else 0
        matches: list[SearchMatch] = []
        while chunk < conversation.chunks:
            chunk = self._search(chunk, words, matches)
            if len(matches) >= MATCHES or time.monotonic() > end:
                break
        return SearchAnswer(matches, conversation.cursor_of(chunk), chunk, conversation.chunks)

    def _search(self, chunk: int, words: str, matches: list[SearchMatch]) -> int:
        """Add the matches of some chunks to ``matches``, and return the chunk from which to search on."""
        messages, following = self._conversation.some(chunk, GROUP_BYTES, self._fill)
        last = following
        for cursor, match in _matches(messages, words):
            # A match in the facts of a cut message names the first of its chunks, which may be an earlier one.
            at = max(chunk, self._conversation.chunk_at(cursor))
            if at > last:
                return at
            matches.append(match)
            if len(matches) == MATCHES:
                last = at
        return following


def _matches(messages: Iterable[TranscriptMessage], words: str) -> Iterator[tuple[str, SearchMatch]]:
    """Yield each match, after the cursor of its message or part."""
    # Letters, digits, `_` and `-` are stored without escapes: bytes without the longest run of them need no decoding.
    token = max(_TOKEN.findall(words), key=len, default="").encode()
    for message in messages:
        if message.entry and _may_hold(message.entry, token):
            texts = [message.error, *_words_of_diffs(message.diffs)]
            for match in _match(message_anchor(message.id), texts, words):
                yield message.id, match
        for part in message.parts:
            if _may_hold(part, token) and (shown := block(part.value)):
                for match in _match(part_anchor(part.key), _words_of(shown), words):
                    yield part.key.removeprefix("part/"), match


def _may_hold(entry: TranscriptEntry, token: bytes) -> bool:
    return not entry.raw or token in entry.raw.lower()


def _match(anchor: str, texts: Iterable[str], words: str) -> Iterator[SearchMatch]:
    for text in texts:
        at = text.lower().find(words)
        if at >= 0:
            yield SearchMatch(anchor, " ".join(text[max(0, at - _AROUND) : at + len(words) + _AROUND].split()))
            return


def _words_of(shown: Block) -> list[str]:
    match shown:
        case Text() | Reasoning() | Note():
            return [shown.text]
        case Tool():
            files = [file.caption for file in shown.attachments]
            return [shown.name, shown.title, shown.input, shown.output, shown.error, shown.patch, *files]
        case File():
            return [shown.caption]
        case _:
            return [shown.type, shown.json]


def _words_of_diffs(diffs: Iterable[Diff]) -> Iterator[str]:
    for diff in diffs:
        yield from (diff.file, diff.patch)

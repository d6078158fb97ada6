"""The outline of a conversation: a line for each message, and the chunks by which readers get the messages.

A long conversation is read in chunks of neighbouring messages. A message that is larger than a chunk is cut between
its parts. Chunks are made from the beginning, so later messages leave the earlier chunks as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from opencode_cloud.sharing.rendering.blocks import MessageFigures, Text, block, figures
from opencode_cloud.sharing.rendering.lenient import line
from opencode_cloud.sharing.rendering.transcript import Transcript, TranscriptEntry, TranscriptMessage

INLINE = 65_536  # bytes of JSON; the page omits larger items, and the script fetches them when they come into view
CHUNK_COST = 64_000  # bytes of JSON that the messages of a chunk add to a page
CHUNK_BYTES = 1_000_000  # of a chunk, with the items that a page omits
PROMPT = 160  # characters of a prompt in a list
_ENTRY = 256  # bytes of overhead of an item besides its content
_ELSEWHERE = 262_144  # bytes of an item that is stored elsewhere, at least


class MessageHead(msgspec.Struct, frozen=True, array_like=True):
    """The facts about a message that lists of messages need. ``words`` is the beginning of a prompt."""

    id: str
    role: str
    created: int | None
    agent: str
    model: str
    figures: MessageFigures
    words: str = ""


class MessageWindow(msgspec.Struct, frozen=True):
    """Neighbouring messages of a conversation of ``total`` messages.

    ``earlier`` and ``later`` are the cursors at which the messages before and after them begin; empty at the ends.
    """

    transcript: Transcript
    first: int
    total: int
    undone: frozenset[str]
    earlier: str = ""
    later: str = ""

    @property
    def whole(self) -> bool:
        """Tell whether the window holds the whole conversation."""
        return not self.earlier and not self.later


class Piece(msgspec.Struct, frozen=True):
    """Neighbouring messages, the first and the last one perhaps in part.

    ``cost`` is what they add to a page and ``size`` what they have, in bytes of JSON.

    ``part`` is the key of the first part if the first message began in the piece before; else it is empty.
    """

    messages: list[TranscriptMessage]
    cost: int
    size: int
    part: str = ""


def head_of(message: TranscriptMessage) -> MessageHead:
    """Return the facts about a message."""
    is_prompt = message.role == "user"
    blocks = (block(part.value) for part in message.parts) if is_prompt else ()
    words = next((line(each.text, PROMPT) for each in blocks if isinstance(each, Text)), "")
    known = figures(message.value, message.created, message.completed)
    return MessageHead(message.id, message.role, message.created, message.agent, message.model, known, words)


def undone_from(heads: Sequence[MessageHead], first: str) -> int:
    """Return the position of the first message that was taken back, or the number of messages."""
    return next((at for at, head in enumerate(heads) if head.id == first), len(heads)) if first else len(heads)


def pieces(messages: Iterable[TranscriptMessage]) -> Iterator[Piece]:
    """Cut a conversation into chunks."""
    taken: list[TranscriptMessage] = []
    cost = size = 0
    for message in messages:
        message_cost, message_size = _weight([message.entry, *message.parts])
        is_full = cost + message_cost > CHUNK_COST or size + message_size > CHUNK_BYTES
        if taken and is_full:
            yield Piece(taken, cost, size)
            taken, cost, size = [], 0, 0
        if message_cost > CHUNK_COST or message_size > CHUNK_BYTES:
            yield from _cut(message, message_cost, message_size)
        else:
            taken.append(message)
            cost, size = cost + message_cost, size + message_size
    if taken:
        yield Piece(taken, cost, size)


def _cut(message: TranscriptMessage, whole_cost: int, whole_size: int) -> Iterator[Piece]:
    """Cut a message between its parts."""
    if any(part.decoded is not None and not part.raw for part in message.parts):
        yield Piece([message], whole_cost, whole_size)  # its parts came inside one item, which has one place
        return
    at, (cost, size) = 0, _weight([message.entry])
    for end, part in enumerate(message.parts):
        part_cost, part_size = _weight([part])
        if end > at and (cost + part_cost > CHUNK_COST or size + part_size > CHUNK_BYTES):
            yield _piece(message, at, end, cost, size)
            at, (cost, size) = end, _weight([message.entry])
        cost, size = cost + part_cost, size + part_size
    yield _piece(message, at, len(message.parts), cost, size)


def _piece(message: TranscriptMessage, begin: int, end: int, cost: int, size: int) -> Piece:
    part = message.parts[begin].key if begin else ""
    return Piece([TranscriptMessage(message.id, message.entry, message.parts[begin:end])], cost, size, part)


def _weight(entries: Iterable[TranscriptEntry | None]) -> tuple[int, int]:
    """Return the bytes that entries add to a page, and the bytes that they have."""
    cost = size = 0
    for entry in entries:
        length = len(entry.raw) if entry else 0
        cost += _ENTRY + (length if length <= INLINE else 0)
        size += length if entry is None or entry.inline else _ELSEWHERE
    return cost, size


class Prompt(msgspec.Struct, frozen=True, array_like=True):
    """A message of the user in a list: its id, its beginning, and the figures of the answers to it."""

    id: str
    words: str
    figures: list[int]


def prompts_of(heads: Iterable[MessageHead]) -> list[Prompt]:
    """Return the prompts of a conversation."""
    found: list[Prompt] = []
    for head in heads:
        if head.role == "user":
            found.append(Prompt(head.id, head.words, [0] * len(MessageFigures.__struct_fields__)))
        elif found:
            total = found[-1].figures
            total[:] = [one + more for one, more in zip(total, msgspec.structs.astuple(head.figures), strict=True)]
    return found

"""The live protocol without any I/O: frames, the fold of items, and the cursor.

Specified in docs/protocol.md of the server. Nothing here awaits, sleeps or opens anything, so every rule can be
tested with plain values.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias, TypedDict, TypeVar, cast

from .errors import ProtocolError

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
"""Any JSON value."""

_T = TypeVar("_T")

MESSAGE_LIMIT = 128 * 1024
"""Largest message the server accepts on the socket, in bytes (a quota of API Gateway)."""
FRAME_LIMIT = 32 * 1024
"""Largest WebSocket frame that it accepts, in bytes. Longer messages are sent as several frames."""


class NewItem(TypedDict):
    """An item to publish, as opencode's clients send it."""

    type: str
    data: Json


@dataclass(frozen=True, slots=True)
class Item:
    """One committed item of a share: a session, message, part, or another type."""

    seq: int
    """Its number within the share, from 1."""
    at: int
    """Time of arrival at the server, in milliseconds since the epoch."""
    key: str
    """Name of the object that it is a version of, for example `part/<messageID>/<id>`."""
    type: str
    data: Json = None
    href: str | None = None
    """Path for fetching an item that is too large for a frame. `data` is None then."""

    @property
    def order(self) -> tuple[int, int]:
        """Return the sort key. The item with the largest order is the state of its key."""
        return self.at, self.seq


@dataclass(frozen=True, slots=True)
class ItemsFrame:
    """All items with `after` < number <= `seq`."""

    after: int
    seq: int
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class SnapshotFrame:
    """Replaces many frames: fetch the state up to about `seq` from `href`."""

    seq: int
    href: str


@dataclass(frozen=True, slots=True)
class ReadyFrame:
    """Everything up to `seq` has been sent. From now on every commit is pushed."""

    seq: int


@dataclass(frozen=True, slots=True)
class PongFrame:
    """The answer to a ping: `seq` is the share's last number."""

    seq: int


@dataclass(frozen=True, slots=True)
class AckFrame:
    """The batch with the client's `id` is durable. Its last item has the number `seq`."""

    id: str
    seq: int


@dataclass(frozen=True, slots=True)
class GoneFrame:
    """The share was removed or has expired."""

    share: str


@dataclass(frozen=True, slots=True)
class ErrorFrame:
    """A refused action; `id` is that of the batch, if it was one; `status` as in HTTP, 0 if unknown."""

    code: str
    message: str
    id: str | None = None
    status: int = 0


@dataclass(frozen=True, slots=True)
class UnknownFrame:
    """A frame of an unknown type, which must be ignored."""

    type: str


Frame: TypeAlias = (
    ItemsFrame | SnapshotFrame | ReadyFrame | PongFrame | AckFrame | GoneFrame | ErrorFrame | UnknownFrame
)


@dataclass(frozen=True, slots=True)
class Document:
    """The folded state of a share: per key its newest item, complete up to `seq`."""

    share: str
    seq: int
    items: tuple[Item, ...]


def encode(value: object) -> bytes:
    """Return `value` as compact JSON in UTF-8."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        # Half a surrogate pair is legal in JSON and in JavaScript, but only escaped.
        return json.dumps(value, separators=(",", ":")).encode()


def decode(raw: str | bytes) -> Json:
    """Return the JSON value in `raw`; raises ProtocolError for invalid JSON."""
    try:
        return cast("Json", json.loads(raw))
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"not JSON: {raw[:80]!r}") from error


def decode_frame(raw: str | bytes) -> Frame:
    """Return the frame in one WebSocket message; raises ProtocolError if it is malformed."""
    body = _object(decode(raw), "frame")
    match body.get("type"):
        case "items":
            return ItemsFrame(_number(body, "after"), _number(body, "seq"), _items(body))
        case "snapshot":
            return SnapshotFrame(_number(body, "seq"), _get(body, "href", str))
        case "ready":
            return ReadyFrame(_number(body, "seq"))
        case "pong":
            return PongFrame(_number(body, "seq"))
        case "ack":
            return AckFrame(_get(body, "id", str), _number(body, "seq"))
        case "gone":
            return GoneFrame(str(body.get("share", "")))
        case "error":
            return _error(body)
        case None if "message" in body:
            # This is API Gateway's own answer when a function fails or is throttled.
            return ErrorFrame("gateway", str(body["message"]), status=502)
        case other:
            return UnknownFrame(str(other))


def decode_item(value: Json) -> Item:
    """Return one item of a frame or document; raises ProtocolError if it is malformed."""
    body = _object(value, "item")
    href = body.get("href")
    if href is None and "data" not in body:
        raise ProtocolError("an item has neither data nor href")
    if href is not None and not isinstance(href, str):
        raise ProtocolError("an item's href is not a string")
    return Item(
        seq=_number(body, "seq"),
        at=_number(body, "at"),
        key=_get(body, "key", str),
        type=_get(body, "type", str),
        data=body.get("data"),
        href=href,
    )


def decode_document(raw: str | bytes) -> Document:
    """Return the document at `/share/<id>/items`; raises ProtocolError if it is malformed."""
    body = _object(decode(raw), "document")
    schema = _number(body, "schema")
    if schema != 1:
        raise ProtocolError(f"a document of schema {schema}; this client knows schema 1")
    return Document(_get(body, "share", str), _number(body, "seq"), _items(body))


def _items(body: dict[str, Json]) -> tuple[Item, ...]:
    return tuple(decode_item(item) for item in cast("list[Json]", _get(body, "items", list)))


def _error(body: dict[str, Json]) -> ErrorFrame:
    identifier, status = body.get("id"), body.get("status")
    return ErrorFrame(
        code=str(body.get("code", "unknown")),
        message=str(body.get("message", "")),
        id=identifier if isinstance(identifier, str) else None,
        status=status if isinstance(status, int) else 0,
    )


def _object(value: Json, what: str) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise ProtocolError(f"a {what} is not a JSON object")
    return value


def _get(body: dict[str, Json], name: str, kind: type[_T]) -> _T:
    value = body.get(name)
    if not isinstance(value, kind):
        raise ProtocolError(f"`{name}` is missing or not a {kind.__name__}")
    return value


def _number(body: dict[str, Json], name: str) -> int:
    value = body.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ProtocolError(f"`{name}` is missing or not a whole number >= 0")
    return value


@dataclass(frozen=True, slots=True)
class Change:
    """A key has a newer item."""

    item: Item
    previous: Item | None


@dataclass(slots=True)
class ShareState:
    """The state of a share: the newest item of each key, complete up to `cursor`.

    Applying the same items in any order, any number of times, gives the same state.
    """

    share: str
    cursor: int = 0
    items: dict[str, Item] = field(default_factory=dict[str, Item])

    def is_news(self, item: Item) -> bool:
        """Tell whether `item` would change the state."""
        known = self.items.get(item.key)
        return known is None or item.order > known.order

    def apply(self, item: Item) -> Change | None:
        """Add `item`; return None if the key already has it or a newer one. The cursor does not move."""
        if not self.is_news(item):
            return None
        previous = self.items.get(item.key)
        self.items[item.key] = item
        return Change(item, previous)

    def data(self) -> list[NewItem]:
        """Return the state in the form of `GET /api/share/<id>/data`, ordered by key."""
        return [{"type": item.type, "data": item.data} for _, item in sorted(self.items.items())]


class Viewer:
    """One viewer's place in a share's sequence, over any number of connections.

    The rule: a frame that covers (a, s] moves a cursor >= a to max(cursor, s). If the cursor is below a, something is
    still missing: the frame's items count (the fold does not mind the order), its range is remembered, and the viewer
    is `behind` until the range in between has come or a resume from the cursor has filled it.
    """

    def __init__(self, state: ShareState) -> None:
        self.state = state
        self.resuming = False
        """True if a resume was sent and its answer is incomplete."""
        self.fruitless = 0
        """Number of complete answers in a row after which the same numbers were still missing."""
        self._ready = False
        self._resumed_from = state.cursor
        self._known = state.cursor
        self._ahead: dict[int, int] = {}

    @property
    def behind(self) -> bool:
        """Tell whether numbers up to the highest known one are missing."""
        return self.state.cursor < self._known

    @property
    def live(self) -> bool:
        """Tell whether the viewer is caught up and every further commit will be pushed."""
        return self._ready and not self.behind

    @property
    def needs_resume(self) -> bool:
        """Tell whether numbers are missing that no outstanding resume will bring."""
        return not self.live and not self.resuming

    def connected(self) -> None:
        """Start with a new connection. The server does not know this viewer before a resume."""
        self.resuming = False
        self.fruitless = 0
        self._ready = False

    def resume(self, ticket: str | None = None) -> bytes:
        """Return the action that requests everything after the cursor."""
        self.resuming = True
        self._resumed_from = self.state.cursor
        return self._action("resume", ticket)

    def ping(self, ticket: str | None = None) -> bytes:
        """Return the action that keeps the socket open and requests the share's last number."""
        return self._action("ping", ticket)

    def _action(self, action: str, ticket: str | None) -> bytes:
        proof = {"ticket": ticket} if ticket else {}
        return encode({"action": action, "share": self.state.share, "after": self.state.cursor, **proof})

    def news(self, items: Iterable[Item]) -> tuple[Item, ...]:
        """Return the `items` that would change the state. Only their hrefs need fetching."""
        return tuple(item for item in items if item.seq > self.state.cursor and self.state.is_news(item))

    def mention(self, frame: ItemsFrame | SnapshotFrame | ReadyFrame | PongFrame) -> None:
        """Record the numbers in a frame before it is applied, because that can fail."""
        self._known = max(self._known, frame.seq, frame.after if isinstance(frame, ItemsFrame) else 0)

    def take_items(self, after: int, seq: int, items: Iterable[Item]) -> tuple[Change, ...]:
        """Apply the items of a frame that covers (after, seq], with fetched hrefs."""
        changes = self._fold(items)
        if seq > self.state.cursor:
            self._ahead[after] = max(seq, self._ahead.get(after, 0))
            self._advance()
        return changes

    def take_document(self, document: Document, items: Iterable[Item]) -> tuple[Change, ...]:
        """Apply the document of a snapshot frame, with fetched hrefs.

        The document can be newer than the frame, then it is complete, or older, then later items are still missing.
        """
        changes = self._fold(items)
        self._known = max(self._known, document.seq)
        self.state.cursor = max(self.state.cursor, document.seq)
        self._advance()
        self.resuming = False
        return changes

    def take_ready(self) -> None:
        """Record that the answer to a resume is complete."""
        self.resuming = False
        self._ready = True
        stuck = self.behind and self.state.cursor == self._resumed_from
        self.fruitless = self.fruitless + 1 if stuck else 0

    def _fold(self, items: Iterable[Item]) -> tuple[Change, ...]:
        """Fold the items above the cursor. Items at or below it are known or superseded."""
        changes = (self.state.apply(item) for item in items if item.seq > self.state.cursor)
        return tuple(change for change in changes if change is not None)

    def _advance(self) -> None:
        """Move the cursor over every remembered range that it reaches."""
        for after in sorted(self._ahead):
            if after > self.state.cursor:
                break
            self.state.cursor = max(self.state.cursor, self._ahead.pop(after))

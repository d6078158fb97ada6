"""A share's folded items as a conversation: messages and their parts in order, even if some are missing.

Shares are often incomplete: a client that exits loses its last second, parts arrive before their message, and some
items are never sent. Neither missing items nor data of the wrong shape raise an error here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Protocol, TypeAlias

import msgspec

from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.kit.languages import gettext as _
from opencode_cloud.sharing.models import Refusal
from opencode_cloud.sharing.rendering.blocks import Diff, diffs, failure, figures, lasting, usage
from opencode_cloud.sharing.rendering.generations import converted, is_first_generation
from opencode_cloud.sharing.rendering.lenient import (
    MAXIMUM_DEPTH,
    JsonObject,
    array,
    decode,
    line,
    mapping,
    mappings,
    milliseconds,
    text,
)

SCHEMA = 1  # version of the document at /share/{id}.json; see docs/protocol.md, "Versions"
_MODEL_FIELDS = ("id", "providerID", "name", "family", "capabilities", "cost", "limit", "status", "release_date")

Document: TypeAlias = dict[str, object]


class TranscriptItem(Protocol):
    """The view of an item that this module reads. ``data`` is raw JSON; empty if the body is stored elsewhere."""

    @property
    def key(self) -> str:
        """Return the identity key. A later item with the same key replaces this one."""
        ...

    @property
    def type(self) -> str:
        """Return the client's item type."""
        ...

    @property
    def seq(self) -> int:
        """Return the item's number in the log."""
        ...

    @property
    def at(self) -> int:
        """Return the time of arrival in milliseconds."""
        ...

    @property
    def data(self) -> bytes:
        """Return the content as JSON."""
        ...


class TranscriptEntry(msgspec.Struct):
    """An item of the conversation. Decoded on first use, since most of a large share is never shown at once."""

    key: str
    seq: int
    at: int
    raw: bytes = b""
    decoded: JsonObject | None = None

    @property
    def value(self) -> JsonObject:
        """Return the item's data if it is present and an object; else an empty object."""
        if not self.inline:
            return {}
        if self.decoded is None:
            self.decoded = mapping(decode(self.raw))
        return self.decoded

    @property
    def inline(self) -> bool:
        """Tell whether the data is present, rather than only stored elsewhere."""
        return bool(self.raw) or self.decoded is not None


class TranscriptMessage(msgspec.Struct):
    """A message and its parts, in order. Without ``entry`` only some of its parts have arrived."""

    id: str
    entry: TranscriptEntry | None = None
    parts: list[TranscriptEntry] = msgspec.field(default_factory=list[TranscriptEntry])

    @property
    def value(self) -> JsonObject:
        """Return the message as the client wrote it; empty if it has not arrived."""
        return self.entry.value if self.entry else {}

    @property
    def role(self) -> str:
        """Return ``user``, ``assistant`` or another role that the client names; ``unknown`` without the message."""
        return line(text(self.value.get("role")), 32) or "unknown"

    @property
    def created(self) -> int | None:
        """Return the time of writing in milliseconds."""
        return milliseconds(mapping(self.value.get("time")).get("created"))

    @property
    def agent(self) -> str:
        """Return the agent that was asked or that answers."""
        return line(text(self.value.get("agent")) or text(self.value.get("mode")), 64)

    @property
    def model(self) -> str:
        """Return the id of the model. Clients put it on the message, or in an object on the message."""
        return line(text(self.value.get("modelID")) or model_id(self.value.get("model")), 100)

    @property
    def error(self) -> str:
        """Describe the message's error on one line."""
        return failure(self.value.get("error"))

    @property
    def unfinished(self) -> bool:
        """Tell whether the assistant was still writing at the time of the client's last publication."""
        return self.role == "assistant" and self.completed is None and not self.value.get("error")

    @property
    def usage(self) -> str:
        """Return duration, tokens and cost."""
        return " · ".join(filter(None, (lasting(self.created, self.completed), usage(self.value))))

    @property
    def figures(self) -> str:
        """Return the figures of the message for the page's script, separated by commas."""
        return ",".join(map(str, msgspec.structs.astuple(figures(self.value, self.created, self.completed))))

    @property
    def completed(self) -> int | None:
        """Return the time at which the assistant finished, in milliseconds."""
        return milliseconds(mapping(self.value.get("time")).get("completed"))

    def continues(self, before: TranscriptMessage | None) -> bool:
        """Tell whether this is a further answer of the agent and the model that answered ``before``."""
        return (
            before is not None
            and self.role == before.role == "assistant"
            and (self.agent, self.model) == (before.agent, before.model)
        )

    @property
    def diffs(self) -> list[Diff]:
        """Return the file changes that followed from a user's message."""
        return diffs(mapping(self.value.get("summary")).get("diffs"))

    @property
    def order(self) -> tuple[float, str]:
        """Return the sort key: time, then id.

        Ids alone do not sort: their time field wraps (docs/protocol.md, "Items").
        """
        created = self.created
        return (float("inf") if created is None else created, self.id)


class Transcript(msgspec.Struct):
    """A share as a conversation. ``model`` and ``diff`` hold the models and the changes of the whole session."""

    session: TranscriptEntry | None
    model: TranscriptEntry | None
    diff: TranscriptEntry | None
    messages: list[TranscriptMessage]
    other: list[TranscriptItem]

    @property
    def title(self) -> str:
        """Return the session's title, or a stand-in."""
        return line(text(self._session.get("title"))) or _("Untitled session")

    @property
    def created(self) -> int | None:
        """Return the start of the session in milliseconds."""
        return milliseconds(mapping(self._session.get("time")).get("created"))

    @property
    def version(self) -> str:
        """Return the client's version."""
        return line(text(self._session.get("version")), 32)

    @property
    def usage(self) -> str:
        """Return tokens and cost of the whole session."""
        return usage(self._session)

    @property
    def models(self) -> list[JsonObject]:
        """Return the models that the client described."""
        return mappings(decode(self.model.raw)) if self.model else []

    @property
    def diffs(self) -> list[Diff]:
        """Return the file changes of the whole session."""
        return diffs(decode(self.diff.raw)) if self.diff else []

    @property
    def taken_back(self) -> str:
        """Return the id of the first message that the user took back; empty if there is none."""
        return text(mapping(self._session.get("revert")).get("messageID"))

    @property
    def undone(self) -> frozenset[str]:
        """Return the ids of the messages that the user took back: the one that the session names, and all after it."""
        first = self.taken_back
        ids = [message.id for message in self.messages]
        return frozenset(ids[ids.index(first) :]) if first in ids else frozenset()

    @property
    def _session(self) -> JsonObject:
        return self.session.value if self.session else {}


def transcribe(items: Iterable[TranscriptItem]) -> Transcript:
    """Arrange folded items as a conversation. Among items with the same key the later arrival counts."""
    winners: dict[str, TranscriptItem] = {}
    for item in items:
        current = winners.get(item.key)
        if current is None or (item.at, item.seq) > (current.at, current.seq):
            winners[item.key] = item
    single: dict[str, TranscriptEntry] = {}
    messages: dict[str, TranscriptMessage] = {}
    other: list[TranscriptItem] = []
    for item in sorted(winners.values(), key=lambda winner: winner.seq):
        if item.type in ("session", "model", "session_diff"):
            single[item.type] = TranscriptEntry(item.key, item.seq, item.at, item.data)
        elif item.type == "messages" or is_first_generation(item.type, item.data):
            for kind, key, value in converted(item.key, item.data):
                _add_entry(messages, kind, TranscriptEntry(key, item.seq, item.at, decoded=value))
        elif item.type in ("message", "part"):
            _add_entry(messages, item.type, TranscriptEntry(item.key, item.seq, item.at, item.data))
        else:
            other.append(item)
    for message in messages.values():
        message.parts.sort(key=lambda part: part.key)
    ordered = sorted(messages.values(), key=lambda message: message.order)
    return Transcript(single.get("session"), single.get("model"), single.get("session_diff"), ordered, other)


def _add_entry(messages: dict[str, TranscriptMessage], kind: str, entry: TranscriptEntry) -> None:
    _, _, rest = entry.key.partition("/")
    name = rest if kind == "message" else rest.partition("/")[0]
    message = messages.setdefault(name, TranscriptMessage(name))
    if kind == "message":
        message.entry = entry
    else:
        message.parts.append(entry)


def model_id(model: object) -> str:
    """Return the id of a model that is given as an object."""
    fields = mapping(model)
    return text(fields.get("modelID")) or text(fields.get("id"))


def model_names(models: Sequence[JsonObject]) -> dict[str, str]:
    """Map the ids of models to their display names."""
    ids = ((line(text(model.get("id")), 100), line(text(model.get("name")), 100)) for model in models)
    return {key: name or key for key, name in ids if key}


def moment(time: int | None) -> str:
    """Format a time in milliseconds as date and minute, UTC; return an empty string if it is unknown."""
    return f"{datetime.fromtimestamp(time / 1000, UTC):%Y-%m-%d %H:%M} UTC" if time is not None else ""


def iso(time: int | None) -> str:
    """Format a time in milliseconds for programs (ISO 8601, UTC); return an empty string if it is unknown."""
    return f"{datetime.fromtimestamp(time / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}" if time is not None else ""


def missing(refusal: Refusal | None) -> str:
    """Return a sentence about updates that could not be stored; empty if there were none."""
    if refusal is None:
        return ""
    reasons = {
        "share_full": _("it had more than the server takes for a session without an account in a day"),
        "stored_too_much": _("its network had shared more than the server takes without an account in a day"),
        "too_many_syncs": _("it changed more often than the server takes without an account"),
    }
    reason = reasons.get(refusal.code, _("it was over a limit of the server"))
    times = moment(refusal.since)
    if refusal.last > refusal.since:
        times = _("%(first)s to %(last)s", first=times, last=moment(refusal.last))
    return _(
        "Parts of this session are missing: the server refused updates at %(times)s, because %(reason)s.",
        times=times,
        reason=reason,
    )


def to_document(
    share_id: ShareId, items: Iterable[TranscriptItem], seq: int, refusal: Refusal | None = None
) -> Document:
    """Return a share as the JSON document for programs, of the stable schema ``SCHEMA``.

    ``missing`` is null, or tells of updates that were refused, whose content is not in the document.

    Messages and parts are as the client wrote them. Models are reduced to their descriptive fields, and errors lose the
    provider's response headers, since both can contain credentials.
    """
    transcript = transcribe(items)
    undone = transcript.undone
    return {
        "schema": SCHEMA,
        "share": share_id,
        "seq": seq,
        "missing": msgspec.to_builtins(refusal),
        "session": dict(transcript.session.value) if transcript.session else None,
        "messages": [
            {
                "id": message.id,
                "role": message.role,
                "created": message.created,
                "undone": message.id in undone,
                "info": _published(message.entry) if message.entry else None,
                "parts": [_published(part) for part in message.parts],
            }
            for message in transcript.messages
        ],
        "models": [{name: model[name] for name in _MODEL_FIELDS if name in model} for model in transcript.models],
        "diffs": array(decode(transcript.diff.raw)) if transcript.diff else [],
        "other": [{"type": item.type, "key": item.key, "data": decode(item.data)} for item in transcript.other],
    }


def _published(entry: TranscriptEntry) -> object:
    """Return an item's data without headers: its bytes where they need no change, which takes a tenth of the time."""
    raw = entry.raw
    is_plain = raw.startswith(b"{") and b'"responseHeaders"' not in raw
    has_surrogates = b"\\ud" in raw or b"\\uD" in raw  # one without the other is not valid for readers
    if is_plain and not has_surrogates and raw.count(b"{") + raw.count(b"[") <= MAXIMUM_DEPTH:
        try:
            return msgspec.json.decode(raw, type=msgspec.Raw)
        except msgspec.DecodeError:
            pass
    return _without_headers(entry.value)


def _without_headers(value: JsonObject) -> Document:
    error = mapping(value.get("error"))
    data = mapping(error.get("data"))
    if "responseHeaders" not in data:
        return dict(value)
    visible_data = {name: member for name, member in data.items() if name != "responseHeaders"}
    return {**value, "error": {**error, "data": visible_data}}

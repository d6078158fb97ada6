"""Blocks: the client's part types (docs/protocol.md, "Items") reduced to the few kinds that readers see."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar, TypeAlias

import msgspec

from opencode_cloud.kit.languages import gettext as _
from opencode_cloud.kit.marked_messages import gettext_noop
from opencode_cloud.sharing.rendering.lenient import (
    JsonObject,
    array,
    compact,
    count,
    line,
    mapping,
    mappings,
    milliseconds,
    number,
    plain,
    text,
)

# Only these are shown as pictures: SVG can contain scripts, and a remote address would tell its owner who is reading.
_IMAGE = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/]+={0,2}")
_DATA_URL = re.compile(r"data:[^,]{0,200};base64,")
_BOOKKEEPING = frozenset({"step-start", "step-finish", "snapshot"})
_PROGRESS = (
    gettext_noop("pending"),
    gettext_noop("running"),
    gettext_noop("error"),
    gettext_noop("rejected"),
    gettext_noop("unknown"),
)
"""The words of clients for the progress of a call that readers see."""
_TELLING = ("description", "filePath", "path", "pattern", "command", "url", "query", "prompt")


class Text(msgspec.Struct, frozen=True):
    """A text of the user or the assistant, in Markdown. One that is not ``finished`` is still arriving."""

    kind: ClassVar[str] = "text"
    text: str
    finished: bool = True


class Reasoning(msgspec.Struct, frozen=True):
    """The model's reasoning before its answer."""

    kind: ClassVar[str] = "reasoning"
    text: str
    finished: bool = True


class File(msgspec.Struct, frozen=True):
    """An attachment. ``image`` is a data URL that is safe to show, or empty; ``bytes`` is 0 if the size is unknown."""

    kind: ClassVar[str] = "file"
    name: str
    mime: str
    bytes: int
    image: str

    @property
    def caption(self) -> str:
        """Return name, type and size on one line."""
        return " · ".join(filter(None, (self.name, self.mime, size(self.bytes) if self.bytes else "")))


class Tool(msgspec.Struct, frozen=True):
    """A tool call. ``status`` is pending, running, completed, failed, error, rejected or unknown.

    A command has ``failed`` if it ended with another exit code than 0; then ``exit`` names it. ``data`` is the call's
    state as the client wrote it.
    """

    kind: ClassVar[str] = "tool"
    name: str
    status: str
    title: str
    duration: str
    input: str
    output: str
    error: str
    patch: str
    attachments: Sequence[File]
    exit: str = ""
    data: JsonObject = msgspec.field(default_factory=dict[str, object])

    @property
    def state(self) -> str:
        """Return the progress of the call: its duration once it has completed, else its status."""
        shown = _(self.status) if self.status in _PROGRESS else self.status
        status = {"completed": "", "failed": self.exit}.get(self.status, shown)
        return " ".join(filter(None, (status, self.duration)))


class Note(msgspec.Struct, frozen=True):
    """An event of the session, on one line. ``target`` is the id of a message that it names, or empty."""

    kind: ClassVar[str] = "note"
    text: str
    target: str = ""


class Unknown(msgspec.Struct, frozen=True):
    """A part of a type that this version does not know, as JSON."""

    kind: ClassVar[str] = "unknown"
    type: str
    json: str


class Diff(msgspec.Struct, frozen=True):
    """The change of one file. ``file`` is empty if the client does not name it."""

    file: str
    status: str
    additions: int
    deletions: int
    patch: str
    before: str = ""
    after: str = ""


Block: TypeAlias = Text | Reasoning | File | Tool | Note | Unknown


def block(part: JsonObject) -> Block | None:
    """Return the block of a part; None for bookkeeping and for text that is empty or not meant for readers."""
    kind = text(part.get("type"))
    if kind in _BOOKKEEPING:
        return None
    if kind in ("text", "reasoning"):
        words = plain(text(part.get("text")))
        if not words.strip() or part.get("synthetic") is True:
            return None
        time = mapping(part.get("time"))
        finished = milliseconds(time.get("start")) is None or milliseconds(time.get("end")) is not None
        return Text(words, finished) if kind == "text" else Reasoning(words, finished)
    if kind == "tool":
        return _tool(part)
    if kind == "file":
        return file(part)
    words = _note(kind, part)
    return Note(words, text(part.get("tail_start_id"))) if words else Unknown(line(kind, 64) or "none", compact(part))


def _note(kind: str, part: JsonObject) -> str:
    match kind:
        case "compaction":
            return _compaction(part)
        case "agent":
            return _("Agent: %(name)s", name=line(text(part.get("name"))))
        case "subtask":
            words = text(part.get("description")) or text(part.get("prompt"))
            agent = line(text(part.get("agent")), 64) or _("an agent")
            return _("Subtask for %(agent)s: %(words)s", agent=agent, words=line(words))
        case "retry":
            attempt, error = count(part.get("attempt")), failure(part.get("error"))
            return _("Retry %(number)s: %(error)s", number=attempt, error=error)
        case "patch":
            names = [line(name) for name in array(part.get("files")) if isinstance(name, str)]
            return _("Changed %(files)s", files=", ".join(names)) if names else _("Changed no file")
        case _:
            return ""


def _compaction(part: JsonObject) -> str:
    words = _("Context compacted automatically") if part.get("auto") is True else _("Context compacted")
    if part.get("overflow") is True:
        words += _(", because it was full")
    if part.get("tail_start_id"):
        words += _(": a summary replaces the messages before this one")
    return words


def file(part: JsonObject) -> File:
    """Read an attachment."""
    url = text(part.get("url"))
    inline = _DATA_URL.match(url)
    return File(
        name=line(text(part.get("filename")), 200) or _("file"),
        mime=line(text(part.get("mime")), 100),
        bytes=(len(url) - inline.end()) * 3 // 4 if inline else 0,
        image=url if _IMAGE.fullmatch(url) else "",
    )


def _tool(part: JsonObject) -> Tool:
    state = mapping(part.get("state"))
    input_value = state.get("input")
    arguments = mapping(input_value)
    metadata = mapping(state.get("metadata"))
    patch = plain(text(metadata.get("diff")))
    name = line(text(part.get("tool")), 100) or "tool"
    error = plain(text(state.get("error")))
    status = line(text(state.get("status")), 20) or "unknown"
    code = number(metadata.get("exit"))
    failed = status == "completed" and bool(code)
    if failed:
        status = "failed"
    elif status == "error" and "rejected permission" in error:
        status = "rejected"
    return Tool(
        name=name,
        status=status,
        title=line(text(state.get("title")) or next(filter(None, (text(arguments.get(k)) for k in _TELLING)), "")),
        duration=duration(mapping(state.get("time"))),
        input=plain(input_value if isinstance(input_value, str) else _arguments(name, arguments, patch)),
        output=plain(text(state.get("output"))),
        error=error,
        patch=patch,
        attachments=tuple(file(attachment) for attachment in mappings(state.get("attachments"))),
        exit=_("exit %(code)s", code=int(code)) if failed and code else "",
        data=state,
    )


def _arguments(tool: str, arguments: JsonObject, patch: str) -> str:
    command = text(arguments.get("command"))
    if tool == "bash" and command:
        return f"$ {command}"
    shown = (
        (name, value if isinstance(value, str) else compact(value))
        for name, value in arguments.items()
        if not (patch and name in ("oldString", "newString"))  # the patch shows the same, readably
    )
    return "\n".join(f"{name}:\n{value}" if "\n" in value else f"{name}: {value}" for name, value in shown)


def duration(time: JsonObject) -> str:
    """Describe the time between ``start`` and ``end``; return an empty string if one of them is missing."""
    return lasting(milliseconds(time.get("start")), milliseconds(time.get("end")))


def lasting(start: int | None, end: int | None) -> str:
    """Describe the time between two moments in milliseconds."""
    if start is None or end is None or end < start:
        return ""
    tenths = (end - start + 50) // 100
    if tenths < 600:
        seconds = f"{tenths // 10}.{tenths % 10}"
        return _("%(seconds)s s", seconds=seconds)
    return _("%(minutes)s min %(seconds)s s", minutes=tenths // 600, seconds=tenths // 10 % 60)


def failure(error: object) -> str:
    """Describe an error of the client on one line; return an empty string without an error."""
    if isinstance(error, str):
        return line(error)
    fields = mapping(error)
    name, message = text(fields.get("name")), text(mapping(fields.get("data")).get("message"))
    if name == "MessageAbortedError":
        return _("Interrupted")
    words = line(": ".join(filter(None, (name, message or text(fields.get("message"))))))
    return words or (_("Error") if fields else "")


def diffs(value: object) -> list[Diff]:
    """Read the file changes of a session or a message. Leave out objects without a file or a patch."""
    return [
        Diff(
            file=line(text(change.get("file"))),
            status=line(text(change.get("status")), 20) or "modified",
            additions=count(change.get("additions")),
            deletions=count(change.get("deletions")),
            patch=plain(text(change.get("patch"))),
            before=plain(text(change.get("before"))),
            after=plain(text(change.get("after"))),
        )
        for change in mappings(value)
        if text(change.get("file")) or text(change.get("patch"))
    ]


def size(length: int) -> str:
    """Format a number of bytes for people."""
    for unit, step in (("MB", 1_000_000), ("KB", 1_000)):
        if length >= step:
            tenths = length * 10 // step
            return f"{tenths // 10}.{tenths % 10} {unit}"
    return f"{length} B"


class MessageFigures(msgspec.Struct, frozen=True):
    """MessageFigures of a session or message: milliseconds, tokens, and the cost in hundredths of a cent."""

    ms: int
    sent: int
    cached: int
    received: int
    cost: int


def figures(message: JsonObject, start: int | None = None, end: int | None = None) -> MessageFigures:
    """Read the figures of a session or message that ran between two moments in milliseconds."""
    tokens = mapping(message.get("tokens"))
    cache = mapping(tokens.get("cache"))
    return MessageFigures(
        ms=end - start if start is not None and end is not None and end >= start else 0,
        sent=count(tokens.get("input")) + count(cache.get("read")) + count(cache.get("write")),
        cached=count(cache.get("read")),
        received=count(tokens.get("output")) + count(tokens.get("reasoning")),
        cost=int(min(number(message.get("cost")) or 0, 1e9) * 10_000 + 0.5),
    )


def usage(message: JsonObject) -> str:
    """Describe the usage of a session or message, as tokens and US dollars; return an empty string if it is unknown."""
    used = figures(message)
    share = used.cached * 100 // used.sent if used.sent else 0
    words: list[str] = []
    if used.sent or used.received:
        tokens, received = f"{used.sent:,}", f"{used.received:,}"
        words = [
            _("%(tokens)s tokens in (%(share)s %% cached)", tokens=tokens, share=share)
            if share
            else _("%(tokens)s tokens in", tokens=tokens),
            _("%(tokens)s out", tokens=received),
        ]
    return " · ".join([*words, f"${used.cost // 10_000}.{used.cost % 10_000:04}"] if used.cost > 0 else words)

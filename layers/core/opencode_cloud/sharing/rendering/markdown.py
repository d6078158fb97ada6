"""A share as Markdown (/share/{id}.md), for agents and for people who keep a copy."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from opencode_cloud.contracts.ids import ShareId
from opencode_cloud.sharing.models import Refusal
from opencode_cloud.sharing.rendering.blocks import Block, Diff, File, Note, Reasoning, Text, Tool, Unknown, block
from opencode_cloud.sharing.rendering.tools import TODO_TOOLS, todos_of
from opencode_cloud.sharing.rendering.transcript import (
    Transcript,
    TranscriptEntry,
    TranscriptItem,
    TranscriptMessage,
    missing,
    model_names,
    moment,
    transcribe,
)

LIMIT = 4_000_000  # characters: a million tokens, more than any agent reads
_LINE_END = re.compile(r"\r\n?|\n")
_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~])")


def render_markdown(
    share_id: ShareId,
    items: Iterable[TranscriptItem],
    base_url: str,
    limit: int = LIMIT,
    refusal: Refusal | None = None,
) -> str:
    """Write a share as a transcript in Markdown.

    The first message that would exceed ``limit`` characters is left out together with all later ones, and the end of
    the text says so.
    """
    transcript = transcribe(items)
    address = f"{base_url.rstrip('/')}/share/{share_id}"
    names = model_names(transcript.models)
    undone = transcript.undone
    written = [_head(transcript, address, names)]
    if refusal:
        written.append(f"**{missing(refusal)}**")
    length = len(written[0])
    for position, message in enumerate(transcript.messages, start=1):
        section = "\n\n".join(_message(position, message, names, undone=message.id in undone))
        length += len(section)
        if length > limit:
            omitted = len(transcript.messages) - position + 1
            written.append(f"*{omitted} more messages are left out here: the whole session is at <{address}.json>.*")
            return "\n\n".join(written) + "\n"
        written.append(section)
    changes = "\n\n".join(_changes(transcript.diffs))
    if changes and length + len(changes) <= limit:
        written += ["## Files changed in the session", changes]
    return "\n\n".join(written) + "\n"


def _head(transcript: Transcript, address: str, names: dict[str, str]) -> str:
    used = {message.model: None for message in transcript.messages if message.model}  # a set that keeps its order
    facts = {
        "Session": f"<{address}>",
        "Date": moment(transcript.created),
        "Model": ", ".join(escape(names.get(model, model)) for model in used or names),
        "Client": escape(f"opencode {transcript.version}") if transcript.version else "",
        "Usage": escape(transcript.usage),
    }
    lines = [f"- {name}: {value}" for name, value in facts.items() if value]
    return f"# {escape(transcript.title)}\n\n" + "\n".join(lines)


def _message(position: int, message: TranscriptMessage, names: dict[str, str], *, undone: bool) -> Iterator[str]:
    role = "Message" if message.role == "unknown" else message.role.capitalize()
    about = [role, message.agent, names.get(message.model, message.model), moment(message.created)]
    yield f"## {position}. " + " · ".join(escape(word) for word in about if word)
    if undone:
        yield "*Undone: the user took this message back.*"
    for part in message.parts:
        shown = _part(part)
        if shown:
            yield shown
    if message.error:
        yield f"**Error:** {escape(message.error)}"
    elif message.unfinished:
        yield "*Not finished.*"
    yield from _changes(message.diffs)


def _part(part: TranscriptEntry) -> str:
    if not part.inline:
        return "*A large part is left out here.*"
    shown = block(part.value)
    return _block(shown) if shown else ""


def _block(shown: Block) -> str:
    match shown:
        case Text():
            return quote(shown.text)
        case Reasoning():
            return f"*Thinking:*\n\n{quote(shown.text)}"
        case File():
            return _attachment(shown)
        case Tool():
            return "\n\n".join(_tool(shown))
        case Note():
            return f"*{escape(shown.text)}*"
        case Unknown():
            return f"A part of type {code(shown.type)}:\n\n{fence(shown.json, 'json')}"


def _attachment(file: File) -> str:
    return f"Attachment: {code(file.caption)}"


def _tool(tool: Tool) -> Iterator[str]:
    title = f" {escape(tool.title)}" if tool.title else ""
    state = f" ({escape(tool.state)})" if tool.state else ""
    yield f"**Tool {code(tool.name)}**{title}{state}"
    todos = todos_of(tool) if tool.name in TODO_TOOLS else []
    if todos:
        yield "\n".join(f"- [{'x' if status == 'done' else ' '}] {escape(words)} ({status})" for status, words in todos)
        return
    if tool.input:
        yield fence(tool.input)
    if tool.patch:
        yield fence(tool.patch, "diff")
    elif tool.output:
        yield "Output:"
        yield fence(tool.output)
    if tool.error:
        yield "Error:"
        yield fence(tool.error)
    for file in tool.attachments:
        yield _attachment(file)


def _changes(changes: Iterable[Diff]) -> Iterator[str]:
    for diff in changes:
        name = code(diff.file or "unnamed file")
        yield f"Changed {name} ({escape(diff.status)}, +{diff.additions} -{diff.deletions})"
        if diff.patch:
            yield fence(diff.patch, "diff")


def escape(words: str) -> str:
    """Escape one line of text so that Markdown sees no markup in it."""
    return _SPECIAL.sub(r"\\\1", words)


def code(words: str) -> str:
    """Return one line of text as inline code, delimited by more backticks than its longest run has."""
    marks = "`" * (_longest_run(words) + 1)
    space = " " if words.startswith("`") or words.endswith("`") else ""
    return f"{marks}{space}{words}{space}{marks}"


def fence(words: str, language: str = "") -> str:
    """Return text as a code block whose fence is longer than any run of backticks inside."""
    marks = "`" * max(3, _longest_run(words) + 1)
    return f"{marks}{language}\n{words.rstrip(chr(10))}\n{marks}"


def _longest_run(words: str) -> int:
    return max(map(len, re.findall("`+", words)), default=0)


def quote(words: str) -> str:
    """Return Markdown of the user or the model as a block quotation, which ends all constructs that it leaves open.

    The quoted text can therefore neither swallow the text after it, nor pass for a heading or a tool call of the
    transcript. Any of Markdown's line ends begins a line: text that people wrote may hold a lone carriage return.
    """
    return "\n".join(f"> {line}".rstrip() for line in _LINE_END.split(words.strip("\r\n")))

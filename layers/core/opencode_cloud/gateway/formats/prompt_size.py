"""The largest possible prompt of a request (docs/formats.md, "How large a prompt can be")."""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Any, cast

from opencode_cloud.gateway.formats.models import ParsedRequest
from opencode_cloud.gateway.formats.reading import compact, size
from opencode_cloud.gateway.formats.registry import wire_format

DOCUMENT_TOKENS = 5_000_000
"""The most tokens that a file can be. It exceeds every model's context, which then is the bound."""

MESSAGE_TOKENS = 16
"""Tokens of a message or block without its text: roles, separators."""

TOOL_TOKENS = 32
"""Tokens of a tool without the text of its definition."""

TOOLS_TOKENS = 1000
"""Tokens of the instructions that providers add when a request has tools."""

_KINDS = frozenset({"mimeType", "mime_type", "format"})  # members beside the base64 of a file, except in Messages
_NAMES = frozenset({"type", "role"})  # which :data:`MESSAGE_TOKENS` covers
_LONGEST_NAME = 32  # characters; some servers put any role into the prompt unchanged
_GROUPS = ("functionDeclarations", "function_declarations", "tools")


def text_of(parsed: ParsedRequest) -> str:
    """Return all parts of the prompt, as text for a tokenizer, without base64 payloads."""
    if parsed.embedding is not None:
        return "\n".join(parsed.embedding.texts)
    wire = wire_format(parsed.format)
    members = {key: value for key, value in parsed.document.items() if key not in wire.settings}
    return "\n".join(_texts(members, wire.verbatim))


def overhead_of(parsed: ParsedRequest) -> int:
    """Return a safe bound of the prompt's tokens besides those of :func:`text_of`."""
    wire = wire_format(parsed.format)
    media = parsed.images * wire.image_tokens + parsed.documents * DOCUMENT_TOKENS
    if parsed.embedding is not None:
        return parsed.embedding.tokens + parsed.embedding.inputs * MESSAGE_TOKENS + media
    messages = sum(len(cast("list[object]", value)) for value in _turns(parsed.document, wire.verbatim))
    count = _tools(parsed.document.get("tools"))
    framing = (messages + 1) * MESSAGE_TOKENS + (TOOLS_TOKENS + count * TOOL_TOKENS if count else 0)
    return framing + media


def prompt_bytes(parsed: ParsedRequest) -> int:
    """Return the most tokens that the prompt can have without a known tokenizer: one for each byte."""
    return size(text_of(parsed)) + overhead_of(parsed)


def _tools(value: object) -> int:
    """Return the number of tools. Google's entries and namespaces of Responses contain several each."""
    if not isinstance(value, list):
        return 0
    entries = [cast("dict[str, Any]", entry) for entry in cast("list[object]", value) if isinstance(entry, dict)]
    return sum(max(1, *(_tools(entry.get(key)) for key in _GROUPS)) for entry in entries)


def _turns(value: object, verbatim: Set[str]) -> Iterator[object]:
    """Yield every array of messages, blocks or parts."""
    if isinstance(value, list):
        yield cast("object", value)
        for part in cast("list[object]", value):
            yield from _turns(part, verbatim)
    elif isinstance(value, dict):
        for key, member in cast("dict[str, object]", value).items():
            if key not in verbatim:
                yield from _turns(member, verbatim)


def _texts(members: dict[str, Any], verbatim: Set[str]) -> Iterator[str]:
    for key, value in members.items():
        if _is_name(key, value) or _is_payload(key, value, members):
            continue
        if key in verbatim and isinstance(value, (dict, list)):
            yield compact(cast("object", value))
        elif key == "input" and isinstance(value, dict):  # of a tool
            yield compact(cast("dict[str, Any]", value))
        else:
            yield from _text(value, verbatim)


def _text(value: object, verbatim: Set[str]) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from _texts(cast("dict[str, Any]", value), verbatim)
    elif isinstance(value, list):
        for part in cast("list[object]", value):
            yield from _text(part, verbatim)


def _is_name(key: str, value: object) -> bool:
    return key in _NAMES and isinstance(value, str) and len(value) <= _LONGEST_NAME


def _is_payload(key: str, value: object, members: dict[str, Any]) -> bool:
    """Tell whether a member is the base64 of a picture or file; these are counted by number."""
    if key == "data":
        kind = members.get("type")
        return kind == "base64" or (kind is None and not _KINDS.isdisjoint(members))
    return key == "file_data" or (key in ("image_url", "url") and isinstance(value, str) and value.startswith("data:"))

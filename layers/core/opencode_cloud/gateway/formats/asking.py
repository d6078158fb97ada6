"""Reading a request: what it asks for, and how large its prompt can be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway.formats.chat import inspection as chat
from opencode_cloud.gateway.formats.chat.requests import max_output as chat_max_output
from opencode_cloud.gateway.formats.facts import Facts, check_steering
from opencode_cloud.gateway.formats.generate import inspection as generate
from opencode_cloud.gateway.formats.messages import inspection as messages
from opencode_cloud.gateway.formats.models import Asked, InvalidRequest, Malformed
from opencode_cloud.gateway.formats.reading import Node, ProtoNode, compact, size
from opencode_cloud.gateway.formats.responses import inspection as responses
from opencode_cloud.kit import json_codec

IMAGE_TOKENS = {Format.CHAT: 50_000, Format.RESPONSES: 50_000, Format.MESSAGES: 5000, Format.GENERATE: 5000}
"""The most tokens that a picture can be (docs/formats.md, "How large a prompt can be")."""

DOCUMENT_TOKENS = 5_000_000
"""The most tokens that a file can be; in effect the whole context of the model, whatever that is."""

MESSAGE_TOKENS = 16
"""What a message or block costs besides its text: roles, separators."""

TOOL_TOKENS = 32
"""What a tool costs besides the text of its definition."""

TOOLS_TOKENS = 1000
"""What providers say to the model besides when there are any tools."""

MAXIMUM_DEPTH = 200
"""Of nested arrays and objects in a body."""

_KINDS = frozenset({"mimeType", "mime_type", "format"})  # members beside the base64 of a file, except in Messages
_NAMES = frozenset({"type", "role"})  # which :data:`MESSAGE_TOKENS` covers
_LONGEST_NAME = 32  # characters; some servers put any role into the prompt as it is
_VERBATIM = frozenset(  # JSON that the model sees with its names
    {
        "tools",
        "input_schema",
        "parameters",
        "schema",
        "args",
        "response",
        "response_format",
        "responseSchema",
        "responseJsonSchema",
        "response_schema",
        "response_json_schema",
        "output_config",
    }
)
_SETTINGS = frozenset(  # members of a body that are no part of the prompt; what is not known here may be one
    {
        "model",
        "metadata",
        "labels",
        "user",
        "safety_identifier",
        "prompt_cache_key",
        "prompt_cache_retention",
        "service_tier",
        "stream_options",
        "include",
        "tool_choice",
        "toolConfig",
        "tool_config",
        "safetySettings",
        "safety_settings",
        "thinking",
        "reasoning",
        "reasoning_effort",
    }
)
_INSPECTIONS: dict[Format, Callable[[Node, Facts], None]] = {
    Format.CHAT: chat.inspect,
    Format.MESSAGES: messages.inspect,
    Format.RESPONSES: responses.inspect,
    Format.GENERATE: generate.inspect,
}
_GROUPS = ("functionDeclarations", "function_declarations", "tools")
_LIMITS = {Format.MESSAGES: "max_tokens", Format.RESPONSES: "max_output_tokens"}
_PROMPTS = {
    Format.CHAT: "messages",
    Format.MESSAGES: "messages",
    Format.RESPONSES: "input",
    Format.GENERATE: "contents",
}


def read_request(format_: Format, body: bytes, *, model: str = "", stream: bool = False) -> Asked:
    """Read a request.

    ``model`` and ``stream`` come from the path for :attr:`Format.GENERATE`, from the body for all others.
    Raises :class:`InvalidRequest` that says what is wrong where.
    """
    try:
        return _read(format_, body, model, stream=stream)
    except Malformed as error:
        raise InvalidRequest(f"{error}.") from error


def _read(format_: Format, body: bytes, model: str, *, stream: bool) -> Asked:
    node, facts = node_of(format_, _decoded(body)), Facts()
    check_steering(node)
    _INSPECTIONS[format_](node, facts)
    if not node.raw(_PROMPTS[format_]):
        raise Malformed(_PROMPTS[format_], "must not be empty")
    if format_ is not Format.GENERATE:
        model, stream = node.needed("model"), bool(node.flag("stream"))
    return Asked(
        format=format_,
        body=body,
        model=model,
        stream=stream,
        max_output=_max_output(format_, node),
        answers=_answers(format_, node),
        images=facts.images,
        documents=facts.documents,
        unbounded=facts.unbounded,
        hosted_tools=tuple(facts.hosted),
        tier=facts.tier,
        usage_wanted=format_ is not Format.CHAT or node.at("stream_options").flag("include_usage") is True,
        document=node.members(),
    )


def node_of(format_: Format, document: object) -> Node:
    """Return a document of a format, to be read."""
    return ProtoNode(document) if format_ is Format.GENERATE else Node(document)


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        document: object = json_codec.decode(body, object)
    except (ValueError, RecursionError) as error:  # bytes that are not UTF-8 are a ValueError of another kind
        raise InvalidRequest(f"The body must be JSON ({error}).") from error
    if not isinstance(document, dict):
        raise InvalidRequest("The body must be a JSON object.")
    _check_depth(cast("dict[str, Any]", document))
    return cast("dict[str, Any]", document)


def _check_depth(document: dict[str, Any]) -> None:
    level: list[object] = [document]
    for _ in range(MAXIMUM_DEPTH):
        level = [child for each in level for child in _children(each) if isinstance(child, (dict, list))]
        if not level:
            return
    raise InvalidRequest(f"The body must not be nested deeper than {MAXIMUM_DEPTH} arrays and objects.")


def _children(value: object) -> Iterable[object]:
    return cast("dict[str, object]", value).values() if isinstance(value, dict) else cast("list[object]", value)


def _max_output(format_: Format, node: Node) -> int | None:
    if format_ is Format.CHAT:
        return chat_max_output(node)
    if format_ is Format.GENERATE:
        return node.at("generationConfig").positive("maxOutputTokens")
    return node.positive(_LIMITS[format_])


def _answers(format_: Format, node: Node) -> int:
    if format_ is Format.CHAT:
        return node.positive("n") or 1
    if format_ is Format.GENERATE:
        return node.at("generationConfig").positive("candidateCount") or 1
    return 1


def text_of(asked: Asked) -> str:
    """Return everything that becomes part of the prompt, as text for a tokenizer; base64 payloads are left out."""
    return "\n".join(_texts({key: value for key, value in asked.document.items() if key not in _SETTINGS}))


def overhead_of(asked: Asked) -> int:
    """Return the tokens that a prompt can have besides those of :func:`text_of`: a safe bound."""
    messages = sum(len(cast("list[object]", value)) for value in _turns(asked.document))
    count = _tools(asked.document.get("tools"))
    framing = (messages + 1) * MESSAGE_TOKENS + (TOOLS_TOKENS + count * TOOL_TOKENS if count else 0)
    return framing + asked.images * IMAGE_TOKENS[asked.format] + asked.documents * DOCUMENT_TOKENS


def prompt_bytes(asked: Asked) -> int:
    """Return the most tokens that the prompt can be where no tokenizer is known: no more than one for each byte."""
    return size(text_of(asked)) + overhead_of(asked)


def _tools(value: object) -> int:
    """Return how many tools there are; entries of Google's and namespaces of Responses hold several each."""
    if not isinstance(value, list):
        return 0
    entries = [cast("dict[str, Any]", each) for each in cast("list[object]", value) if isinstance(each, dict)]
    return sum(max(1, *(_tools(entry.get(key)) for key in _GROUPS)) for entry in entries)


def _turns(value: object) -> Iterator[object]:
    """Yield every array of messages, blocks or parts."""
    if isinstance(value, list):
        yield cast("object", value)
        for part in cast("list[object]", value):
            yield from _turns(part)
    elif isinstance(value, dict):
        for key, member in cast("dict[str, object]", value).items():
            if key not in _VERBATIM:
                yield from _turns(member)


def _texts(members: dict[str, Any]) -> Iterator[str]:
    for key, value in members.items():
        if _is_name(key, value) or _is_payload(key, value, members):
            continue
        if key in _VERBATIM and isinstance(value, (dict, list)):
            yield compact(cast("object", value))
        elif key == "input" and isinstance(value, dict):  # of a tool
            yield compact(cast("dict[str, Any]", value))
        else:
            yield from _text(value)


def _text(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from _texts(cast("dict[str, Any]", value))
    elif isinstance(value, list):
        for part in cast("list[object]", value):
            yield from _text(part)


def _is_name(key: str, value: object) -> bool:
    return key in _NAMES and isinstance(value, str) and len(value) <= _LONGEST_NAME


def _is_payload(key: str, value: object, members: dict[str, Any]) -> bool:
    """Whether a member is the base64 of a picture or file; these are counted by number."""
    if key == "data":
        kind = members.get("type")
        return kind == "base64" or (kind is None and not _KINDS.isdisjoint(members))
    return key == "file_data" or (key in ("image_url", "url") and isinstance(value, str) and value.startswith("data:"))

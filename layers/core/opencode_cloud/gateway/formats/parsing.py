"""Reading a client's request: its members, and the facts on which the gateway decides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

from opencode_cloud.catalogue.models import Format
from opencode_cloud.contracts.tools import ToolName
from opencode_cloud.gateway.formats.facts import RequestFacts, check_steering
from opencode_cloud.gateway.formats.models import InvalidRequest, Malformed, ParsedRequest, PathTarget
from opencode_cloud.gateway.formats.reading import Node
from opencode_cloud.gateway.formats.registry import wire_format
from opencode_cloud.gateway.formats.wire import WireFormat
from opencode_cloud.kit import json_codec

MAXIMUM_DEPTH = 200
"""The deepest nesting of arrays and objects in a body."""


def read_request(format_: Format, body: bytes, target: PathTarget | None = None) -> ParsedRequest:
    """Read a request.

    ``target`` has model and streaming from the path, in formats that name them there. Raises :class:`InvalidRequest`,
    which names the error and its place.
    """
    try:
        return _read(format_, body, target)
    except Malformed as error:
        raise InvalidRequest(f"{error}.") from error


def read_count_request(format_: Format, body: bytes, model: str) -> ParsedRequest:
    """Read a request to count the tokens of a prompt. ``model`` is the one in the path; empty: it is in the body.

    Raises :class:`InvalidRequest`, which names the error and its place.
    """
    wire = wire_format(format_)
    try:
        document = wire.count_request(wire.node(decoded(body))).members()
        return _parsed(wire, body, document, PathTarget(model, stream=False) if model else None)
    except Malformed as error:
        raise InvalidRequest(f"{error}.") from error


def _read(format_: Format, body: bytes, target: PathTarget | None) -> ParsedRequest:
    wire = wire_format(format_)
    return _parsed(wire, body, decoded(body), target)


def _parsed(wire: WireFormat, body: bytes, members: dict[str, Any], target: PathTarget | None) -> ParsedRequest:
    node, facts = wire.node(members), RequestFacts()
    check_steering(node)
    wire.inspect(node, facts)
    if not node.raw(wire.prompt_member):
        raise Malformed(wire.prompt_member, "must not be empty")
    if target is None or wire.read_path is None:
        target = PathTarget(node.needed("model"), bool(node.flag("stream")))
    document = {key: value for key, value in node.members().items() if key not in facts.changes}
    document |= {key: value for key, value in facts.changes.items() if value is not None}
    return ParsedRequest(
        format=wire.name,
        body=body,
        model=target.model,
        stream=target.stream,
        max_output=wire.output_limit(node),
        answers=wire.answer_count(node),
        images=facts.images,
        documents=facts.documents,
        audio=facts.audio,
        hears=facts.hears,
        speaks=facts.speaks,
        unbounded=facts.unbounded,
        hosted_tools=tuple(facts.hosted),
        dropped=tuple(facts.dropped),
        changes=facts.changes,
        compacts=facts.compacts,
        stored=facts.stored,
        tier=facts.tier,
        usage_wanted=wire.wants_usage(node),
        document=document,
    )


def tool_names(parsed: ParsedRequest) -> Iterator[ToolName]:
    """Yield the names of the tools that a request offers to the model."""
    return wire_format(parsed.format).tool_names(parsed.document)


def node_of(format_: Format, document: object) -> Node:
    """Return a document of a format, to be read."""
    return wire_format(format_).node(document)


def decoded(body: bytes) -> dict[str, Any]:
    """Return the JSON object in a body. Raises :class:`InvalidRequest` for anything else, and for deep nesting."""
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
        level = [child for node in level for child in _children(node) if isinstance(child, (dict, list))]
        if not level:
            return
    raise InvalidRequest(f"The body must not be nested deeper than {MAXIMUM_DEPTH} arrays and objects.")


def _children(value: object) -> Iterable[object]:
    return cast("dict[str, object]", value).values() if isinstance(value, dict) else cast("list[object]", value)

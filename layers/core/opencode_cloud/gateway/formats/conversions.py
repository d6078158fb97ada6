"""Reading and writing by a format's name. A conversion is one of each."""

from __future__ import annotations

from typing import Any

from opencode_cloud.catalogue.models import Format
from opencode_cloud.contracts.usage import Tokens
from opencode_cloud.gateway.formats.models import ModelReply, ModelRequest, ParsedRequest
from opencode_cloud.gateway.formats.reading import Node
from opencode_cloud.gateway.formats.registry import wire_format
from opencode_cloud.gateway.formats.streaming import StreamReader, StreamWriter


def read_request(source: Format, node: Node) -> ModelRequest:
    """Read a request. Raises :class:`Malformed`, also for members that no other format can express."""
    return wire_format(source).read_request(node)


def write_request(target: Format, request: ModelRequest, model: str) -> dict[str, Any]:
    """Write a request for an upstream. Raises :class:`Malformed` for parts that the format cannot express."""
    return wire_format(target).write_request(request, model)


def read_answer(source: Format, node: Node) -> ModelReply:
    """Read an answer that is not streamed. Raises :class:`Malformed`."""
    return wire_format(source).read_answer(node)


def write_answer(reply: ModelReply, parsed: ParsedRequest) -> dict[str, Any]:
    """Write an answer that is not streamed, for the client that sent the request."""
    return wire_format(parsed.format).write_answer(reply, parsed)


def read_usage(source: Format, usage: object) -> Tokens | None:
    """Read an upstream's usage object leniently; None: it has no counts."""
    return wire_format(source).read_usage(usage)


def write_usage(target: Format, tokens: Tokens) -> dict[str, Any]:
    """Write a usage object."""
    return wire_format(target).write_usage(tokens)


def reader(source: Format) -> StreamReader:
    """Return a reader of an upstream's stream."""
    return wire_format(source).reader()


def writer(parsed: ParsedRequest) -> StreamWriter:
    """Return a writer of the stream for the client that sent the request."""
    return wire_format(parsed.format).writer(parsed)

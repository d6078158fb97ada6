"""Which reader and which writer belong to each format."""

from __future__ import annotations

from typing import Any

from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway.formats.chat import answers as chat_answers
from opencode_cloud.gateway.formats.chat import requests as chat_requests
from opencode_cloud.gateway.formats.chat import streams as chat_streams
from opencode_cloud.gateway.formats.generate import answers as generate_answers
from opencode_cloud.gateway.formats.generate import requests as generate_requests
from opencode_cloud.gateway.formats.generate import streams as generate_streams
from opencode_cloud.gateway.formats.messages import answers as messages_answers
from opencode_cloud.gateway.formats.messages import requests as messages_requests
from opencode_cloud.gateway.formats.messages import streams as messages_streams
from opencode_cloud.gateway.formats.models import Asked, Reply, Request
from opencode_cloud.gateway.formats.reading import Node
from opencode_cloud.gateway.formats.responses import answers as responses_answers
from opencode_cloud.gateway.formats.responses import requests as responses_requests
from opencode_cloud.gateway.formats.responses import streams as responses_streams
from opencode_cloud.gateway.formats.streaming import Reader, Writer

_REQUESTS = {
    Format.CHAT: chat_requests,
    Format.MESSAGES: messages_requests,
    Format.RESPONSES: responses_requests,
    Format.GENERATE: generate_requests,
}
_ANSWERS = {
    Format.CHAT: chat_answers,
    Format.MESSAGES: messages_answers,
    Format.RESPONSES: responses_answers,
    Format.GENERATE: generate_answers,
}
_STREAMS = {
    Format.CHAT: chat_streams,
    Format.MESSAGES: messages_streams,
    Format.RESPONSES: responses_streams,
    Format.GENERATE: generate_streams,
}


def read_request(source: Format, node: Node) -> Request:
    """Read a request. Raises :class:`Malformed`, also for what no other format can say."""
    return _REQUESTS[source].read(node)


def write_request(target: Format, request: Request, model: str) -> dict[str, Any]:
    """Write a request for an upstream. Raises :class:`Malformed` for what the format cannot say."""
    return _REQUESTS[target].write(request, model)


def read_answer(source: Format, node: Node) -> Reply:
    """Read a whole answer. Raises :class:`Malformed`."""
    return _ANSWERS[source].read(node)


def write_answer(reply: Reply, asked: Asked) -> dict[str, Any]:
    """Write a whole answer for the client that asked."""
    return _ANSWERS[asked.format].write(reply, asked)


def reader(source: Format) -> Reader:
    """Return a reader of an upstream's stream."""
    return _STREAMS[source].Reader()


def writer(asked: Asked) -> Writer:
    """Return a writer of the stream for the client that asked."""
    return _STREAMS[asked.format].Writer(asked)

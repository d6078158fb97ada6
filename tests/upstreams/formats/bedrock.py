"""Amazon Bedrock: Anthropic's Messages in the binary frames of AWS's event streams."""

from __future__ import annotations

import base64
import re
import struct
import zlib
from collections.abc import Iterator

from ..conversations import of_messages
from . import messages
from .wire import STAMP, Json, Reply, Wire, compact

STRING = 7
"""The type of a header whose value is text."""


def events(reply: Reply) -> Iterator[bytes]:
    """Write the answer piece by piece. The last frame also has the usage, as Bedrock counts it."""
    for document in messages.documents(reply):
        if document["type"] == "message_stop" and reply.usage:
            counted = {"inputTokenCount": reply.usage.input, "outputTokenCount": reply.usage.output}
            document |= {"amazon-bedrock-invocationMetrics": counted}
        yield chunk(document)


def chunk(document: Json) -> bytes:
    """Return the frame of one event."""
    if STAMP in compact(document):
        raise ValueError("the time cannot be put into base64 afterwards")
    payload = compact({"bytes": base64.b64encode(compact(document).encode()).decode(), "p": "abcdefghijk"})
    return frame({":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}, payload)


def frame(headers: dict[str, str], payload: str) -> bytes:
    """Return a frame: lengths, checksum of these, headers, payload, checksum of all."""
    named = b"".join(_header(name, value) for name, value in headers.items())
    body = payload.encode()
    prelude = struct.pack(">II", 16 + len(named) + len(body), len(named))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + named + body
    return message + struct.pack(">I", zlib.crc32(message))


def error(status: int, message: str) -> Json:
    """Write the error."""
    return {"message": message}


def too_long() -> Json:
    """Write the error for a prompt that is too long."""
    return error(400, "Input is too long for requested model.")


def error_event() -> bytes:
    """Break off."""
    kind = {":exception-type": "modelStreamErrorException", ":content-type": "application/json"}
    return frame({**kind, ":message-type": "exception"}, compact({"message": "The model is overloaded"}))


def _header(name: str, value: str) -> bytes:
    return struct.pack(f">B{len(name)}sBH", len(name), name.encode(), STRING, len(value)) + value.encode()


PATH = re.compile(r"/model/(?P<model>[^/]+)/(?P<method>invoke|invoke-with-response-stream)$")
CONTENT_TYPE = "application/vnd.amazon.eventstream"
WIRE = Wire("bedrock", PATH, of_messages, messages.whole, events, error, error_event, too_long, CONTENT_TYPE)

"""Amazon Bedrock: Anthropic's models in the Messages format, signed by the gateway's role, as a binary event stream.

Bedrock's InvokeModel takes the Messages body with two differences: the version is a member, and ``model`` and
``stream`` are not. InvokeModelWithResponseStream answers in frames of ``application/vnd.amazon.eventstream``. Each
frame contains one event of the Messages stream in Base64, which becomes a server-sent event again here.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import quote, urlsplit

import msgspec

from opencode_cloud.catalogue.models import Upstream
from opencode_cloud.gateway.beta_flags import HEADER, remove_members, sorted_flags
from opencode_cloud.gateway.models import UpstreamTarget
from opencode_cloud.kit.aws_api import endpoints
from opencode_cloud.kit.aws_api.credentials import credential_source
from opencode_cloud.kit.aws_api.signing import Signer

VERSION = "bedrock-2023-05-31"
EVENT_STREAM = "application/vnd.amazon.eventstream"
SERVICE = "bedrock"
MOST_MARKS = 4
"""The cache marks that a request may have."""
_DEFAULTS = {
    "service_tier": (None, "auto", "standard_only"),
    "inference_geo": (None, "global"),
    "speed": (None, "standard"),
}
"""Members, and their values that mean what Bedrock does without them."""


class Bedrock:
    """Signs requests to Bedrock with the credentials of the process."""

    def __init__(self) -> None:
        self._credentials = credential_source()

    def request(
        self, target: UpstreamTarget, body: bytes, passed_on: Mapping[str, str], *, stream: bool
    ) -> tuple[str, dict[str, str], bytes]:
        """Return address, signed headers and body of a request."""
        region = target.upstream.region or endpoints.region()
        base = target.base_url or f"https://bedrock-runtime.{region}.amazonaws.com"
        method = "invoke-with-response-stream" if stream else "invoke"
        url = f"{base}/model/{quote(target.model, safe='')}/{method}"
        parts = urlsplit(url)
        body = as_bedrock(body, passed_on.get(HEADER, ""), target.upstream)
        headers = {"content-type": "application/json"}
        signer = Signer(self._credentials.get(), region, SERVICE, parts.netloc, time.time(), headers)
        return url, signer.headers("POST", parts.path, body), body


def as_bedrock(body: bytes, beta: str, upstream: Upstream) -> bytes:
    """Return a Messages body as Bedrock expects it, with the flags of the header ``beta`` in it.

    All values keep their bytes.
    """
    members: dict[str, msgspec.Raw] = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    members.pop("model", None)
    members.pop("stream", None)
    members["anthropic_version"] = msgspec.Raw(msgspec.json.encode(VERSION))
    own: object = msgspec.json.decode(members.pop("anthropic_beta", b"[]"))
    named = [flag for flag in cast("list[object]", own) if isinstance(flag, str)] if isinstance(own, list) else []
    flags, _ = sorted_flags(upstream, ",".join((*named, beta)))
    if flags:
        members["anthropic_beta"] = msgspec.Raw(msgspec.json.encode(flags))
    remove_members(members, flags)
    _remove_defaults(members)
    _move_system(members)
    _move_mark(members)
    return msgspec.json.encode(members)


def _remove_defaults(members: dict[str, msgspec.Raw]) -> None:
    """Remove members with which Anthropic's API names its defaults: Bedrock does not know them."""
    for name, values in _DEFAULTS.items():
        if name in members and msgspec.json.decode(members[name]) in values:
            del members[name]


def _move_mark(members: dict[str, msgspec.Raw]) -> None:
    """Move the cache mark of a whole request to its last block: Bedrock knows marks of blocks only."""
    mark: object = msgspec.json.decode(members.pop("cache_control", b"null"))
    messages = msgspec.json.decode(members.get("messages", b"[]"), type=list[msgspec.Raw])
    if not isinstance(mark, dict) or not messages or sum(map(_marks, members.values())) >= MOST_MARKS:
        return
    last: dict[str, Any] = msgspec.json.decode(messages[-1])
    content: object = last.get("content")
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else cast("list[Any]", content)
    if blocks and isinstance(blocks[-1], dict):
        last["content"] = [*blocks[:-1], {"cache_control": mark, **blocks[-1]}]
        members["messages"] = msgspec.Raw(msgspec.json.encode([*messages[:-1], last]))


def _marks(raw: msgspec.Raw) -> int:
    return bytes(raw).count(b'"cache_control"')


def _move_system(members: dict[str, msgspec.Raw]) -> None:
    """Move messages of the system to the member ``system``: Bedrock has no flag for them in a conversation."""
    messages = msgspec.json.decode(members.get("messages", b"[]"), type=list[msgspec.Raw])
    moved = [raw for raw in messages if msgspec.json.decode(raw, type=_Role).role == "system"]
    if not moved:
        return
    texts = [msgspec.json.decode(raw, type=_SystemMessage).content for raw in moved]
    system: list[Any] = []
    for text in (msgspec.json.decode(members.get("system", b"[]")), *texts):
        # Changes of tools stand there too, which only Anthropic's API knows.
        system += [{"type": "text", "text": text}] if isinstance(text, str) else filter(_is_text, text)
    members["system"] = msgspec.Raw(msgspec.json.encode(system))
    members["messages"] = msgspec.Raw(msgspec.json.encode([raw for raw in messages if raw not in moved]))


def _is_text(block: object) -> bool:
    return isinstance(block, dict) and cast("dict[str, object]", block).get("type") == "text"


class EventStreamDecoder:
    """Turns the frames of a Bedrock answer into the server-sent events of a Messages stream."""

    def __init__(self) -> None:
        from botocore import eventstream  # slow to import, and only Bedrock needs it

        self._invalid = eventstream.ParserError
        self._buffer: Any = eventstream.EventStreamBuffer()

    def feed(self, chunk: bytes) -> bytes:
        """Return the events that ``chunk`` completes. Other bytes pass unchanged, and the relay refuses them."""
        self._buffer.add_data(chunk)
        try:
            return b"".join(_event(message) for message in self._buffer)
        except self._invalid:
            return chunk


def _event(message: Any) -> bytes:
    headers: Mapping[str, Any] = message.headers
    if headers.get(":message-type") == "event" and headers.get(":event-type") == "chunk":
        data = base64.b64decode(msgspec.json.decode(message.payload)["bytes"])
        kind = msgspec.json.decode(data, type=_Kind).type
        return b"event: %s\ndata: %s\n\n" % (kind.encode(), data)
    name = str(headers.get(":exception-type") or headers.get(":error-code") or "upstream_error")
    text = str(headers.get(":error-message") or message.payload.decode(errors="replace"))
    error = msgspec.json.encode({"type": "error", "error": {"type": name, "message": text}})
    return b"event: error\ndata: %s\n\n" % error


class _Role(msgspec.Struct):
    role: str = ""


class _SystemMessage(msgspec.Struct):
    content: str | list[Any] = ""


class _Kind(msgspec.Struct):
    type: str = "message"

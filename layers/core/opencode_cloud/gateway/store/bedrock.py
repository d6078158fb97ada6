"""Amazon Bedrock: Anthropic's models in the Messages format, signed by the gateway's role, as a binary event stream.

Bedrock's InvokeModel takes the Messages body with two differences: the version is a member, and ``model`` and
``stream`` are not. InvokeModelWithResponseStream answers in frames of ``application/vnd.amazon.eventstream``. Each
frame contains one event of the Messages stream in Base64, which becomes a server-sent event again here.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec
from boto3.session import Session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.eventstream import EventStreamBuffer, ParserError

from opencode_cloud.gateway.models import UpstreamTarget

VERSION = "bedrock-2023-05-31"
EVENT_STREAM = "application/vnd.amazon.eventstream"
SERVICE = "bedrock"


class Bedrock:
    """Signs requests to Bedrock with the credentials of the process."""

    def __init__(self) -> None:
        self._session = Session()

    def request(
        self, target: UpstreamTarget, body: bytes, passed_on: Mapping[str, str], *, stream: bool
    ) -> tuple[str, dict[str, str], bytes]:
        """Return address, signed headers and body of a request."""
        region = target.upstream.region or self._session.region_name or "us-east-1"
        base = target.base_url or f"https://bedrock-runtime.{region}.amazonaws.com"
        method = "invoke-with-response-stream" if stream else "invoke"
        url = f"{base}/model/{quote(target.model, safe='')}/{method}"
        body = as_bedrock(body, passed_on.get("anthropic-beta", ""))
        credentials = self._session.get_credentials()
        if credentials is None:
            raise RuntimeError("there are no AWS credentials to sign with")
        signed: Any = AWSRequest(method="POST", url=url, data=body, headers={"content-type": "application/json"})
        SigV4Auth(credentials, SERVICE, region).add_auth(signed)
        return url, {name.lower(): str(value) for name, value in signed.headers.items()}, body


def as_bedrock(body: bytes, beta: str) -> bytes:
    """Return a Messages body as Bedrock expects it. All values keep their bytes."""
    members: dict[str, msgspec.Raw] = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    members.pop("model", None)
    members.pop("stream", None)
    members["anthropic_version"] = msgspec.Raw(msgspec.json.encode(VERSION))
    if beta and "anthropic_beta" not in members:
        members["anthropic_beta"] = msgspec.Raw(msgspec.json.encode([name.strip() for name in beta.split(",")]))
    return msgspec.json.encode(members)


class EventStreamDecoder:
    """Turns the frames of a Bedrock answer into the server-sent events of a Messages stream."""

    def __init__(self) -> None:
        self._buffer = EventStreamBuffer()

    def feed(self, chunk: bytes) -> bytes:
        """Return the events that ``chunk`` completes. Other bytes pass unchanged, and the relay refuses them."""
        self._buffer.add_data(chunk)
        try:
            return b"".join(_event(message) for message in self._buffer)
        except ParserError:
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


class _Kind(msgspec.Struct):
    type: str = "message"

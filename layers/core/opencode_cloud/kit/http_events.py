"""Read requests and write answers of a Lambda behind an API Gateway HTTP API (payload format 2.0)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, TypeVar

import msgspec

from opencode_cloud.kit import foreign_json
from opencode_cloud.kit.content_codings import Coding, best_coding, pack
from opencode_cloud.kit.edge import EDGE, VIEWER_HEADER, Forwarded
from opencode_cloud.kit.errors import BadRequest, ServiceError
from opencode_cloud.kit.http_headers import bearer_of
from opencode_cloud.kit.networks import network_of

Body = TypeVar("Body")
Event = Mapping[str, Any]
PACK_FROM_BYTES = 16 * 1024
PRIVATE = {"Cache-Control": "private, no-store"}
CORS = {"Access-Control-Allow-Origin": "*"}


class HttpReply(msgspec.Struct):
    """The answer to a request."""

    status: int
    headers: dict[str, str]
    body: str
    base64_encoded: bool = False

    def as_event(self) -> dict[str, Any]:
        """Return the answer in Lambda's form."""
        return {
            "statusCode": int(self.status),
            "body": self.body,
            "isBase64Encoded": self.base64_encoded,
            "headers": self.headers,
            "cookies": [],
        }


def header(event: Event, name: str, default: str = "") -> str:
    """Return a request header. ``name`` must be in lower case, as API Gateway sends names."""
    headers: Mapping[str, str] = event.get("headers") or {}
    return headers.get(name, default)


def query(event: Event, name: str, default: str = "") -> str:
    """Return a parameter of the query string."""
    parameters: Mapping[str, str] = event.get("queryStringParameters") or {}
    return parameters.get(name, default)


def raw_body(event: Event) -> bytes:
    """Return the request's body as bytes, for any Content-Type."""
    body = event.get("body") or ""
    # A body that is no UTF-8 may come as text with lone surrogates. The decoder refuses the bytes that these become.
    return base64.b64decode(body) if event.get("isBase64Encoded") else body.encode("utf-8", "surrogatepass")


def decode_body(event: Event, form: type[Body]) -> Body:
    """Decode the JSON body into ``form``. Ignore the Content-Type, since clients omit it or send any.

    Raises :class:`BadRequest`, which names the error and its place.
    """
    try:
        return foreign_json.decode(raw_body(event), form)
    except ValueError as error:
        raise BadRequest("invalid_body", f"The body must be JSON of the documented form: {error}.") from error


def forwarded(event: Event, name: str) -> str:
    """Return a header that the CDN set; empty for a request that did not come through it."""
    edge: Forwarded | None = event.get(EDGE)
    return edge.header(name) if edge else ""


def is_from_edge(event: Event) -> bool:
    """Tell whether a request came through the CDN."""
    edge: Forwarded | None = event.get(EDGE)
    return edge is not None and edge.proven


def host(event: Event) -> str:
    """Return our own name: the CDN's, or else the API's. Never one that only the client says."""
    return forwarded(event, "x-forwarded-host") or str(event["requestContext"].get("domainName", ""))


def scheme(event: Event) -> str:
    """Return the scheme that the viewer used. Only the local stage uses http."""
    return forwarded(event, "x-forwarded-proto") or "https"


def base_url(event: Event, configured: str) -> str:
    """Return the configured base address, or else the CDN's own."""
    return configured.rstrip("/") if configured else f"{scheme(event)}://{host(event)}"


def arrival_ms(event: Event) -> int:
    """Return the time when the gateway received the request, in milliseconds since the epoch."""
    context = event["requestContext"]
    return int(context.get("timeEpoch") or context["requestTimeEpoch"])


def source_address(event: Event) -> str:
    """Return the client's address: the viewer's if the CDN sent the request, else the one that the API saw."""
    context = event["requestContext"]
    return forwarded(event, VIEWER_HEADER) or (context.get("http") or context["identity"])["sourceIp"]


def source_network(event: Event) -> str:
    """Return the client's network, the subject of limits by address."""
    return network_of(source_address(event))


def bearer(event: Event) -> str:
    """Return the bearer token of the header ``Authorization``; empty without one."""
    return bearer_of(header(event, "authorization"))


def reply(
    event: Event,
    body: bytes,
    content_type: str = "application/json",
    *,
    status: int = HTTPStatus.OK,
    headers: Mapping[str, str] = PRIVATE,
) -> HttpReply:
    """Answer with ``body``, compressed when it is large and the client accepts that."""
    coding = accepted_coding(event) if len(body) >= PACK_FROM_BYTES else Coding.IDENTITY
    if coding is not Coding.IDENTITY:
        return reply_packed(pack(body, coding), coding, content_type, status=status, headers=headers)
    return HttpReply(status, _typed({**CORS, **headers}, content_type), body.decode())


def reply_packed(
    packed: bytes,
    coding: Coding,
    content_type: str = "application/json",
    *,
    status: int = HTTPStatus.OK,
    headers: Mapping[str, str] = PRIVATE,
) -> HttpReply:
    """Answer with a body that is packed by ``coding``, which the client accepts."""
    vary = ", ".join(filter(None, (headers.get("Vary"), "Accept-Encoding")))
    sent = {**CORS, **headers, "Content-Encoding": coding.value, "Vary": vary}
    return HttpReply(status, _typed(sent, content_type), base64.b64encode(packed).decode(), base64_encoded=True)


def reply_binary(body: bytes, content_type: str, *, headers: Mapping[str, str] = PRIVATE) -> HttpReply:
    """Answer with a body that is no text, such as a picture, as it is."""
    sent = _typed({**CORS, **headers}, content_type)
    return HttpReply(HTTPStatus.OK, sent, base64.b64encode(body).decode(), base64_encoded=True)


def accepted_coding(event: Event) -> Coding:
    """Return the best coding that the client accepts."""
    return best_coding(header(event, "accept-encoding"))


def redirect(location: str, status: int = HTTPStatus.FOUND) -> HttpReply:
    """Answer with a redirect that must not be cached."""
    return HttpReply(status, _typed({**CORS, **PRIVATE, "Location": location}, "text/plain"), "")


def error_body(code: str, message: str, correlation_id: str) -> bytes:
    """Encode an error in the common form of our endpoints."""
    return msgspec.json.encode({"error": code, "message": message, "correlation_id": correlation_id})


def error_reply(event: Event, error: ServiceError, correlation_id: str) -> HttpReply:
    """Answer with ``error`` as JSON."""
    body = error_body(error.code, error.message, correlation_id)
    return reply(event, body, status=error.status, headers=error_headers(error))


def error_headers(error: ServiceError) -> dict[str, str]:
    """Return the headers of an answer with ``error``."""
    headers = dict(PRIVATE)
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return headers


def preflight() -> HttpReply:
    """Answer a browser's CORS preflight: all origins may call, without credentials."""
    headers = {
        **CORS,
        "Access-Control-Allow-Methods": "GET, POST, DELETE, OPTIONS",
        "Access-Control-Allow-Headers": "content-type, authorization, x-org-id, traceparent, b3",
        "Access-Control-Max-Age": "86400",
    }
    return HttpReply(HTTPStatus.NO_CONTENT, _typed(headers, "text/plain"), "")


def _typed(headers: dict[str, str], content_type: str) -> dict[str, str]:
    return headers if "Content-Type" in headers else {**headers, "Content-Type": content_type}

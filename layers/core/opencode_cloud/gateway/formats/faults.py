"""Errors: what upstreams say, and how clients of each format are told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, cast

import msgspec

from opencode_cloud.catalogue.models import Format
from opencode_cloud.gateway.formats import sse
from opencode_cloud.gateway.formats.final import final_json, final_text, is_final
from opencode_cloud.gateway.formats.models import UpstreamFault

MAXIMUM_MESSAGE = 500
"""Characters of an upstream's message that are passed on."""

_TAG = re.compile(r"<(?:script|style)\b.*?</(?:script|style)>|<[^>]*>", re.DOTALL | re.IGNORECASE)
_HTTP = re.compile(r"[1-5][0-9]{2}")
_STATUS = {  # of errors that come within a stream, where there is no HTTP status any more
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "resource_exhausted": 429,
    "invalid_request_error": 400,
    "invalid_prompt": 400,
    "invalid_argument": 400,
    "context_length_exceeded": 400,
    "api_error": 500,
    "server_error": 500,
    "timeout_error": 504,
    "deadline_exceeded": 504,
    "overloaded_error": 529,
    "server_is_overloaded": 503,
    "unavailable": 503,
}
_GOOGLE = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "FAILED_PRECONDITION",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def answer_error(format_: Format, *, status: int, code: str, message: str, details: Mapping[str, Any]) -> bytes:
    """Return the body of an error, in the form that the clients of a format read."""
    if is_final(status):
        return final_json(_answer_error(format_, status, code, final_text(message), details))
    return _answer_error(format_, status, code, message, details)


def _answer_error(format_: Format, status: int, code: str, message: str, details: Mapping[str, Any]) -> bytes:
    if format_ is not Format.GENERATE:
        return msgspec.json.encode({"type": "error", "error": _error(code, message, details)})
    error = {
        **details,
        "code": status,
        "message": message,
        "status": _google_status(status),
        "type": code,
        "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": code, "domain": "opencode-cloud"}],
    }
    return msgspec.json.encode({"error": error, "type": "error"})


def error_event(
    format_: Format,
    *,
    code: str,
    message: str,
    details: Mapping[str, Any],
    sequence: int = 0,
) -> bytes:
    """Return an error within a stream, as the clients of a format notice it. Nothing is to follow it.

    ``sequence`` is the number of the event, for Responses.
    """
    error = _error(code, message, details)
    if format_ is Format.MESSAGES:
        return sse.event("error", msgspec.json.encode({"type": "error", "error": error}))
    if format_ is Format.CHAT:
        return sse.nameless(msgspec.json.encode({"error": error, "type": "error"}))
    if format_ is Format.GENERATE:
        status = _STATUS.get(code.lower(), 500)
        return sse.nameless(answer_error(format_, status=status, code=code, message=message, details=details))
    event: dict[str, Any] = {"type": "error", "sequence_number": sequence, "param": None, "code": code}
    return sse.event("error", msgspec.json.encode({**event, "message": message, "error": error}))


def heartbeat(format_: Format) -> bytes:
    """Return bytes that every client of a format ignores between two events.

    A comment is what the standard has for it. Google's Python SDK takes each line that is neither empty nor data for a
    part of a JSON document, so its clients get an empty line, which is nothing to anybody.
    """
    return b"\n" if format_ is Format.GENERATE else b": keep-alive\n\n"


def upstream_fault(status: int, body: bytes) -> UpstreamFault:
    """Return what the body of an upstream's error says, whatever it is: JSON of any shape, HTML, text or nothing."""
    try:
        document: object = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return UpstreamFault(status=status, message=bounded(_plain(body)))
    return fault_of(document, status)


def fault_of(document: object, status: int = 0) -> UpstreamFault:
    """Return what a decoded error says; ``status`` 0: it came within a stream, and is derived."""
    while isinstance(document, list) and document:
        document = cast("list[object]", document)[0]
    if isinstance(document, str):
        return UpstreamFault(status=status or 500, message=bounded(document))
    outer = _members(cast("object", document))
    inner = outer.get("error", outer)
    if isinstance(inner, str):
        inner = {**outer, "message": outer.get("message") or inner}
    error = _members(inner)
    kind = _text(error.get("type")) or _text(error.get("status"))
    code = error.get("code")
    number = code if isinstance(code, int) else int(code) if isinstance(code, str) and _HTTP.fullmatch(code) else 0
    name = _text(code) if isinstance(code, str) and not code.isdecimal() else _text(error.get("status"))
    message = next((text for key in ("message", "detail", "msg", "Message") if (text := _text(error.get(key)))), "")
    derived = number if 400 <= number <= 599 else _STATUS.get((name or kind).lower(), _STATUS.get(kind.lower(), 500))
    return UpstreamFault(status=status or derived, code=name[:100], type=kind[:100], message=bounded(message))


def bounded(message: str) -> str:
    """Return a message as one line of bounded length."""
    words = " ".join(message[: MAXIMUM_MESSAGE * 8].split())
    return words if len(words) <= MAXIMUM_MESSAGE else words[: MAXIMUM_MESSAGE - 1] + "…"


def _error(code: str, message: str, details: Mapping[str, Any]) -> dict[str, Any]:
    return {**details, "type": code, "message": message, "code": code}


def _google_status(status: int) -> str:
    return _GOOGLE.get(status) or ("INVALID_ARGUMENT" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "INTERNAL")


def _plain(body: bytes) -> str:
    return _TAG.sub(" ", body[: MAXIMUM_MESSAGE * 40].decode("utf-8", "replace"))


def _members(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""

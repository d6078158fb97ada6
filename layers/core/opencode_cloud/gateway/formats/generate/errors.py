"""Errors of generateContent, in the form of Google's APIs (google.rpc.Status)."""

from __future__ import annotations

from http import HTTPStatus

import msgspec

from opencode_cloud.gateway.formats import sse
from opencode_cloud.gateway.formats.error_forms import google_message
from opencode_cloud.gateway.formats.models import WireError

_STATUS_NAMES = {
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


def body(error: WireError) -> bytes:
    """Write the body of an HTTP error."""
    members = {
        **error.details,
        "code": error.status,
        "message": google_message(error),
        "status": _status_name(error.status),
        "type": error.code,
        "details": [
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": error.code, "domain": "opencode-cloud"}
        ],
    }
    return msgspec.json.encode({"error": members, "type": "error"})


def event(error: WireError, _sequence: int) -> bytes:
    """Write an error within a stream. Google has no event for it, so it is the body of an HTTP error."""
    return sse.unnamed_event(body(error))


def _status_name(status: int) -> str:
    fallback = "INVALID_ARGUMENT" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "INTERNAL"
    return _STATUS_NAMES.get(status, fallback)

"""Errors of upstreams, in any form."""

from __future__ import annotations

import re
from typing import Any, cast

import msgspec

from opencode_cloud.gateway.formats.models import UpstreamFault

MAXIMUM_MESSAGE = 500
"""Number of characters of an upstream's message that are passed on."""

PROBLEMS = "; "
"""Stands between the problems of an error that names several."""
LONGEST_READ = MAXIMUM_MESSAGE * 40
"""Number of bytes of an error page that are searched for a message."""
_HIDDEN = ("script", "style")
"""Elements whose text a browser does not show."""
LONGEST_RETRY_AFTER = 86_400.0
"""Seconds. A longer wait that an upstream asks for is shortened to it."""
_TEXTS = ("message", "detail", "msg", "Message")
"""Members that hold the text of an error, or an object or list with it."""
_DURATION = re.compile(r"(?<![0-9.])([0-9]+(?:\.[0-9]*)?)s")
_HTTP = re.compile(r"[1-5][0-9]{2}")
_STATUS = {  # for errors within a stream, which have no HTTP status
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
    "throttlingexception": 429,
    "validationexception": 400,
    "modeltimeoutexception": 408,
    "serviceunavailableexception": 503,
    "internalserverexception": 500,
    "server_is_overloaded": 503,
    "unavailable": 503,
}


def upstream_fault(status: int, body: bytes) -> UpstreamFault:
    """Return the error in the body of an upstream's answer: JSON of any form, HTML, text or nothing."""
    try:
        document: object = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return UpstreamFault(status=status, message=bounded(_plain(body)))
    return fault_of(document, status)


def fault_of(document: object, status: int = 0) -> UpstreamFault:
    """Return a decoded error. With ``status`` 0 it came within a stream, and its status is derived."""
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
    message = _said(error)
    derived = number if 400 <= number <= 599 else _STATUS.get((name or kind).lower(), status_of(kind))
    return UpstreamFault(
        status=status or derived,
        code=name[:100],
        type=kind[:100],
        reason=_reason(error)[:100],
        message=bounded(message),
        retry_after=_retry_after(error),
    )


def status_of(code: str) -> int:
    """Return the HTTP status for an error's code; 500 for an unknown code."""
    return _STATUS.get(code.lower(), 500)


def bounded(message: str) -> str:
    """Return a message as one line of bounded length."""
    words = " ".join(message[: MAXIMUM_MESSAGE * 8].split())
    return words if len(words) <= MAXIMUM_MESSAGE else words[: MAXIMUM_MESSAGE - 1] + "…"


def _plain(body: bytes) -> str:
    """Return the text between the tags of an error page, in one pass and so in linear time."""
    page = body[:LONGEST_READ]
    text, lowered = page.decode("utf-8", "replace"), page.lower().decode("utf-8", "replace")
    last = {name: lowered.rfind(f"</{name}>") for name in _HIDDEN}
    shown: list[str] = []
    end = 0
    while (start := text.find("<", end)) >= 0:
        shown.append(text[end:start])
        hidden = next((name for name in _HIDDEN if lowered.startswith(name, start + 1) and last[name] > start), None)
        close = lowered.find(f"</{hidden}>", start) if hidden else start
        end = text.find(">", close) + 1
        if not end:
            return " ".join([*shown, text[start:]])
    return " ".join([*shown, text[end:]])


def _said(value: object, depth: int = 4) -> str:
    """Return the text of an error. Validators answer with a list of problems, each with its place in the request.

    All problems of a list are in the text, so that a request can be changed for all of them at once.
    """
    if isinstance(value, str) or not depth:
        return _text(value)
    if isinstance(value, list):
        problems = (_said(each, depth - 1) for each in cast("list[object]", value))
        return PROBLEMS.join(dict.fromkeys(filter(None, problems)))
    members = _members(value)
    text = next((text for key in _TEXTS if (text := _said(members.get(key), depth - 1))), "")
    place: object = members.get("loc")
    return f"{'.'.join(map(str, cast('list[object]', place)))}: {text}" if isinstance(place, list) and text else text


def _reason(error: dict[str, Any]) -> str:
    """Return the reason in the details of Google's error (google.rpc.ErrorInfo)."""
    details: object = error.get("details")
    entries = cast("list[object]", details) if isinstance(details, list) else []
    return next((reason for entry in entries if (reason := _text(_members(entry).get("reason")))), "")


def _retry_after(error: dict[str, Any]) -> float | None:
    """Return the seconds to wait in the details of Google's error (google.rpc.RetryInfo), of at most a day."""
    details: object = error.get("details")
    entries = cast("list[object]", details) if isinstance(details, list) else []
    delays = [_members(entry).get("retryDelay") for entry in entries if _is_retry_info(entry)]
    seconds = [found for delay in delays if (found := _seconds(delay)) is not None]
    return min(max(seconds), LONGEST_RETRY_AFTER) if seconds else None


def _is_retry_info(entry: object) -> bool:
    return _text(_members(entry).get("@type")).endswith("google.rpc.RetryInfo")


def _seconds(delay: object) -> float | None:
    """Return a google.protobuf.Duration in seconds: text such as `37.5s`, or an object of seconds and nanoseconds."""
    if isinstance(delay, str):
        text = _DURATION.fullmatch(delay)
        return float(text[1]) if text else None
    members = _members(delay)
    seconds, nanos = members.get("seconds", 0), members.get("nanos", 0)
    if not members or not all(isinstance(part, (int, str)) and str(part).isdecimal() for part in (seconds, nanos)):
        return None
    return int(str(seconds)[:18]) + int(str(nanos)[:9]) / 1e9


def _members(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""

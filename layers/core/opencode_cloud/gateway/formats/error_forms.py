"""Forms of the gateway's errors: each format has the vendor's own type and words, and our code beside them.

Agents act on them: they compact a conversation when they read that the prompt is too long.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, cast

import msgspec

from opencode_cloud.gateway.formats.final import final_json, final_text, is_final
from opencode_cloud.gateway.formats.models import WireError

TOO_LONG = "context_length_exceeded"
"""The code of a prompt that is longer than the model's context."""
_LONG_NUMBER = re.compile(r"(?<![\d.])\d{4,9}(?![\d.]?\d)")
_OPENAI_TYPES = {
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    429: "rate_limit_error",
}
_ANTHROPIC_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def openai_error(error: WireError) -> dict[str, Any]:
    """Return the error object for clients of OpenAI's formats."""
    kind = _type_of(error.status, _OPENAI_TYPES, "server_error")
    return {**error.details, "message": error.message, "type": kind, "param": None, "code": error.code}


def anthropic_error(error: WireError) -> dict[str, Any]:
    """Return the error object for clients of Anthropic's format."""
    message = error.message
    if error.code == TOO_LONG and not message.lower().startswith("prompt is too long"):
        counts = token_counts(message)
        message = f"prompt is too long: {counts[0]} tokens > {counts[1]} maximum" if counts else _prefixed(message)
    kind = _type_of(error.status, _ANTHROPIC_TYPES, "api_error")
    return {**error.details, "type": kind, "message": message, "code": error.code}


def google_message(error: WireError) -> str:
    """Return the message for clients of Google's format."""
    if error.code != TOO_LONG or "exceeds the maximum number of tokens" in error.message:
        return error.message
    tokens, most = token_counts(error.message) or ("", "")
    count, limit = (f" ({tokens})", f" ({most})") if tokens else ("", "")
    return f"The input token count{count} exceeds the maximum number of tokens allowed{limit}."


def token_counts(message: str) -> tuple[int, int] | None:
    """Return the tokens of a prompt and their maximum, as a vendor's message names them; None: it does not."""
    counts = sorted({int(number) for number in _LONG_NUMBER.findall(message)})
    return (counts[1], counts[0]) if len(counts) == 2 else None


def openai_body(error: WireError) -> bytes:
    """Write the body of an error for clients of OpenAI's formats."""
    return msgspec.json.encode({"type": "error", "error": openai_error(error)})


def anthropic_body(error: WireError) -> bytes:
    """Write the body of an error for clients of Anthropic's format."""
    return msgspec.json.encode({"type": "error", "error": anthropic_error(error)})


def is_openai_error(body: Mapping[str, Any]) -> bool:
    """Tell whether clients of OpenAI's formats read the error in a body."""
    return bool(_error_text(body, "message"))


def is_anthropic_error(body: Mapping[str, Any]) -> bool:
    """Tell whether clients of Anthropic's format read the error in a body: they act on its type."""
    return body.get("type") == "error" and bool(_error_text(body, "type") and _error_text(body, "message"))


def is_google_error(body: Mapping[str, Any]) -> bool:
    """Tell whether clients of Google's format read the error in a body: they act on its status."""
    return bool(_error_text(body, "status") and _error_text(body, "message"))


def _error_text(body: Mapping[str, Any], name: str) -> str:
    error: object = body.get("error")
    text = cast("dict[str, object]", error).get(name) if isinstance(error, dict) else None
    return text if isinstance(text, str) else ""


def with_finality(write: Callable[[WireError], bytes], error: WireError) -> bytes:
    """Write an error with ``write``, so that opencode does not retry a final refusal."""
    if not is_final(error.status):
        return write(error)
    return final_json(write(msgspec.structs.replace(error, message=final_text(error.message))))


def _type_of(status: int, types: Mapping[int, str], failure: str) -> str:
    return types.get(status) or ("invalid_request_error" if status < 500 else failure)


def _prefixed(message: str) -> str:
    return f"prompt is too long: {message}" if message else "prompt is too long"

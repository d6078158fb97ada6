"""Errors within streams of Responses."""

from __future__ import annotations

from typing import Any

import msgspec

from opencode_cloud.gateway.formats import sse
from opencode_cloud.gateway.formats.error_forms import openai_error
from opencode_cloud.gateway.formats.models import WireError
from opencode_cloud.gateway.formats.responses.answers import frame


def event(error: WireError, sequence: int) -> bytes:
    """Write an error within a stream, as OpenAI does in two events: SDKs raise the first, agents read the second."""
    members: dict[str, Any] = {"type": "error", "sequence_number": sequence, "param": None, "code": error.code}
    first = sse.event("error", msgspec.json.encode({**members, "message": error.message, "error": openai_error(error)}))
    failed = {**frame({}, ""), "status": "failed", "error": {"code": error.code, "message": error.message}}
    second = {"type": "response.failed", "sequence_number": sequence + 1, "response": failed}
    return first + sse.event("response.failed", msgspec.json.encode(second))


def failure_of(event: dict[str, Any]) -> object:
    """Return the error within an event of Responses, which is of several shapes."""
    if isinstance(event.get("response"), dict):
        return {"error": event["response"].get("error") or {}}
    return event if isinstance(event.get("error"), dict) else {"error": event}

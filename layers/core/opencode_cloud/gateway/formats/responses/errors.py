"""Errors within streams of Responses."""

from __future__ import annotations

from typing import Any

import msgspec

from opencode_cloud.gateway.formats import sse
from opencode_cloud.gateway.formats.error_forms import error_object
from opencode_cloud.gateway.formats.models import WireError


def event(error: WireError, sequence: int) -> bytes:
    """Write an error within a stream. OpenAI's clients read its outer members, others the error object."""
    members: dict[str, Any] = {"type": "error", "sequence_number": sequence, "param": None, "code": error.code}
    return sse.event("error", msgspec.json.encode({**members, "message": error.message, "error": error_object(error)}))


def failure_of(event: dict[str, Any]) -> object:
    """Return the error within an event of Responses, which is of several shapes."""
    if isinstance(event.get("response"), dict):
        return {"error": event["response"].get("error") or {}}
    return event if isinstance(event.get("error"), dict) else {"error": event}

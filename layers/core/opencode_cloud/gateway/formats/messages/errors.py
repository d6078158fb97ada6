"""Errors within streams of Messages."""

from __future__ import annotations

from opencode_cloud.gateway.formats import sse
from opencode_cloud.gateway.formats.error_forms import anthropic_body
from opencode_cloud.gateway.formats.models import WireError


def event(error: WireError, _sequence: int) -> bytes:
    """Write an error within a stream."""
    return sse.event("error", anthropic_body(error))

"""Errors within streams of Chat Completions."""

from __future__ import annotations

import msgspec

from opencode_cloud.gateway.formats import sse
from opencode_cloud.gateway.formats.error_forms import error_object
from opencode_cloud.gateway.formats.models import WireError


def event(error: WireError, _sequence: int) -> bytes:
    """Write an error within a stream."""
    return sse.unnamed_event(msgspec.json.encode({"error": error_object(error), "type": "error"}))

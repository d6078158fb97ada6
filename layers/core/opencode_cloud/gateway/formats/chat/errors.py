"""Errors of Chat Completions, within streams and answers."""

from __future__ import annotations

import msgspec

from opencode_cloud.gateway.formats import sse
from opencode_cloud.gateway.formats.error_forms import openai_error
from opencode_cloud.gateway.formats.faults import fault_of
from opencode_cloud.gateway.formats.models import UpstreamFault, WireError
from opencode_cloud.gateway.formats.reading import Node

_FAILURES = frozenset({"error", "network_error", "insufficient_system_resource", "abort", "engine_overloaded"})
"""Reasons for which servers stop in the middle: OpenRouter's, Z.ai's, DeepSeek's, and those of vLLM and SGLang."""


def event(error: WireError, _sequence: int) -> bytes:
    """Write an error within a stream."""
    return sse.unnamed_event(msgspec.json.encode({"error": openai_error(error), "type": "error"}))


def error_in(answer: Node) -> UpstreamFault | None:
    """Return the error in an answer or a chunk; None: it has none. Routers report errors beside or within a choice."""
    if answer.raw("error") or answer.raw("object") == "error":  # the second is an older form of vLLM
        return fault_of(answer.value)
    return error_in_choice(answer)


def error_in_choice(answer: Node) -> UpstreamFault | None:
    """Return the error in one of the choices."""
    for choice in answer.each("choices"):
        if error := choice.raw("error"):
            return fault_of({"error": error})
        if is_failure(reason := choice.raw("finish_reason")):
            return UpstreamFault(status=502, message=f"The upstream gave up without a text ({reason}).")
    return None


def is_failure(reason: object) -> bool:
    """Tell whether a reason of the end says that the upstream gave up."""
    return isinstance(reason, str) and reason.lower() in _FAILURES

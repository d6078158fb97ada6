"""The span of a model call, by OpenTelemetry's conventions for generative AI. It contains no prompt and no answer.

Reference: OpenTelemetry, "Semantic conventions for generative client AI spans"; W3C Trace Context.
"""

from __future__ import annotations

import os

import msgspec

from opencode_cloud.contracts.usage import UsageEvent
from opencode_cloud.kit.lambda_handlers import trace_of
from opencode_cloud.kit.otlp import Value
from opencode_cloud.kit.otlp_spans import Span

SAMPLED = 1


class SpanContext(msgspec.Struct, frozen=True):
    """The place of a call in a trace."""

    trace_id: str
    span_id: str
    parent_id: str = ""
    """The client's span; empty if the client sent none."""
    flags: str = "01"

    @property
    def sampled(self) -> bool:
        """False if the client asked that its trace is not recorded."""
        return bool(int(self.flags, 16) & SAMPLED)

    @property
    def traceparent(self) -> str:
        """The header by which the upstream continues the trace."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"


def continued(traceparent: str) -> SpanContext:
    """Return the place of a new call in the client's trace, or in a new one if the header is missing or invalid."""
    span_id = os.urandom(8).hex()
    if trace_id := trace_of(traceparent):
        _, _, parent_id, flags = traceparent.split("-")[:4]
        return SpanContext(trace_id, span_id, parent_id, flags)
    return SpanContext(os.urandom(16).hex(), span_id)


def span_of(event: UsageEvent, context: SpanContext, operation: str) -> Span:
    """Return the span of a call that has ended; ``operation`` is ``chat`` or ``embeddings``."""
    attributes: dict[str, Value] = {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": event.upstream,
        "gen_ai.request.model": event.requested_model or event.model,
        "gen_ai.response.model": event.upstream_model,
        "gen_ai.usage.input_tokens": event.tokens.prompt,
        "gen_ai.usage.output_tokens": event.tokens.output,
        "gen_ai.conversation.id": event.session,
        "http.response.status_code": event.status,
        "error.type": event.error,
        "opencode_cloud.call": event.id,
        "opencode_cloud.workspace": event.workspace_id,
        "opencode_cloud.key": event.key_id,
        "opencode_cloud.project": event.project,
        "opencode_cloud.agent": event.agent,
        "opencode_cloud.outcome": event.outcome,
        "opencode_cloud.attempts": event.attempts,
        "opencode_cloud.first_byte_ms": event.first_byte_ms or 0,
        "opencode_cloud.cost_micro_cents": event.cost,
    }
    return Span(
        trace_id=context.trace_id,
        span_id=context.span_id,
        parent_id=context.parent_id,
        name=f"{operation} {event.model}",
        start_ms=event.at,
        end_ms=event.at + event.total_ms,
        attributes={key: value for key, value in attributes.items() if value != ""},
        error=event.error,
    )

"""The metrics of model calls for an OpenTelemetry collector, without prompt, answer, person or session.

Reference: OpenTelemetry, "Semantic conventions for generative AI metrics", with its bounds of histograms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opencode_cloud.kit.otlp_metrics import Instrument

if TYPE_CHECKING:
    from opencode_cloud.contracts.usage import UsageEvent
    from opencode_cloud.kit.otlp import Value
    from opencode_cloud.kit.otlp_metrics import MetricExporter

TOKENS = Instrument("gen_ai.client.token.usage", "{token}", tuple(float(4**power) for power in range(14)))
DURATION = Instrument("gen_ai.server.request.duration", "s", tuple(0.01 * 2**power for power in range(14)))
FIRST_BYTE = Instrument(
    "gen_ai.server.time_to_first_token",
    "s",
    (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
)
COST = Instrument("opencode_cloud.cost", "{micro_cent}")
FAILOVERS = Instrument("opencode_cloud.failovers", "{failover}")


def record_call(meter: MetricExporter, event: UsageEvent) -> None:
    """Add a call that has ended to the metrics."""
    named: dict[str, Value] = {
        "gen_ai.request.model": event.model,
        "gen_ai.provider.name": event.upstream,
        "opencode_cloud.format": event.format,
    }
    ended = {**named, "error.type": event.error} if event.error else named
    meter.record(DURATION, event.total_ms / 1000, ended)
    if event.first_byte_ms is not None:
        meter.record(FIRST_BYTE, event.first_byte_ms / 1000, named)
    for kind, tokens in (("input", event.tokens.prompt), ("output", event.tokens.output)):
        if tokens:
            meter.record(TOKENS, tokens, {**named, "gen_ai.token.type": kind})
    if event.cost:
        meter.record(COST, event.cost, named)
    if event.attempts > 1:
        meter.record(FAILOVERS, event.attempts - 1, named)

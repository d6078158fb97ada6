"""The metrics of calls for a collector: by model and provider, never by person, session or text."""

from __future__ import annotations

from typing import cast

import msgspec

from opencode_cloud.contracts.ids import AccountId, CallId, WorkspaceId
from opencode_cloud.contracts.usage import Tokens, UsageEvent
from opencode_cloud.gateway.call_metrics import record_call
from opencode_cloud.kit.otlp_metrics import Attributes, Instrument, MetricExporter

EVENT = UsageEvent(
    id=CallId("call_1"),
    at=1000,
    workspace_id=WorkspaceId("wrk_1"),
    account_id=AccountId("acc_1"),
    model="opus",
    upstream="anthropic",
    format="messages",
    tokens=Tokens(input=7, output=3),
    cost=4200,
    first_byte_ms=40,
    total_ms=250,
    attempts=3,
    status=200,
    session="ses_p",
    metadata={"address": "203.0.113.9"},
)
NAMED = {"gen_ai.request.model": "opus", "gen_ai.provider.name": "anthropic", "opencode_cloud.format": "messages"}


class Meter:
    """Records what it is given."""

    def __init__(self) -> None:
        self.values: list[tuple[str, float, Attributes]] = []

    def record(self, instrument: Instrument, value: float, attributes: Attributes) -> None:
        self.values.append((instrument.name, value, attributes))


def recorded(event: UsageEvent) -> list[tuple[str, float, Attributes]]:
    meter = Meter()
    record_call(cast("MetricExporter", meter), event)
    return meter.values


def test_a_call_is_told_by_the_conventions_for_generative_ai() -> None:
    assert recorded(EVENT) == [
        ("gen_ai.server.request.duration", 0.25, NAMED),
        ("gen_ai.server.time_to_first_token", 0.04, NAMED),
        ("gen_ai.client.token.usage", 7, {**NAMED, "gen_ai.token.type": "input"}),
        ("gen_ai.client.token.usage", 3, {**NAMED, "gen_ai.token.type": "output"}),
        ("opencode_cloud.cost", 4200, NAMED),
        ("opencode_cloud.failovers", 2, NAMED),
    ]


def test_a_failed_call_counts_by_its_error_and_without_tokens() -> None:
    failed = msgspec.structs.replace(
        EVENT, error="upstream_failed", tokens=Tokens(), cost=0, first_byte_ms=None, attempts=1
    )
    assert recorded(failed) == [("gen_ai.server.request.duration", 0.25, {**NAMED, "error.type": "upstream_failed"})]

"""The metrics of calls, by which alarms learn of faults."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from opencode_cloud.contracts.ids import CallId, WorkspaceId
from opencode_cloud.contracts.usage import Outcome, Tokens, UsageEvent
from opencode_cloud.gateway.observing import observe
from tests.metrics import Written, written_metrics

GOOD = UsageEvent(
    id=CallId("call_1"),
    at=1000,
    workspace_id=WorkspaceId("wrk_1"),
    tokens=Tokens(input=7, output=3),
    first_byte_ms=40,
    total_ms=250,
    status=200,
    attempts=1,
)


def observed(*, settled: bool = True, **changes: Any) -> Written:
    with written_metrics() as metrics:
        observe(msgspec.structs.replace(GOOD, **changes), settled=settled)
    return metrics


def test_a_good_call_counts_once_and_raises_no_alarm() -> None:
    metrics = observed()
    assert (metrics["Requests"], metrics["TokensIn"], metrics["TokensOut"]) == ([1], [7], [3])
    assert not metrics.keys() & {"UpstreamFailures", "SettleFailures", "Failovers"}


@pytest.mark.parametrize(
    "changes",
    [{"outcome": Outcome.FAILED, "status": 502}, {"outcome": Outcome.INTERRUPTED}, {"status": 500}],
)
def test_a_call_that_fails_on_every_upstream_is_a_failure(changes: dict[str, Any]) -> None:
    assert observed(**changes)["UpstreamFailures"] == [1]


def test_a_call_that_could_not_be_settled_is_one_of_money() -> None:
    assert observed(settled=False)["SettleFailures"] == [1]


def test_the_wait_for_the_first_byte_is_measured() -> None:
    assert observed(first_byte_ms=61_000)["FirstByte"] == [61_000]
    assert "FirstByte" not in observed(first_byte_ms=None)

"""A settled call is found by its correlation id, among the newest of its workspace, also around midnight."""

from __future__ import annotations

import pytest

from opencode_cloud.contracts.ids import CallId, WorkspaceId
from opencode_cloud.contracts.usage import UsageEvent
from opencode_cloud.kit.ids import new_id
from opencode_cloud.schema.usage_events import to_row
from opencode_cloud.usage.store import settled
from opencode_cloud.usage.store.settled import CLOCKS_SECONDS, SettledCalls
from tests.unit.aws import Cloud, by_boto3

MIDNIGHT = 1_764_028_800
"""2025-11-25T00:00:00Z."""
OURS, THEIRS = WorkspaceId("wrk_ours"), WorkspaceId("wrk_theirs")


def settle(at: int, correlation_id: str, workspace: WorkspaceId = OURS, *counters: str) -> UsageEvent:
    """Write the row of a call, as the gateway does."""
    id_ = CallId(f"call_{at}{new_id('x')}")
    event = UsageEvent(id=id_, at=at * 1000, workspace_id=workspace, correlation_id=correlation_id)
    by_boto3("dynamodb").put_item(TableName="usage", Item=to_row(event, counters))
    return event


@pytest.fixture
def calls(cloud: Cloud) -> SettledCalls:
    return SettledCalls(cloud.table("usage"))


@pytest.mark.parametrize("at", [MIDNIGHT - 10, MIDNIGHT + 10])
def test_a_call_is_found_on_either_side_of_midnight(
    calls: SettledCalls, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    monkeypatch.setattr(settled, "now_seconds", lambda: MIDNIGHT + 12)
    event = settle(at, "req_1")
    for number in range(120):
        settle(at + number % 2, f"req_other_{number}")
    assert calls.find(OURS, "req_1", MIDNIGHT - 11) == event
    assert calls.find(THEIRS, "req_1", MIDNIGHT - 11) is None
    assert calls.find(OURS, "req_2", MIDNIGHT - 11) is None


def test_a_call_that_is_older_is_not_looked_for(calls: SettledCalls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settled, "now_seconds", lambda: MIDNIGHT + 3600)
    settle(MIDNIGHT + 60, "req_1")
    assert calls.find(OURS, "req_1", MIDNIGHT + 60 + CLOCKS_SECONDS) is not None
    assert calls.find(OURS, "req_1", MIDNIGHT + 61 + CLOCKS_SECONDS) is None


def test_the_counters_of_a_call_are_read_while_its_row_is_kept(calls: SettledCalls) -> None:
    event = settle(MIDNIGHT, "req_1", OURS, "budget#bud_1#2025-11", "session#wrk_ours#ses_1")
    assert calls.counters_of(event) == ("budget#bud_1#2025-11", "session#wrk_ours#ses_1")
    assert calls.counters_of(UsageEvent(id=CallId("call_gone"), at=event.at, workspace_id=OURS)) is None

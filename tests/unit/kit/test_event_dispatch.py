"""One function behind several queues, streams and a schedule."""

from __future__ import annotations

from typing import Any

import pytest

from opencode_cloud.kit.event_dispatch import Dispatch


def named(name: str) -> Any:
    return lambda event: {"by": name, "records": len(event["Records"])}


@pytest.fixture
def dispatch() -> Dispatch:
    queues = {"https://sqs.eu-west-1.amazonaws.com/1/alerts": named("alerts")}
    return Dispatch(queues, lambda: {"by": "tick"}, {"Usage-X": named("usage")})


def batch(source: str, arn: str) -> dict[str, Any]:
    return {"Records": [{"eventSource": source, "eventSourceARN": arn}] * 2}


def test_a_batch_of_a_queue_goes_to_who_understands_it(dispatch: Dispatch) -> None:
    found = dispatch.handle(batch("aws:sqs", "arn:aws:sqs:eu-west-1:1:alerts"))
    assert found == {"by": "alerts", "records": 2}


def test_a_batch_of_a_tables_stream_goes_by_the_tables_name(dispatch: Dispatch) -> None:
    arn = "arn:aws:dynamodb:eu-west-1:1:table/Usage-X/stream/2026-11-25T20:00:00.000"
    assert dispatch.handle(batch("aws:dynamodb", arn)) == {"by": "usage", "records": 2}


def test_what_is_no_batch_is_a_tick(dispatch: Dispatch) -> None:
    assert dispatch.handle({"source": "schedule"}) == {"by": "tick"}


def test_a_source_that_nobody_understands_is_an_error(dispatch: Dispatch) -> None:
    with pytest.raises(KeyError):
        dispatch.handle(batch("aws:sqs", "arn:aws:sqs:eu-west-1:1:other"))

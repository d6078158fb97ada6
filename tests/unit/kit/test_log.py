"""Log records and metrics: one line of JSON each, with the caller's correlation id."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import datetime
from typing import Any

import pytest

from opencode_cloud.kit import log
from opencode_cloud.kit.log import Metrics, logger
from opencode_cloud.kit.parallel import parallel_map


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "share")
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Cloud")
    logger.set_correlation_id("")  # other tests of this process set one


def lines(captured: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in captured.readouterr().out.splitlines()]


def test_a_record_is_one_line_with_the_keys_of_powertools(capsys: pytest.CaptureFixture[str]) -> None:
    logger.info("done\nnow %d", 1, extra={"status": 200, "at": {"a": [1]}})
    [record] = lines(capsys)
    assert (record["level"], record["message"], record["service"]) == ("INFO", "done\nnow 1", "share")
    assert (record["status"], record["at"]) == (200, {"a": [1]})
    assert record["location"].startswith("test_a_record_is_one_line_with_the_keys_of_powertools:")
    assert datetime.fromisoformat(record["timestamp"]).tzinfo is not None
    assert "correlation_id" not in record


def test_an_exception_is_written_with_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        int("broken")
    except ValueError:
        logger.exception("request failed")
    [record] = lines(capsys)
    assert (record["level"], record["exception_name"]) == ("ERROR", "ValueError")
    assert "ValueError: invalid literal" in record["exception"]


def test_a_value_that_json_does_not_know_is_written_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    logger.warning("odd", extra={"value": ValueError("x")})
    assert lines(capsys)[0]["value"] == "x"


def test_parallel_calls_carry_the_callers_correlation_id(capsys: pytest.CaptureFixture[str]) -> None:
    def request(number: int) -> None:
        logger.set_correlation_id(f"request {number}")
        parallel_map(lambda step: logger.info("step", extra={"request": number, "step": step}), range(3))
        assert logger.get_correlation_id() == f"request {number}"

    with ThreadPoolExecutor(4) as pool:
        for number in range(8):
            pool.submit(copy_context().run, request, number)
    records = lines(capsys)
    assert len(records) == 24
    assert all(record["correlation_id"] == f"request {record['request']}" for record in records)


def test_values_of_an_invocation_are_one_record_in_the_embedded_metric_format(
    capsys: pytest.CaptureFixture[str],
) -> None:
    metrics = Metrics()
    for value in (1, 2.5):
        metrics.add("Latency", "Milliseconds", value)
    metrics.add("Commits", "Count", 1)
    metrics.flush()
    metrics.flush()
    [record] = lines(capsys)
    [directive] = record["_aws"]["CloudWatchMetrics"]
    assert record["_aws"]["Timestamp"] > 1_700_000_000_000
    assert directive == {
        "Namespace": "Cloud",
        "Dimensions": [["service"]],
        "Metrics": [{"Name": "Latency", "Unit": "Milliseconds"}, {"Name": "Commits", "Unit": "Count"}],
    }
    assert (record["service"], record["Latency"], record["Commits"]) == ("share", [1, 2.5], [1])


def test_a_record_has_at_most_a_hundred_values_of_a_metric(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = Metrics()
    for value in range(250):
        metrics.add("Value", "Count", value)
    metrics.flush()
    assert [len(record["Value"]) for record in lines(capsys)] == [log.MOST_VALUES, log.MOST_VALUES, 50]

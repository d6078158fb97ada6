"""`make logs` finds lines by id, level and function, and lets no value become a part of a query."""

import json
from pathlib import Path

import pytest
from botocore.stub import ANY

from infra.operations.logs import InvalidSearch, Search, on_aws, on_emulator
from tests.infra.operations.stubs import stubbed

SHARE = "opencode-cloud-dev-sharing-ShareLogs1F-x"
ACCESS = "/aws/vendedlogs/opencode-cloud-dev/share"
RELAY = "opencode-cloud-dev-console-RelayLogs2A-x"


def _line(level: str, correlation_id: str) -> str:
    return json.dumps({"level": level, "correlation_id": correlation_id})


@pytest.mark.parametrize(
    ("search", "groups", "query"),
    [
        (Search("trace-1"), [SHARE, RELAY, ACCESS], 'filter @message like "trace-1"'),
        (Search(level="WARNING", function="share"), [SHARE, ACCESS], 'level in ["WARNING", "ERROR", "CRITICAL"] or'),
        (Search(level="ERROR", function="relay"), [RELAY], 'level in ["ERROR", "CRITICAL"] or'),
    ],
)
def test_a_query_on_aws_asks_the_logs_that_can_have_the_line(search: Search, groups: list[str], query: str) -> None:
    client, stub = stubbed("logs")
    for names in ([SHARE, RELAY], [ACCESS]):
        stub.add_response("describe_log_groups", {"logGroups": [{"logGroupName": name} for name in names]})
    asked = {"logGroupNames": groups, "startTime": ANY, "endTime": ANY, "queryString": search.query}
    stub.add_response("start_query", {"queryId": "q"}, asked)
    stub.add_response("get_query_results", {"status": "Running"}, {"queryId": "q"})
    row = [{"field": "@timestamp", "value": "2026-11-29 10:00:00"}, {"field": "@message", "value": "a line\n"}]
    stub.add_response("get_query_results", {"status": "Complete", "results": [row]}, {"queryId": "q"})
    assert list(on_aws(client, "dev", search, sleep=lambda _: None)) == ["2026-11-29 10:00:00  a line"]
    assert query in search.query
    stub.assert_no_pending_responses()


def test_the_local_stage_has_logs_of_functions_and_of_programs(tmp_path: Path) -> None:
    (tmp_path / "gateway.log").write_text(f"{_line('INFO', 'trace-1')}\n{_line('ERROR', 'trace-2')}\n")
    (tmp_path / "hub.log").write_text(f"{_line('INFO', 'trace-1')}\n")
    client, stub = stubbed("logs")
    stub.add_response("describe_log_groups", {"logGroups": [{"logGroupName": SHARE}]})
    events = [{"timestamp": at, "message": _line("INFO", f"trace-{at}")} for at in (2, 1)]
    stub.add_response("filter_log_events", {"events": events})
    assert list(on_emulator(client, tmp_path, Search("trace-1"))) == [_line("INFO", "trace-1")] * 3


def test_a_function_s_program_and_level_are_found_alone(tmp_path: Path) -> None:
    (tmp_path / "gateway.log").write_text(f"{_line('INFO', 'a')}\n{_line('ERROR', 'b')}\n")
    (tmp_path / "hub.log").write_text(f"{_line('ERROR', 'c')}\n")
    client, stub = stubbed("logs")
    stub.add_response("describe_log_groups", {"logGroups": [{"logGroupName": SHARE}]})
    assert list(on_emulator(client, tmp_path, Search(level="WARNING", function="gateway"))) == [_line("ERROR", "b")]


@pytest.mark.parametrize(
    ("text", "level", "function"),
    [('x" | display @ptr', "", ""), ("a b", "", ""), ("", "INFO", ""), ("", "", "share/../x")],
)
def test_a_value_that_is_more_than_a_value_is_refused(text: str, level: str, function: str) -> None:
    with pytest.raises(InvalidSearch):
        Search(text, level, function)

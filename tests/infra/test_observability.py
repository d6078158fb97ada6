import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.stacks.sharing import POSTERS
from tests.infra.synthesis import Synthesis

HANDLERS = (Path(__file__).parents[2] / "functions").glob("*/handler.py")
FUNCTIONS = [handler for handler in HANDLERS if handler.parent.name != "hub"]
"""The hub is a container. Only the local stage has a function of its name, which is never called."""
HUB_ALARMS = {"HubUnhealthy": 0, "HubServerErrors": 5, "HubsDead": 0, "HubRowsForged": 0, "HubPostsRefused": 100}
"""Alarms of a stage with hubs, with their thresholds."""


def test_every_alarm_tells_the_topic(watched: Synthesis) -> None:
    (topic,) = watched.resources("observability", "AWS::SNS::Topic")
    alarms = watched.properties("observability", "AWS::CloudWatch::Alarm")
    assert all(alarm["AlarmActions"] == [{"Ref": topic}] and alarm["AlarmDescription"] for alarm in alarms)
    assert all(alarm["TreatMissingData"] == "notBreaching" for alarm in alarms)


def test_what_should_wake_an_operator_does(watched: Synthesis) -> None:
    alarms = watched.properties("observability", "AWS::CloudWatch::Alarm")
    names = [alarm["MetricName"] for alarm in alarms if "MetricName" in alarm]
    assert {"5xx", "IteratorAge", "FailedPostCount", "PurgeLeftOverCount", "BodyTooLargeCount"} <= set(names)
    assert names.count("Errors") == names.count("Throttles") == len(FUNCTIONS)
    assert "ApproximateAgeOfOldestMessage" in names
    assert ("ACUUtilization" in names) == (not watched.stage.local)
    assert names.count("ApproximateNumberOfMessagesVisible") == 11
    assert {"SettleFailures", "ReservationsLost", "LedgerDrift", "FirstByte"} <= set(names)
    assert names.count("IteratorAge") == 3


def test_the_dashboard_shows_every_metric_of_ours(watched: Synthesis) -> None:
    body = json.dumps(watched.one("observability", "AWS::CloudWatch::Dashboard"))
    counted = ("CommitCount", "ItemCount", "ByteCount", "FailedPostCount", "ResumeCount", "PurgeLeftOverCount")
    assert all(name in body for name in (*counted, "FanOutLatency", "BodyTooLargeCount"))
    calls = ("Requests", "TokensIn", "TokensOut", "CostMicroCents", "FirstByte", "Failovers", "UpstreamFailures")
    calls = (*calls, "LoopStoodStill")
    money = ("ReservationsOutstanding", "ReservationsLost", "SettleFailures", "LateSettles", "LedgerDrift")
    assert all(name in body for name in (*calls, *money, "BudgetAlerts"))


def test_a_share_of_failures_counts_when_there_are_calls_enough(watched: Synthesis) -> None:
    alarms = watched.properties("observability", "AWS::CloudWatch::Alarm")
    expressions = [metric.get("Expression") for alarm in alarms for metric in alarm.get("Metrics", [])]
    shares = [expression for expression in expressions if expression]
    assert len(shares) == (0 if watched.stage.local else 2)
    assert all(expression.startswith("IF(FILL(whole, 0) >= 20") for expression in shares)


def test_whoever_stands_before_the_gateway_counts_its_answers(
    syntheses: Mapping[str, Synthesis], contained: Synthesis
) -> None:
    for synthesis, name in ((syntheses["dev"], "Url5xxCount"), (contained, "HTTPCode_Target_5XX_Count")):
        alarms = json.dumps(synthesis.properties("observability", "AWS::CloudWatch::Alarm", "GatewayServerErrors"))
        assert name in alarms


def test_containers_that_do_not_answer_wake_an_operator(contained: Synthesis) -> None:
    alarm = contained.one("observability", "AWS::CloudWatch::Alarm", "GatewayUnhealthy")
    assert (alarm["MetricName"], alarm["Threshold"]) == ("UnHealthyHostCount", 0)


def test_dead_ill_and_forged_hubs_wake_an_operator(hubbed: Synthesis) -> None:
    alarms = {name: _alarm(hubbed, name) for name in HUB_ALARMS}
    assert {name: alarm["Threshold"] for name, alarm in alarms.items()} == HUB_ALARMS
    assert alarms["HubUnhealthy"]["MetricName"] == "UnHealthyHostCount"
    assert alarms["HubPostsRefused"]["MetricName"] == "RefusedPostCount"
    answered = {metric["MetricStat"]["Metric"]["MetricName"] for metric in _parts(alarms["HubServerErrors"])}
    assert answered == {"HTTPCode_Target_5XX_Count", "HTTPCode_ELB_5XX_Count"}
    for name, counted in (("HubsDead", "DeadHubCount"), ("HubRowsForged", "ForgedHubCount")):
        metrics = [part["MetricStat"]["Metric"] for part in _parts(alarms[name])]
        assert {metric["MetricName"] for metric in metrics} == {counted}
        assert {metric["Dimensions"][0]["Value"] for metric in metrics} == {*POSTERS, "hub"}


def test_a_stage_without_hubs_has_no_alarm_of_them(syntheses: Mapping[str, Synthesis]) -> None:
    alarms = syntheses["dev"].resources("observability", "AWS::CloudWatch::Alarm")
    assert not [name for name in alarms if name.startswith("Hub")]


def test_an_operator_finds_each_alarm_of_hubs_in_the_runbook() -> None:
    runbook = (Path(__file__).parents[2] / "docs" / "operate.md").read_text()
    assert not [name for name in HUB_ALARMS if name not in runbook]


def _alarm(synthesis: Synthesis, name: str) -> dict[str, Any]:
    return synthesis.one("observability", "AWS::CloudWatch::Alarm", name)


def _parts(alarm: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the metrics in an alarm's expression."""
    return [metric for metric in alarm["Metrics"] if "MetricStat" in metric]


def test_the_operator_s_address_subscribes_where_one_is_set(watched: Synthesis) -> None:
    subscribed = [s["Endpoint"] for s in watched.properties("observability", "AWS::SNS::Subscription")]
    assert subscribed == ([watched.stage.alarm_email] if watched.stage.alarm_email else [])


def test_a_personal_stage_wakes_nobody(syntheses: Mapping[str, Synthesis]) -> None:
    assert "observability" not in syntheses["alice"].templates

import json
from pathlib import Path

from tests.infra.synthesis import Synthesis

FUNCTIONS = list((Path(__file__).parents[2] / "functions").iterdir())


def test_every_alarm_tells_the_topic(watched: Synthesis) -> None:
    (topic,) = watched.resources("observability", "AWS::SNS::Topic")
    alarms = watched.properties("observability", "AWS::CloudWatch::Alarm")
    assert all(alarm["AlarmActions"] == [{"Ref": topic}] and alarm["AlarmDescription"] for alarm in alarms)
    assert all(alarm["TreatMissingData"] == "notBreaching" for alarm in alarms)


def test_what_should_wake_an_operator_does(watched: Synthesis) -> None:
    alarms = watched.properties("observability", "AWS::CloudWatch::Alarm")
    names = [alarm["MetricName"] for alarm in alarms]
    assert {"5xx", "IteratorAge", "FailedPostCount", "PurgeLeftOverCount"} <= set(names)
    assert names.count("Errors") == names.count("Throttles") == len(FUNCTIONS)
    assert "ApproximateAgeOfOldestMessage" in names
    assert ("ACUUtilization" in names) == (not watched.stage.local)
    assert names.count("ApproximateNumberOfMessagesVisible") == 6


def test_the_dashboard_shows_every_metric_of_ours(watched: Synthesis) -> None:
    body = json.dumps(watched.one("observability", "AWS::CloudWatch::Dashboard"))
    counted = ("CommitCount", "ItemCount", "ByteCount", "FailedPostCount", "ResumeCount", "PurgeLeftOverCount")
    assert all(name in body for name in (*counted, "FanOutLatency", "BodyTooLargeCount"))


def test_the_operator_s_address_subscribes_where_one_is_set(watched: Synthesis) -> None:
    subscribed = [s["Endpoint"] for s in watched.properties("observability", "AWS::SNS::Subscription")]
    assert subscribed == ([watched.stage.alarm_email] if watched.stage.alarm_email else [])


def test_a_personal_stage_wakes_nobody(syntheses: dict[str, Synthesis]) -> None:
    assert "observability" not in syntheses["alice"].templates

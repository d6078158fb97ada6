import json

from tests.infra.synthesis import Synthesis


def test_every_alarm_tells_the_topic(synthesis: Synthesis) -> None:
    (topic,) = synthesis.resources("observability", "AWS::SNS::Topic")
    alarms = synthesis.properties("observability", "AWS::CloudWatch::Alarm")
    assert all(alarm["AlarmActions"] == [{"Ref": topic}] and alarm["AlarmDescription"] for alarm in alarms)
    assert all(alarm["TreatMissingData"] == "notBreaching" for alarm in alarms)


def test_what_should_wake_an_operator_does(synthesis: Synthesis) -> None:
    alarms = synthesis.properties("observability", "AWS::CloudWatch::Alarm")
    names = [alarm["MetricName"] for alarm in alarms]
    assert {"5xx", "IteratorAge", "FailedPostCount", "PurgeLeftOverCount"} <= set(names)
    assert names.count("Errors") == names.count("Throttles") == 5
    assert names.count("ApproximateNumberOfMessagesVisible") == 3


def test_the_dashboard_shows_every_metric_of_ours(synthesis: Synthesis) -> None:
    body = json.dumps(synthesis.one("observability", "AWS::CloudWatch::Dashboard"))
    counted = ("CommitCount", "ItemCount", "ByteCount", "FailedPostCount", "ResumeCount", "PurgeLeftOverCount")
    assert all(name in body for name in (*counted, "FanOutLatency", "BodyTooLargeCount"))


def test_the_operator_s_address_subscribes_where_one_is_set(synthesis: Synthesis) -> None:
    subscribed = [s["Endpoint"] for s in synthesis.properties("observability", "AWS::SNS::Subscription")]
    assert subscribed == ([synthesis.stage.alarm_email] if synthesis.stage.alarm_email else [])

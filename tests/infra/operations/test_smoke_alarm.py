"""The smoke test's alarm: a topic that refuses it fails the test. So do errors of sockets and of AWS."""

import pytest
from botocore.exceptions import NoCredentialsError
from websockets.exceptions import InvalidMessage

from infra.operations.smoke import Failed, raise_alarm, run
from infra.stage import load
from tests.infra.operations.stubs import stubbed

STAGE = load("dev", environ={})
NAME = "opencode-cloud-dev-observability-ServerErrors1-2"


@pytest.mark.parametrize(
    ("summaries", "failure"),
    [
        (["Successfully executed action arn:aws:sns:us-east-1:1:t"], ""),
        (["Failed to execute action arn:aws:sns:us-east-1:1:t"], "did not reach its topic"),
        ([], "did not act"),
    ],
)
def test_the_topic_must_take_the_alarm(summaries: list[str], failure: str) -> None:
    client, stub = stubbed("cloudwatch")
    prefix = {"AlarmNamePrefix": "opencode-cloud-dev-observability-ServerErrors"}
    stub.add_response("describe_alarms", {"MetricAlarms": [{"AlarmName": NAME}]}, prefix)
    stub.add_response("set_alarm_state", {})
    for _ in range(1 if summaries else 10):
        items = [{"HistorySummary": summary} for summary in summaries]
        stub.add_response("describe_alarm_history", {"AlarmHistoryItems": items})
    if failure:
        with pytest.raises(Failed, match=failure):
            raise_alarm(client, STAGE, sleep=lambda _: None)
    else:
        raise_alarm(client, STAGE, sleep=lambda _: None)
    stub.assert_no_pending_responses()


@pytest.mark.parametrize("error", [InvalidMessage("403"), NoCredentialsError()])
def test_an_error_fails_its_step_and_no_other(error: Exception) -> None:
    def breaks() -> None:
        raise error

    said: list[str] = []
    assert not run([("one", breaks), ("two", lambda: None)], said.append)
    assert said == [f"FAIL  one: {type(error).__name__}: {error}", "ok    two"]

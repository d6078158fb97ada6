import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.constructs.function import NAMESPACE
from infra.constructs.runbooks import RUNBOOKS
from infra.stacks.sharing import POSTERS
from tests.infra.synthesis import Synthesis
from tests.infra.variants import VARIANTS

ROOT = Path(__file__).parents[2]

HANDLERS = (Path(__file__).parents[2] / "functions").glob("*/handler.py")
FUNCTIONS = [handler for handler in HANDLERS if handler.parent.name != "hub"]
"""The hub is a container. Only the local stage has a function of its name, which is never called."""
HUB_ALARMS = {"HubUnhealthy": 0, "HubServerErrors": 5, "HubsDead": 0, "HubRowsForged": 0, "HubPostsRefused": 100}
"""Alarms of a stage with hubs, with their thresholds."""


def test_every_alarm_tells_the_topic(watched: Synthesis) -> None:
    (topic,) = [name for name in watched.resources("observability", "AWS::SNS::Topic") if name.startswith("Alarms")]
    alarms = watched.properties("observability", "AWS::CloudWatch::Alarm")
    assert all(alarm["AlarmActions"] == [{"Ref": topic}] for alarm in alarms)
    silent = [alarm["MetricName"] for alarm in alarms if alarm["TreatMissingData"] != "notBreaching"]
    assert silent == ["ReservationsOutstanding"], "the sweep writes it every minute"


@pytest.mark.parametrize("name", VARIANTS)
def test_every_alarm_names_its_runbook(syntheses: Mapping[str, Synthesis], name: str) -> None:
    kinds = ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm")
    synthesis = syntheses[name]
    alarms = {
        key: it
        for stack in synthesis.templates
        for kind in kinds
        for key, it in synthesis.resources(stack, kind).items()
    }
    if synthesis.stage.watched:
        assert len(alarms) > 50
    for key, alarm in alarms.items():
        _, _, anchor = alarm["Properties"]["AlarmDescription"].rpartition(f" Runbook: {RUNBOOKS}#")
        assert anchor in _runbooks(), key


def test_every_runbook_has_an_alarm_and_tells_meaning_place_and_deed(syntheses: Mapping[str, Synthesis]) -> None:
    described = json.dumps([synthesis.templates for synthesis in map(syntheses.get, VARIANTS) if synthesis])
    for anchor, text in _runbooks().items():
        assert f'{RUNBOOKS}#{anchor}"' in described, anchor
        assert re.findall(r"^- \*\*(\w+)\.\*\*", text, flags=re.MULTILINE) == ["Means", "Look", "Do"], anchor


def _runbooks() -> dict[str, str]:
    """Return the runbooks by their anchors."""
    _, *sections = re.split(r"^## ", (ROOT / RUNBOOKS).read_text(), flags=re.MULTILINE)
    return {section.partition("\n")[0].lower(): section for section in sections}


def test_one_composite_alarm_tells_what_cannot_wait(syntheses: Mapping[str, Synthesis]) -> None:
    urgent = {name: _urgent(syntheses[name]) for name in ("production", "hubbed", "contained")}
    always = {
        "ServerErrors",
        "ModelCallsFail",
        "GatewayServerErrors",
        "ProjectionsBehind",
        "EgressFails",
        "DatabaseFull",
    }
    assert urgent["production"] == urgent["contained"] == always
    assert urgent["hubbed"] == always | {"HubServerErrors"}


def _urgent(synthesis: Synthesis) -> set[str]:
    rule = json.dumps(synthesis.one("observability", "AWS::CloudWatch::CompositeAlarm")["AlarmRule"])
    alarms = synthesis.resources("observability", "AWS::CloudWatch::Alarm")
    return {key[:-8] for key in alarms if f'"{key}"' in rule}


def test_only_urgent_alarms_go_to_the_pager(syntheses: Mapping[str, Synthesis]) -> None:
    paged = syntheses["production"]
    (pager,) = [key for key in paged.resources("observability", "AWS::SNS::Topic") if key.startswith("Pager")]
    (subscribed,) = [
        it for it in paged.properties("observability", "AWS::SNS::Subscription") if it["Protocol"] == "https"
    ]
    assert (subscribed["Endpoint"], subscribed["TopicArn"]) == (paged.stage.pager_url, {"Ref": pager})
    assert paged.one("observability", "AWS::CloudWatch::CompositeAlarm")["AlarmActions"] == [{"Ref": pager}]
    (topic,) = syntheses["dev"].resources("observability", "AWS::SNS::Topic")
    assert syntheses["dev"].one("observability", "AWS::CloudWatch::CompositeAlarm")["AlarmActions"] == [{"Ref": topic}]


def test_the_end_of_a_certificate_is_watched_where_its_metric_is(syntheses: Mapping[str, Synthesis]) -> None:
    alarm = syntheses["production"].one("edge", "AWS::CloudWatch::Alarm", "CertificateEnds")
    assert "DaysToExpiry" in json.dumps(alarm["Metrics"])
    assert "observability" in json.dumps(alarm["AlarmActions"])
    assert not syntheses["dev"].resources("edge", "AWS::CloudWatch::Alarm"), "it has CloudFront's own certificate"


def test_what_should_wake_an_operator_does(watched: Synthesis) -> None:
    alarms = watched.properties("observability", "AWS::CloudWatch::Alarm")
    names = [alarm["MetricName"] for alarm in alarms if "MetricName" in alarm]
    assert {"5xx", "IteratorAge", "FailedPostCount", "PurgeLeftOverCount", "BodyTooLargeCount"} <= set(names)
    assert names.count("Errors") == names.count("Throttles") == len(FUNCTIONS)
    assert "ApproximateAgeOfOldestMessage" in names
    assert ("ACUUtilization" in names) == (not watched.stage.local)
    assert names.count("ApproximateNumberOfMessagesVisible") == 12
    assert names.count("ApproximateAgeOfOldestMessage") == 13, "twelve dead-letter queues, and that of projections"
    assert ("Reputation.BounceRate" in names) == (bool(watched.stage.mail_from) and not watched.stage.local)
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
    shares = [expression for expression in shares if "whole" in expression]
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


def _alarm(synthesis: Synthesis, name: str) -> dict[str, Any]:
    return synthesis.one("observability", "AWS::CloudWatch::Alarm", name)


def _parts(alarm: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the metrics in an alarm's expression."""
    return [metric for metric in alarm["Metrics"] if "MetricStat" in metric]


def test_the_operator_s_address_subscribes_where_one_is_set(watched: Synthesis) -> None:
    subscribed = [s["Endpoint"] for s in watched.properties("observability", "AWS::SNS::Subscription")]
    named = [watched.stage.alarm_email, watched.stage.pager_url]
    assert subscribed == [address for address in named if address]


def test_a_personal_stage_wakes_nobody(syntheses: Mapping[str, Synthesis]) -> None:
    assert "observability" not in syntheses["alice"].templates


def test_the_bill_is_told_before_and_when_it_exceeds_the_amount(syntheses: Mapping[str, Synthesis]) -> None:
    production = syntheses["production"]
    bill = production.one("observability", "AWS::Budgets::Budget")
    assert bill["Budget"]["BudgetLimit"] == {"Amount": 500, "Unit": "USD"}
    assert bill["Budget"]["TimeUnit"] == "MONTHLY"
    told = [
        (it["Notification"]["NotificationType"], it["Notification"]["Threshold"], it["Subscribers"])
        for it in bill["NotificationsWithSubscribers"]
    ]
    mail = [{"Address": production.stage.alarm_email, "SubscriptionType": "EMAIL"}]
    assert told == [("ACTUAL", 80, mail), ("FORECASTED", 100, mail)]
    assert not syntheses["dev"].resources("observability", "AWS::Budgets::Budget")


FAULTS = tomllib.loads((ROOT / "tests" / "faults.toml").read_text())
INJECTED = [(metric, test) for metric, tests in FAULTS["written"].items() for test in tests]


def test_every_alarm_reads_a_metric_whose_fault_is_known(syntheses: Mapping[str, Synthesis]) -> None:
    read = {metric for synthesis in syntheses.values() for metric in _read_by_alarms(synthesis)}
    assert {name for namespace, name in read if namespace == NAMESPACE} == FAULTS["written"].keys()
    assert {f"{namespace} {name}" for namespace, name in read if namespace != NAMESPACE} == FAULTS["counted"].keys()


@pytest.mark.parametrize(("metric", "test"), INJECTED)
def test_an_injected_fault_writes_the_metric(metric: str, test: str) -> None:
    file, _, name = test.partition("::")
    text = (ROOT / file).read_text()
    pattern = rf"^( *)(async )?def {name}\(.*?(?=^\1(?:async def|def|class|@)|\Z)"
    found = re.search(pattern, text, flags=re.MULTILINE | re.DOTALL)
    assert found, f"there is no test {test}"
    assert metric in found[0], f"{test} does not look at {metric}"


def _read_by_alarms(synthesis: Synthesis) -> Iterator[tuple[str, str]]:
    for stack in synthesis.templates:
        for alarm in synthesis.properties(stack, "AWS::CloudWatch::Alarm"):
            parts = [part["MetricStat"]["Metric"] for part in _parts(alarm)] if "Metrics" in alarm else [alarm]
            yield from ((metric["Namespace"], metric["MetricName"]) for metric in parts)

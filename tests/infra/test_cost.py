"""Idle costs of stages."""

from collections.abc import Mapping

import pytest

from infra.cost import FREE, PRICED, PriceList, UnknownCost, idle, report, resources_of
from tests.infra.synthesis import Synthesis

PRICES = PriceList.read()


def _monthly(synthesis: Synthesis) -> float:
    return sum(item.monthly for item in idle(resources_of(synthesis.templates.values()), PRICES))


def test_a_personal_stage_costs_less_than_ten_dollars_a_month(syntheses: Mapping[str, Synthesis]) -> None:
    assert 5 < _monthly(syntheses["alice"]) < 10


def test_what_runs_each_minute_is_counted_with_its_logs_reads_and_metrics(syntheses: Mapping[str, Synthesis]) -> None:
    items = {item.name: item for item in idle(resources_of(syntheses["alice"].templates.values()), PRICES)}
    assert items["custom metrics of the sweep"].monthly == pytest.approx(0.6)
    assert items["reads of the sweep"].monthly == pytest.approx(0.047, abs=0.01)
    assert 0.01 < items["logs of scheduled invocations"].monthly < 0.1


def test_an_alarm_on_an_expression_is_billed_by_its_metrics() -> None:
    metrics = [{"Expression": "a + b"}, {"MetricStat": {}}, {"MetricStat": {}}]
    (item,) = idle({"Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": {"Metrics": metrics}}}, PRICES)
    assert item.monthly == pytest.approx(0.2)


def test_production_pays_for_being_awake_and_for_a_stand_by(syntheses: Mapping[str, Synthesis]) -> None:
    items = {item.name: item for item in idle(resources_of(syntheses["production"].templates.values()), PRICES)}
    assert items["database instance at 0.5 ACU"].quantity == 2
    assert items["database instance at 0.5 ACU"].monthly == pytest.approx(2 * 0.5 * 0.12 * 730)
    assert items["NAT gateway"].monthly == pytest.approx(32.85)
    assert items["public IPv4 address"].quantity == 1


def test_containers_cost_what_runs_and_functions_for_model_calls_nothing_while_idle(
    syntheses: Mapping[str, Synthesis], contained: Synthesis
) -> None:
    items = {item.name: item for item in idle(resources_of(contained.templates.values()), PRICES)}
    assert items["gateway's container"].quantity == contained.stage.gateway.least_tasks == 2
    assert items["gateway's container"].monthly == pytest.approx(2 * 730 * 2 * (0.03238 + 2 * 0.00356))
    assert items["load balancer"].monthly == pytest.approx(16.425)
    assert items["public IPv4 address"].quantity == 3
    functions = {item.name for item in idle(resources_of(syntheses["dev"].templates.values()), PRICES)}
    assert not functions & {"gateway's container", "load balancer"}


def test_hubs_cost_what_runs(hubbed: Synthesis) -> None:
    items = {item.name: item for item in idle(resources_of(hubbed.templates.values()), PRICES)}
    assert items["hub's container"].quantity == hubbed.stage.sync.least_tasks == 2


def test_every_resource_is_priced_or_known_to_be_free(
    syntheses: Mapping[str, Synthesis], contained: Synthesis, hubbed: Synthesis
) -> None:
    assert not FREE & PRICED.keys()
    for synthesis in (*syntheses.values(), contained, hubbed):
        idle(resources_of(synthesis.templates.values()), PRICES)


def test_what_nobody_has_priced_is_named() -> None:
    with pytest.raises(UnknownCost, match="AWS::Shield::Protection"):
        idle({"Shield": {"Type": "AWS::Shield::Protection"}}, PRICES)


def test_the_report_says_the_sum_and_what_it_assumes(syntheses: Mapping[str, Synthesis]) -> None:
    alice = syntheses["alice"]
    items = idle(resources_of(alice.templates.values()), PRICES)
    text = report(alice.stage, items, PRICES)
    assert f"{sum(item.monthly for item in items):.2f}" in text
    assert PRICES.date in text
    assert "database gb: 1" in text

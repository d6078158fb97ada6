"""New versions of functions and containers take over slowly, and go back when they fail."""

import json
from collections.abc import Mapping

import pytest

from tests.infra.synthesis import Synthesis

ALIAS, GROUP = "AWS::Lambda::Alias", "AWS::CodeDeploy::DeploymentGroup"
WAITED_FOR = {"sharing": {"Share", "Live"}, "console": {"Identity", "Console"}, "gateway": {"Gateway"}}


@pytest.mark.parametrize("stack", WAITED_FOR)
def test_aliases_that_people_wait_for_shift_in_production(syntheses: Mapping[str, Synthesis], stack: str) -> None:
    production = syntheses["production"]
    aliases = production.resources(stack, ALIAS)
    shifted = {key for key, alias in aliases.items() if "CodeDeployLambdaAliasUpdate" in alias.get("UpdatePolicy", {})}
    assert {key.partition("Alias")[0] for key in shifted} == WAITED_FOR[stack]
    alarms = production.resources(stack, "AWS::CloudWatch::Alarm")
    for group in production.properties(stack, GROUP):
        assert group["DeploymentConfigName"] == "CodeDeployDefault.LambdaCanary10Percent5Minutes"
        assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]
        (alarm,) = group["AlarmConfiguration"]["Alarms"]
        watched = alarms[alarm["Name"]["Ref"]]["Properties"]
        assert (watched["Namespace"], watched["MetricName"], watched["Period"]) == ("AWS/Lambda", "Errors", 60)
        assert ":live" in json.dumps(watched["Dimensions"]), "the alias, not old versions"


@pytest.mark.parametrize("name", ["local", "alice", "switched"])
def test_other_stages_shift_at_once(syntheses: Mapping[str, Synthesis], name: str) -> None:
    for template in syntheses[name].templates.values():
        assert "CodeDeploy" not in json.dumps(template)


@pytest.mark.parametrize(("name", "stack"), [("contained", "gateway"), ("hubbed", "hub")])
def test_tasks_that_fail_give_way_to_those_before(syntheses: Mapping[str, Synthesis], name: str, stack: str) -> None:
    service = syntheses[name].one(stack, "AWS::ECS::Service")["DeploymentConfiguration"]
    assert service["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}
    alarm = syntheses[name].one(stack, "AWS::CloudWatch::Alarm")
    assert service["Alarms"] == {"AlarmNames": [alarm["AlarmName"]], "Enable": True, "Rollback": True}
    assert alarm["MetricName"] == "HTTPCode_Target_5XX_Count"
    (key,) = syntheses[name].resources(stack, "AWS::CloudWatch::Alarm")
    (resource,) = syntheses[name].resources(stack, "AWS::ECS::Service").values()
    assert key in resource["DependsOn"]

"""Stages that serve model calls in containers."""

import json
from collections.abc import Mapping
from typing import Any

from infra.constructs.containers import DRAINING, IDLE
from infra.stacks.gateway import ADAPTER_SETTINGS
from tests.infra.synthesis import Synthesis
from tests.infra.test_gateway import GATEWAY, _rows

SERVING = {"HOST", "KEEP_ALIVE", "PORT", "GATEWAY_GRACE", "GATEWAY_STREAMS", "GATEWAY_WORKERS", "LONGEST_BODY"}
"""How a container serves HTTP. A function has Lambda's web adapter for it."""


def _container(contained: Synthesis) -> dict[str, Any]:
    (container,) = contained.one("gateway", "AWS::ECS::TaskDefinition")["ContainerDefinitions"]
    return container


def test_there_is_no_function_then(contained: Synthesis) -> None:
    handlers = [function["Handler"] for function in contained.properties("gateway", "AWS::Lambda::Function")]
    assert handlers == ["handler.handler"]
    assert not contained.resources("gateway", "AWS::Lambda::Url")


def test_a_container_has_the_settings_of_the_function_and_those_of_a_server(
    contained: Synthesis, syntheses: Mapping[str, Synthesis]
) -> None:
    (function,) = [
        each for each in syntheses["dev"].properties("gateway", "AWS::Lambda::Function") if each["Handler"] == "run.sh"
    ]
    given = {variable["Name"] for variable in _container(contained)["Environment"]}
    assert given == (function["Environment"]["Variables"].keys() - ADAPTER_SETTINGS.keys()) | SERVING


def test_a_rollback_finds_the_revision_before(contained: Synthesis) -> None:
    (definition,) = contained.resources("gateway", "AWS::ECS::TaskDefinition").values()
    assert (definition["UpdateReplacePolicy"], definition["DeletionPolicy"]) == ("Retain", "Delete")
    (service,) = contained.resources("gateway", "AWS::ECS::Service")
    assert contained.templates["gateway"]["Outputs"]["GatewayServiceArn"]["Value"] == {"Ref": service}


def test_a_container_has_the_rights_of_the_function(contained: Synthesis) -> None:
    assert _rows(contained, "GatewayRole") == GATEWAY


def test_each_processor_of_a_container_has_a_process_and_each_process_its_part_of_the_streams(
    contained: Synthesis,
) -> None:
    given = {variable["Name"]: variable["Value"] for variable in _container(contained)["Environment"]}
    settings = contained.stage.gateway
    processes = int(given["GATEWAY_WORKERS"])
    assert processes * 1024 == settings.task_cpu > 1024
    assert processes * int(given["GATEWAY_STREAMS"]) == settings.streams_per_task


def test_a_container_cannot_change_itself_and_has_time_for_its_streams(contained: Synthesis) -> None:
    container = _container(contained)
    assert container["ReadonlyRootFilesystem"] is True
    assert container["StopTimeout"] == DRAINING.to_seconds()
    given = {variable["Name"]: variable["Value"] for variable in container["Environment"]}
    assert 60 < int(given["GATEWAY_GRACE"]) < container["StopTimeout"]
    attributes = contained.one("gateway", "AWS::ElasticLoadBalancingV2::LoadBalancer")["LoadBalancerAttributes"]
    (idle,) = [it["Value"] for it in attributes if it["Key"] == "idle_timeout.timeout_seconds"]
    # A server that ends an idle connection first gets requests that it no longer answers: 502.
    assert int(given["KEEP_ALIVE"]) > int(idle)


def test_streams_outlast_the_balancer_s_patience(contained: Synthesis) -> None:
    balancer = contained.one("gateway", "AWS::ElasticLoadBalancingV2::LoadBalancer")
    attributes = {a["Key"]: a["Value"] for a in balancer["LoadBalancerAttributes"]}
    assert attributes["idle_timeout.timeout_seconds"] == str(IDLE.to_seconds())
    assert balancer["Scheme"] == "internal"


def test_nobody_but_the_balancer_reaches_a_task(contained: Synthesis) -> None:
    ingress = contained.properties("gateway", "AWS::EC2::SecurityGroupIngress")
    assert ingress
    assert all("SourceSecurityGroupId" in rule and rule["FromPort"] == 8080 for rule in ingress)


def test_the_balancer_has_no_way_from_the_internet(contained: Synthesis) -> None:
    subnets = json.dumps(contained.one("gateway", "AWS::ElasticLoadBalancingV2::LoadBalancer")["Subnets"])
    assert "BalancerSubnet" in subnets
    routes = json.dumps(contained.properties("gateway", "AWS::EC2::Route"))
    assert "TasksSubnet" in routes
    assert "BalancerSubnet" not in routes


def test_tasks_grow_with_work(contained: Synthesis) -> None:
    target = contained.one("gateway", "AWS::ApplicationAutoScaling::ScalableTarget")
    settings = contained.stage.gateway
    assert (target["MinCapacity"], target["MaxCapacity"]) == (settings.least_tasks, settings.most_tasks)
    policies = contained.properties("gateway", "AWS::ApplicationAutoScaling::ScalingPolicy")
    followed = {
        policy["TargetTrackingScalingPolicyConfiguration"]["PredefinedMetricSpecification"]["PredefinedMetricType"]
        for policy in policies
    }
    assert followed == {"ECSServiceAverageCPUUtilization", "ALBRequestCountPerTarget"}


def test_a_synthesis_asks_no_account_for_its_zones(contained: Synthesis) -> None:
    subnets = contained.properties("gateway", "AWS::EC2::Subnet")
    assert len(subnets) == 4
    assert all("Fn::GetAZs" in str(subnet["AvailabilityZone"]) for subnet in subnets)

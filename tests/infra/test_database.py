"""The database on AWS, and the network around it."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.constructs import egress
from infra.stage import InvalidStage, load
from tests.infra.synthesis import Synthesis


def _cluster(synthesis: Synthesis) -> dict[str, Any]:
    return synthesis.one("database", "AWS::RDS::DBCluster")


def test_the_laptop_has_none(syntheses: Mapping[str, Synthesis]) -> None:
    assert "database" not in syntheses["local"].templates


def test_it_sleeps_when_nobody_uses_it_but_in_production(on_aws: Synthesis) -> None:
    scaling = _cluster(on_aws)["ServerlessV2ScalingConfiguration"]
    if on_aws.stage.name == "production":
        assert scaling["MinCapacity"] >= 0.5
        assert "SecondsUntilAutoPause" not in scaling
    else:
        assert scaling["MinCapacity"] == 0
        assert scaling["SecondsUntilAutoPause"] >= 300


def test_it_is_encrypted_backed_up_and_takes_tokens_over_tls(on_aws: Synthesis) -> None:
    cluster = _cluster(on_aws)
    assert cluster["StorageEncrypted"]
    assert cluster["EnableIAMDatabaseAuthentication"]
    assert cluster["BackupRetentionPeriod"] == on_aws.stage.database.backup_days
    assert cluster["DeletionProtection"] == (on_aws.stage.name == "production")
    parameters = on_aws.one("database", "AWS::RDS::DBClusterParameterGroup")["Parameters"]
    assert parameters["require_secure_transport"] == "ON"
    # An idle connection would keep the database awake for hours.
    assert int(parameters["wait_timeout"]) <= 300


def test_production_has_somebody_to_take_over(on_aws: Synthesis) -> None:
    instances = on_aws.properties("database", "AWS::RDS::DBInstance")
    assert len(instances) == (2 if on_aws.stage.name == "production" else 1)
    assert all(not instance.get("PubliclyAccessible") for instance in instances)


def test_nobody_but_its_functions_reaches_it(on_aws: Synthesis) -> None:
    rules = on_aws.properties("database", "AWS::EC2::SecurityGroupIngress", "Servers")
    assert [rule["FromPort"] for rule in rules] == [3306]
    assert all("SourceSecurityGroupId" in rule and "CidrIp" not in rule for rule in rules)


def test_aws_s_stores_are_reached_without_the_internet(on_aws: Synthesis) -> None:
    endpoints = on_aws.properties("database", "AWS::EC2::VPCEndpoint")
    assert [endpoint["VpcEndpointType"] for endpoint in endpoints] == ["Gateway", "Gateway"]


def test_production_reaches_the_internet_by_a_gateway(syntheses: Mapping[str, Synthesis]) -> None:
    production = syntheses["production"]
    assert len(production.resources("database", "AWS::EC2::NatGateway")) == 1
    assert not production.resources("database", "AWS::EC2::Instance")
    alarm = production.one("observability", "AWS::CloudWatch::Alarm", "EgressFails")
    assert (alarm["MetricName"], alarm["Threshold"]) == ("ErrorPortAllocation", 0)


def test_a_nat_instance_is_small_pinned_and_looked_after(syntheses: Mapping[str, Synthesis]) -> None:
    dev = syntheses["dev"]
    instance = dev.one("database", "AWS::EC2::Instance")
    assert instance["InstanceType"] == "t4g.nano"
    assert instance["SourceDestCheck"] is False
    assert instance["NetworkInterfaces"][0]["AssociatePublicIpAddress"]
    # EC2 looks up the image of a launch template when it starts the instance. CloudFormation sees no change of it.
    assert "ImageId" not in instance
    assert instance["LaunchTemplate"]["Version"] == "1"
    template = dev.one("database", "AWS::EC2::LaunchTemplate")["LaunchTemplateData"]
    assert template["ImageId"].startswith("resolve:ssm:/aws/service/ami-amazon-linux-latest/")
    alarms = dev.properties("database", "AWS::CloudWatch::Alarm", "Nat")
    actions = {alarm["MetricName"]: str(alarm["AlarmActions"]) for alarm in alarms}
    assert "ec2:recover" in actions["StatusCheckFailed_System"]
    assert "ec2:reboot" in actions["StatusCheckFailed_Instance"]
    assert dev.one("observability", "AWS::CloudWatch::Alarm", "EgressFails")["MetricName"] == "StatusCheckFailed"


def test_the_rules_of_a_nat_instance_are_those_of_nftables(tmp_path: Path) -> None:
    _, _, rest = egress.BOOT.format(cidr="10.74.0.0/20").partition("<<'RULES'\n")
    rules, _, _ = rest.partition("RULES\n")
    assert "ip saddr 10.74.0.0/20 ip daddr != 10.74.0.0/20 masquerade" in rules
    (tmp_path / "boot.sh").write_text(egress.BOOT.format(cidr="10.74.0.0/20"))
    subprocess.run(["bash", "-n", tmp_path / "boot.sh"], check=True)
    (tmp_path / "rules.nft").write_text(rules)
    if nft := shutil.which("nft", path="/usr/sbin:/usr/bin:/sbin"):
        subprocess.run([nft, "--check", "--file", tmp_path / "rules.nft"], check=True)


def test_a_personal_stage_reaches_the_internet_over_ipv6_for_nothing(syntheses: Mapping[str, Synthesis]) -> None:
    alice = syntheses["alice"]
    for kind in ("NatGateway", "Instance", "EIP"):
        assert not alice.resources("database", f"AWS::EC2::{kind}")
    assert alice.resources("database", "AWS::EC2::EgressOnlyInternetGateway")
    routes = alice.properties("database", "AWS::EC2::Route", "NetworkFunctionsSubnet")
    assert [route["DestinationIpv6CidrBlock"] for route in routes] == ["::/0", "::/0"]
    for name in ("Console", "Migrate"):
        function = alice.one("console", "AWS::Lambda::Function", name)
        assert function["VpcConfig"]["Ipv6AllowedForDualStack"]
        assert function["Environment"]["Variables"]["AWS_USE_DUALSTACK_ENDPOINT"] == "true"
    # Functions outside the VPC reach every address.
    assert "AWS_USE_DUALSTACK_ENDPOINT" not in str(alice.templates["sharing"])


def test_a_synthesis_asks_no_account_for_its_zones(on_aws: Synthesis) -> None:
    subnets = on_aws.properties("database", "AWS::EC2::Subnet")
    assert all("Fn::GetAZs" in str(subnet["AvailabilityZone"]) for subnet in subnets)


def test_networks_are_in_the_zones_that_a_stage_names(hubbed: Synthesis) -> None:
    for stack in ("database", "hub"):
        subnets = hubbed.properties(stack, "AWS::EC2::Subnet")
        assert {subnet["AvailabilityZone"] for subnet in subnets} == {"us-east-1b", "us-east-1c"}


def test_rds_proxy_is_refused_where_the_database_should_sleep(tmp_path: Path) -> None:
    file = tmp_path / "stage.toml"
    file.write_text("[database]\nproxy = true\n")
    with pytest.raises(InvalidStage, match="never pauses"):
        load("dev", file, environ={})


def test_rds_proxy_stands_between_where_a_stage_wants_it(syntheses: Mapping[str, Synthesis]) -> None:
    made = syntheses["switched"]
    proxy = made.one("database", "AWS::RDS::DBProxy")
    assert proxy["RequireTLS"]
    assert proxy["DefaultAuthScheme"] == "IAM_AUTH"
    assert "Tags" not in made.one("database", "AWS::RDS::DBProxyTargetGroup"), "CloudFormation's schema has none"
    variables = made.one("console", "AWS::Lambda::Function", "Console")["Environment"]["Variables"]
    assert "Proxy" in str(variables["DATABASE_HOST"])
    policies = str(made.properties("console", "AWS::IAM::Policy", "Console"))
    assert "rds-db:connect" in policies
    assert "ProxyId" in policies

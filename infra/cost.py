"""`make cost STAGE=...`: the monthly idle cost of a stage, from its templates and dated prices.

Every type of resource must be priced or listed as free while idle. Any other type is an error, so that no new type is
added without a check of its price.
"""

import json
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.app import build
from infra.stage import InvalidStage, Stage, from_environment

EACH_MINUTE = 1 / 60
"""Hours between the runs of a schedule."""

PRICES = Path(__file__).parent / "prices.toml"
Properties = Mapping[str, Any]
Resources = Mapping[str, Mapping[str, Any]]

FREE = frozenset(
    {
        "AWS::ApiGateway::Account",
        "AWS::ApplicationAutoScaling::ScalableTarget",
        "AWS::ApiGatewayV2::Api",
        "AWS::ApiGatewayV2::Integration",
        "AWS::ApiGatewayV2::Route",
        "AWS::ApiGatewayV2::RouteResponse",
        "AWS::ApiGatewayV2::Stage",
        "AWS::Backup::BackupPlan",
        "AWS::Backup::BackupSelection",
        "AWS::Budgets::Budget",
        "AWS::CDK::Metadata",
        "AWS::CertificateManager::Certificate",
        "AWS::CloudFront::Distribution",
        "AWS::CloudFront::Function",
        "AWS::CloudFront::OriginAccessControl",
        "AWS::CloudFront::ResponseHeadersPolicy",
        "AWS::CloudFront::VpcOrigin",
        "AWS::DynamoDB::GlobalTable",
        "AWS::EC2::EgressOnlyInternetGateway",
        "AWS::EC2::InternetGateway",
        "AWS::EC2::LaunchTemplate",
        "AWS::EC2::Route",
        "AWS::EC2::RouteTable",
        "AWS::EC2::SecurityGroup",
        "AWS::EC2::SecurityGroupEgress",
        "AWS::EC2::SecurityGroupIngress",
        "AWS::EC2::Subnet",
        "AWS::EC2::SubnetRouteTableAssociation",
        "AWS::EC2::VPC",
        "AWS::EC2::VPCCidrBlock",
        "AWS::EC2::VPCEndpoint",
        "AWS::EC2::VPCGatewayAttachment",
        "AWS::CodeDeploy::Application",
        "AWS::CodeDeploy::DeploymentGroup",
        "AWS::ECS::Cluster",
        "AWS::ElasticLoadBalancingV2::Listener",
        "AWS::ElasticLoadBalancingV2::TargetGroup",
        "AWS::IAM::InstanceProfile",
        "AWS::IAM::Policy",
        "AWS::IAM::Role",
        "AWS::Lambda::Alias",
        "AWS::Lambda::EventInvokeConfig",
        "AWS::Lambda::LayerVersion",
        "AWS::Lambda::Permission",
        "AWS::Lambda::Url",
        "AWS::Lambda::Version",
        "AWS::Logs::LogGroup",
        "AWS::Logs::MetricFilter",
        "AWS::RDS::DBClusterParameterGroup",
        "AWS::RDS::DBProxyTargetGroup",
        "AWS::RDS::DBSubnetGroup",
        "AWS::Route53::RecordSet",
        "AWS::S3::Bucket",
        "AWS::S3::BucketPolicy",
        "AWS::SES::ConfigurationSet",
        "AWS::SES::EmailIdentity",
        "AWS::SES::ConfigurationSetEventDestination",
        "AWS::SNS::Subscription",
        "AWS::SNS::Topic",
        "AWS::SNS::TopicPolicy",
        "AWS::SQS::Queue",
        "AWS::SQS::QueuePolicy",
        "AWS::SecretsManager::SecretTargetAttachment",
        "Custom::Migration",
        "Custom::S3AutoDeleteObjects",
    }
)
"""Types that cost nothing while idle: priced by use, or by stored bytes, of which an idle stage has hardly any."""


class UnknownCost(Exception):
    """A template has a type of resource without a known price."""


@dataclass(frozen=True)
class Item:
    """One line of the bill: name, quantity, and US$ a month for all of them."""

    name: str
    quantity: int
    monthly: float


@dataclass(frozen=True)
class PriceList:
    """Prices in US$, and assumptions about facts that templates do not contain."""

    date: str
    region: str
    prices: Mapping[str, Any]
    assumptions: Mapping[str, float]

    @classmethod
    def read(cls) -> "PriceList":
        """Read the file."""
        text = tomllib.loads(PRICES.read_text())
        return cls(str(text["date"]), text["region"], text["prices"], text["assumptions"])

    @property
    def hours(self) -> float:
        """Hours of a month."""
        return self.assumptions["hours_a_month"]


def idle(resources: Resources, prices: PriceList) -> list[Item]:
    """Return the monthly idle costs of `resources` (by logical id, of all stacks), highest first.

    Raises:
        UnknownCost: naming the types that are neither priced nor free.
    """
    kinds = {resource["Type"] for resource in resources.values()}
    if unknown := kinds - FREE - PRICED.keys():
        raise UnknownCost(f"infra/cost.py does not know what these cost: {', '.join(sorted(unknown))}")
    costs: dict[str, list[float]] = {}
    for kind, price in PRICED.items():
        for properties in _of(resources, kind):
            for name, monthly in price(properties, prices, resources):
                costs.setdefault(name, []).append(monthly)
    items = [Item(name, len(amounts), sum(amounts)) for name, amounts in costs.items()]
    return sorted((item for item in items if item.monthly), key=lambda item: -item.monthly)


def _of(resources: Resources, kind: str) -> list[Properties]:
    return [resource.get("Properties", {}) for resource in resources.values() if resource["Type"] == kind]


Lines = Iterator[tuple[str, float]]
Price = Callable[[Properties, PriceList, Resources], Lines]


def _flat(name: str, price: str) -> Price:
    def lines(_properties: Properties, prices: PriceList, _resources: Resources) -> Lines:
        yield name, prices.prices[price]

    return lines


def _nat_gateway(_properties: Properties, prices: PriceList, _resources: Resources) -> Lines:
    yield "NAT gateway", prices.prices["nat_gateway_hour"] * prices.hours


def _address(_properties: Properties, prices: PriceList, _resources: Resources) -> Lines:
    yield "public IPv4 address", prices.prices["public_ipv4_hour"] * prices.hours


def _instance(properties: Properties, prices: PriceList, resources: Resources) -> Lines:
    kind = properties["InstanceType"]
    yield f"NAT instance ({kind})", prices.prices["instance_hour"][kind] * prices.hours
    yield "its volume", prices.prices["volume_gb_month"] * prices.assumptions["nat_volume_gb"]
    if any(interface.get("AssociatePublicIpAddress") for interface in properties.get("NetworkInterfaces", [])):
        yield from _address(properties, prices, resources)


def _cluster(properties: Properties, prices: PriceList, resources: Resources) -> Lines:
    scaling = properties["ServerlessV2ScalingConfiguration"]
    instances = len(_of(resources, "AWS::RDS::DBInstance"))
    acu_hour = prices.prices["acu_hour"]
    yield "database storage", prices.prices["aurora_gb_month"] * prices.assumptions["database_gb"]
    if scaling["MinCapacity"]:
        for _ in range(instances):
            acus = scaling["MinCapacity"]
            yield f"database instance at {acus:g} ACU", acus * acu_hour * prices.hours
    else:
        wakes, acus = prices.assumptions["wakes_a_month"], prices.assumptions["woken_acus"]
        connection_seconds = prices.assumptions["connection_seconds"]
        awake_hours = wakes * (scaling["SecondsUntilAutoPause"] + connection_seconds) / 3600
        yield "database woken once a day", awake_hours * acus * acu_hour * instances


def _with_another(_properties: Properties, _prices: PriceList, _resources: Resources) -> Lines:
    yield from ()


def _proxy(_properties: Properties, prices: PriceList, _resources: Resources) -> Lines:
    acus = prices.assumptions["rds_proxy_least_acus"]
    yield "RDS Proxy", prices.prices["rds_proxy_acu_hour"] * acus * prices.hours


def _tasks(properties: Properties, prices: PriceList, resources: Resources) -> Lines:
    name = properties["TaskDefinition"]["Ref"]
    task = next(it["Properties"] for key, it in resources.items() if key.endswith(f"/{name}"))
    (container,) = task["ContainerDefinitions"]
    architecture = "arm64" if task["RuntimePlatform"]["CpuArchitecture"] == "ARM64" else "x86_64"
    price = prices.prices["fargate"][architecture]
    hour = int(task["Cpu"]) / 1024 * price["vcpu_hour"] + int(task["Memory"]) / 1024 * price["gb_hour"]
    for _ in range(properties["DesiredCount"]):
        yield f"{container['Name'].lower()}'s container", hour * prices.hours
        yield from _address(properties, prices, resources)


def _scaling(_properties: Properties, prices: PriceList, _resources: Resources) -> Lines:
    # Target tracking creates two alarms.
    yield "alarms that scale containers", 2 * prices.prices["alarm"]


def _balancer(_properties: Properties, prices: PriceList, _resources: Resources) -> Lines:
    yield "load balancer", prices.prices["load_balancer_hour"] * prices.hours


def _function(properties: Properties, prices: PriceList, _resources: Resources) -> Lines:
    if properties.get("SnapStart"):
        seconds = prices.hours * 3600
        yield "SnapStart snapshot", properties["MemorySize"] / 1024 * seconds * prices.prices["snap_start_gb_second"]


def _event_source(properties: Properties, prices: PriceList, _resources: Resources) -> Lines:
    if "StartingPosition" in properties:
        return  # a DynamoDB stream, which Lambda reads free of charge
    assumptions = prices.assumptions
    polls = prices.hours * 3600 / assumptions["queue_poll_seconds"] * assumptions["queue_polls_at_once"]
    yield "queue, polled by Lambda", polls / 1e6 * prices.prices["sqs_million_requests"]


def _alarm(properties: Properties, prices: PriceList, _resources: Resources) -> Lines:
    """Price an alarm, which is billed by the metrics that it reads."""
    read = [metric for metric in properties.get("Metrics", []) if "MetricStat" in metric]
    yield "alarm, by the metric", max(1, len(read)) * prices.prices["alarm"]


def _schedule(properties: Properties, prices: PriceList, _resources: Resources) -> Lines:
    every = {"rate(5 minutes)": 1 / 12, "rate(1 minute)": EACH_MINUTE}.get(properties.get("ScheduleExpression", ""), 24)
    invocations = prices.hours / every
    seconds = invocations * prices.assumptions["scheduled_seconds"]
    yield "scheduled invocations", seconds * prices.prices["lambda_gb_second"]
    logged = invocations * prices.assumptions["logged_bytes_a_run"] / 1e9
    yield "logs of scheduled invocations", logged * prices.prices["log_gb"]
    if every == EACH_MINUTE:
        # The sweep of reservations: it reads each shard of the index of leases, and writes two metrics.
        reads = invocations * prices.assumptions["reads_a_minute"]
        yield "reads of the sweep", reads / 1e6 * prices.prices["million_read_units"]
        yield "custom metrics of the sweep", prices.assumptions["metrics_of_the_sweep"] * prices.prices["metric"]


def _vault(properties: Properties, prices: PriceList, _resources: Resources) -> Lines:
    """Price the backups of an idle stage: the first one is whole, and later ones hold hardly any change."""
    kept = (
        prices.assumptions["database_gb"]
        + prices.assumptions["changed_gb_a_day"] * properties["LockConfiguration"]["MinRetentionDays"]
    )
    yield "backups of the database", kept * prices.prices["backup_aurora_gb_month"]


def _firewall(properties: Properties, prices: PriceList, _resources: Resources) -> Lines:
    yield "firewall", prices.prices["web_acl"]
    for _ in properties["Rules"]:
        yield "rule of the firewall", prices.prices["web_acl_rule"]


PRICED: Mapping[str, Price] = {
    "AWS::Backup::BackupVault": _vault,
    "AWS::CloudWatch::Alarm": _alarm,
    "AWS::CloudWatch::CompositeAlarm": _flat("composite alarm", "composite_alarm"),
    "AWS::CloudWatch::Dashboard": _flat("dashboard", "dashboard"),
    "AWS::EC2::EIP": _address,
    "AWS::EC2::Instance": _instance,
    "AWS::EC2::NatGateway": _nat_gateway,
    "AWS::ECS::Service": _tasks,
    "AWS::ECS::TaskDefinition": _with_another,
    "AWS::ElasticLoadBalancingV2::LoadBalancer": _balancer,
    "AWS::ApplicationAutoScaling::ScalingPolicy": _scaling,
    "AWS::Events::Rule": _schedule,
    "AWS::KMS::Key": _flat("KMS key", "kms_key"),
    "AWS::Lambda::EventSourceMapping": _event_source,
    "AWS::Lambda::Function": _function,
    "AWS::RDS::DBCluster": _cluster,
    "AWS::RDS::DBInstance": _with_another,
    "AWS::RDS::DBProxy": _proxy,
    "AWS::SecretsManager::Secret": _flat("secret", "secret"),
    "AWS::WAFv2::WebACL": _firewall,
}


def resources_of(templates: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return the resources of all templates. The template's number makes their ids unique."""
    return {
        f"{number}/{name}": resource
        for number, template in enumerate(templates)
        for name, resource in template["Resources"].items()
    }


def report(stage: Stage, items: list[Item], prices: PriceList) -> str:
    """Return the bill as text."""
    lines = [f"Stage {stage.name} when idle: US$ a month at list prices ({prices.region}, {prices.date})", ""]
    lines += [f"  {item.quantity:4d}  {item.name:36} {item.monthly:9.2f}" for item in items]
    lines += ["", f"        {'together':36} {sum(item.monthly for item in items):9.2f}", ""]
    lines += [
        "No free tier is subtracted. Not counted: what use costs (`make bench` prices it), a hosted zone, tax.",
        "infra/prices.toml says which prices are general knowledge. Assumed:",
        *(f"  {name.replace('_', ' ')}: {value:g}" for name, value in prices.assumptions.items()),
    ]
    return "\n".join(lines)


def main() -> None:
    """Print the bill of the stage that STAGE (and STAGE_FILE) choose."""
    try:
        stage = from_environment({})
    except InvalidStage as error:
        sys.exit(str(error))
    if stage.local:
        sys.exit("Stage local runs on this machine and costs nothing.")
    with tempfile.TemporaryDirectory() as folder:
        build(stage, outdir=folder, bundling=False).synth()
        templates = [json.loads(path.read_text()) for path in sorted(Path(folder).glob("*.template.json"))]
    prices = PriceList.read()
    sys.stdout.write(report(stage, idle(resources_of(templates), prices), prices) + "\n")


if __name__ == "__main__":
    main()

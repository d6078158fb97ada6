"""A Lambda function with its own role and log group, shared layers, and the alias `live`."""

# jsii's classes do not match their own Protocols by pyright's rules: they name parameters differently.
# pyright: reportArgumentType=false

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra import packaging
from infra.constructs.canary import shift_slowly
from infra.constructs.nag import acknowledge
from infra.constructs.workload import Workload
from infra.settings import environment
from infra.stage import Stage

ALIAS = "live"
NAMESPACE = "OpencodeCloud"
"""CloudWatch namespace of the metrics that functions write."""


KEPT = lambda_.VersionOptions(removal_policy=RemovalPolicy.RETAIN)
NOTHING: Mapping[str, str] = MappingProxyType({})

CORE = "core"
CONSOLE = "console"
GATEWAY = "gateway"
ANALYTICS = "analytics"
DOCUMENTS = "documents"
PAYMENTS = "payments"
"""Lists of third-party libraries in layers/dependencies."""


@dataclass(frozen=True)
class Layers:
    """The layers under functions, made once per stack."""

    dependencies: lambda_.LayerVersion
    library: lambda_.LayerVersion
    more: tuple[lambda_.ILayerVersion, ...] = ()

    @classmethod
    def build(cls, scope: Construct, stage: Stage, *lists: str) -> "Layers":
        """Create the layers in `scope`: the common ones, and the libraries of `lists` on top."""
        layers = cls(
            _layer(scope, "Dependencies", packaging.dependencies(stage, CORE), stage),
            _layer(scope, "Library", packaging.library(stage), stage),
        )
        for name in lists:
            layers = layers.with_list(scope, stage, name)
        return layers

    def with_list(self, scope: Construct, stage: Stage, name: str) -> "Layers":
        """Return these layers with the libraries of one more list on top."""
        code = packaging.dependencies(stage, name, CORE)
        return self.under(_layer(scope, f"{name.capitalize()}Dependencies", code, stage))

    def under(self, layer: lambda_.ILayerVersion) -> "Layers":
        """Return these layers with `layer` on top."""
        return replace(self, more=(*self.more, layer))

    @property
    def all(self) -> list[lambda_.ILayerVersion]:
        """All layers."""
        return [self.dependencies, self.library, *self.more]


@dataclass(frozen=True)
class Network:
    """The network and subnets of a function."""

    vpc: ec2.IVpc
    security_group: ec2.ISecurityGroup
    ipv6: bool = False
    """True if the internet is reached over IPv6 only."""


@dataclass(frozen=True)
class Size:
    """Limits of an invocation: seconds, and MB. The CPU share grows with the memory; 1769 MB is one whole vCPU."""

    timeout: int
    memory: int


class Function(Workload):
    """A function, its role with only the permission to log, and the alias that all callers use."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        stage: Stage,
        layers: Layers,
        size: Size,
        shared: Mapping[str, str],
        own: Mapping[str, str] = NOTHING,
        runtime_environment: Mapping[str, str] = NOTHING,
        network: Network | None = None,
        waited_for: bool = True,
        handler: str = "handler.handler",
        concurrency: int | None = None,
        shifted: bool | None = None,
    ) -> None:
        """Create the function `name`.

        Its environment has the variables that it declares (infra/settings.py), with values from `shared` and `own`, and
        `runtime_environment`, which other software in its process reads. A new version of a function that is `shifted`,
        by default one that is `waited_for`, gets all invocations only after some minutes, on a stage with canaries.
        """
        super().__init__(scope, name.capitalize(), principal="lambda.amazonaws.com")
        self.name = name
        self.log_group = logs.LogGroup(self, "Logs", retention=retention(stage), removal_policy=RemovalPolicy.DESTROY)
        self.log_group.grant_write(self.role)
        if network:
            self._allow_interfaces()
        self.function = lambda_.Function(
            self,
            "Function",
            description=f"Opencode Cloud: {name}",
            code=packaging.function(name),
            handler=handler,
            runtime=runtime(stage),
            architecture=architecture(stage),
            layers=layers.all,
            vpc=network.vpc if network else None,
            vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS) if network else None,
            security_groups=[network.security_group] if network else None,
            role=self.role,
            log_group=self.log_group,
            timeout=Duration.seconds(size.timeout),
            memory_size=size.memory,
            reserved_concurrent_executions=concurrency,
            environment={
                **environment(name, shared, own),
                **runtime_environment,
                **common_environment(name, stage),
                # Names of services of AWS that have IPv6 addresses.
                **({"AWS_USE_DUALSTACK_ENDPOINT": "true"} if network and network.ipv6 else {}),
            },
            ipv6_allowed_for_dual_stack=True if network and network.ipv6 else None,
            snap_start=lambda_.SnapStartConf.ON_PUBLISHED_VERSIONS if stage.snap_start and waited_for else None,
            # A rollback needs the version before (infra/operations/rollback.py). Deployments delete older ones.
            current_version_options=None if stage.local else KEPT,
        )
        self.alias = lambda_.Alias(self, "Alias", alias_name=ALIAS, version=self.function.current_version)
        if stage.canary and (waited_for if shifted is None else shifted):
            shift_slowly(self, self.alias)
        acknowledge(
            self.function, "Tested and pinned on this runtime. The emulator runs handlers on its own runtime.", "L1"
        )

    def _allow_interfaces(self) -> None:
        """Let Lambda connect the function to its network, but deny this to the function's code."""
        actions = ("CreateNetworkInterface", "DescribeNetworkInterfaces", "DescribeSubnets", "DeleteNetworkInterface")
        actions += ("AssignPrivateIpAddresses", "UnassignPrivateIpAddresses")
        named = [f"ec2:{action}" for action in actions]
        self.role.add_to_policy(iam.PolicyStatement(actions=named, resources=["*"]))
        self.role.add_to_policy(
            iam.PolicyStatement(
                effect=iam.Effect.DENY,
                actions=named,
                resources=["*"],
                conditions={"Null": {"lambda:SourceFunctionArn": "false"}},
            )
        )
        acknowledge(
            self.role,
            "Lambda creates network interfaces under this role, and they cannot be named. Code is denied it.",
            "IAM5[Resource::*]",
        )


def runtime(stage: Stage) -> lambda_.Runtime:
    """Return the stage's Python runtime."""
    return lambda_.Runtime(f"python{stage.python}", lambda_.RuntimeFamily.PYTHON, supports_snap_start=True)


def architecture(stage: Stage) -> lambda_.Architecture:
    """Return the stage's processor architecture."""
    return lambda_.Architecture.ARM_64 if stage.architecture == "arm64" else lambda_.Architecture.X86_64


def retention(stage: Stage) -> logs.RetentionDays:
    """Return the retention of logs."""
    return {
        1: logs.RetentionDays.ONE_DAY,
        3: logs.RetentionDays.THREE_DAYS,
        7: logs.RetentionDays.ONE_WEEK,
        14: logs.RetentionDays.TWO_WEEKS,
        30: logs.RetentionDays.ONE_MONTH,
        60: logs.RetentionDays.TWO_MONTHS,
        90: logs.RetentionDays.THREE_MONTHS,
        180: logs.RetentionDays.SIX_MONTHS,
        365: logs.RetentionDays.ONE_YEAR,
    }[stage.log_retention_days]


def _layer(scope: Construct, name: str, code: lambda_.Code, stage: Stage) -> lambda_.LayerVersion:
    return lambda_.LayerVersion(
        scope,
        name,
        code=code,
        compatible_runtimes=[runtime(stage)],
        compatible_architectures=[architecture(stage)],
    )


def common_environment(name: str, stage: Stage) -> dict[str, str]:
    """Return the common settings of workloads, for the workload `name`."""
    return {
        "STAGE": stage.name,
        "LOG_LEVEL": stage.log_level,
        "POWERTOOLS_SERVICE_NAME": name,
        "POWERTOOLS_METRICS_NAMESPACE": NAMESPACE,
    }

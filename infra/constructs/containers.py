"""Services in containers: a process holds hundreds of streams or sockets, so it is cheaper than functions at a volume.

A separate network without a NAT. Tasks have public IP addresses to reach model providers, and accept only the balancer.
The balancer has private addresses only, and only the CDN reaches it (a VPC origin).
"""

# jsii's classes do not match their own Protocols by pyright's rules: they name parameters differently.
# pyright: reportArgumentType=false

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from aws_cdk import CfnDeletionPolicy, CfnOutput, Duration, RemovalPolicy, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as balancing
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra import packaging
from infra.constructs.canary import RUNBOOK
from infra.constructs.function import common_environment, retention
from infra.constructs.nag import acknowledge
from infra.constructs.runbooks import described
from infra.constructs.workload import Workload
from infra.settings import environment
from infra.stage import ZONES, Stage

PORT = 8080
IDLE = Duration.seconds(400)
"""Idle timeout of a connection through the balancer; streams have a heartbeat every ten seconds."""

MOST_ERRORS = 20
"""Answers 5xx in each of two minutes, beyond which a deployment goes back."""

DRAINING = Duration.seconds(120)
"""Time that a stopping task has for its streams. It is ECS's maximum."""


@dataclass(frozen=True, kw_only=True)
class ContainerService:
    """A service, and the limits between which it scales."""

    name: str
    cidr: str
    """Addresses of its network."""
    health: str
    """Path that the balancer asks for."""
    cpu: int
    """1024 for one processor."""
    memory: int
    """MB of one task."""
    least_tasks: int
    most_tasks: int
    requests_per_task: int
    """Requests a minute, beyond which it grows."""


class Containers(Workload):
    """An ECS service of Fargate tasks behind an internal balancer. It scales with processor time and requests."""

    def __init__(
        self,
        scope: Construct,
        service: ContainerService,
        *,
        stage: Stage,
        shared: Mapping[str, str],
        own: Mapping[str, str],
        serving: Mapping[str, str],
    ) -> None:
        """Create the service of a function. Its environment is built like that of a function, and has `serving`.

        `serving` are the variables that its run.sh reads.
        """
        super().__init__(scope, service.name.capitalize(), principal="ecs-tasks.amazonaws.com")
        self.name = service.name
        self._described = service
        self._stage = stage
        self.vpc = self._vpc()
        self.log_group = logs.LogGroup(self, "Logs", retention=retention(stage), removal_policy=RemovalPolicy.DESTROY)
        declared = environment(self.name, shared, own)
        # Longer than the balancer's timeout, which would otherwise send a request into a connection that ends.
        kept = str(int(IDLE.to_seconds()) + 10)
        listening = {"HOST": "0.0.0.0", "KEEP_ALIVE": kept, **serving}  # noqa: S104 - inside its own network
        variables = {**declared, **listening, **common_environment(self.name, stage)}
        self.service = self._service(self._task(variables))
        CfnOutput(Stack.of(self), f"{self.name.capitalize()}ServiceArn", value=self.service.service_arn)
        self.balancer = self._balancer()
        self.targets = self._listen()
        self._go_back_on_errors()
        self._grow()

    def hosts(self, name: str, statistic: str, period: Duration) -> cloudwatch.Metric:
        """Return a metric of the tasks as the balancer sees them, such as `UnHealthyHostCount`.

        By attributes of the balancer: the target group's own metrics compute with the listener's ARN, which no other
        stack can do (references.py).
        """
        return cloudwatch.Metric(
            namespace="AWS/ApplicationELB",
            metric_name=name,
            dimensions_map={
                "LoadBalancer": self.balancer.load_balancer_full_name,
                "TargetGroup": self.targets.target_group_full_name,
            },
            statistic=statistic,
            period=period,
        )

    def _vpc(self) -> ec2.Vpc:
        vpc = ec2.Vpc(
            self,
            "Network",
            ip_addresses=ec2.IpAddresses.cidr(self._described.cidr),
            max_azs=ZONES,
            nat_gateways=0,
            restrict_default_security_group=False,
            subnet_configuration=[
                ec2.SubnetConfiguration(
                    name="Tasks", subnet_type=ec2.SubnetType.PUBLIC, cidr_mask=24, map_public_ip_on_launch=False
                ),
                ec2.SubnetConfiguration(name="Balancer", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED, cidr_mask=25),
            ],
            gateway_endpoints={
                "DynamoDb": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.DYNAMODB),
            },
        )
        acknowledge(vpc, "Tasks accept only the balancer; a flow log would add nothing.", "VPC7")
        return vpc

    def _task(self, variables: Mapping[str, str]) -> ecs.FargateTaskDefinition:
        task = ecs.FargateTaskDefinition(
            self,
            "Task",
            cpu=self._described.cpu,
            memory_limit_mib=self._described.memory,
            task_role=self.role,
            runtime_platform=ecs.RuntimePlatform(
                cpu_architecture=ecs.CpuArchitecture.ARM64
                if self._stage.architecture == "arm64"
                else ecs.CpuArchitecture.X86_64,
                operating_system_family=ecs.OperatingSystemFamily.LINUX,
            ),
        )
        acknowledge(
            task, "Its settings only name tables and secrets; the task fetches the secrets under its role.", "ECS2"
        )
        acknowledge(
            task, "ecr:GetAuthorizationToken, which pulling the image needs, takes no resource.", "IAM5[Resource::*]"
        )
        # `make rollback` starts tasks of the revision before, and `make deploy` deregisters older ones (versions.py).
        # A service cannot use a deregistered one, and CloudFormation deregisters what it replaces.
        options = cast("ecs.CfnTaskDefinition", task.node.default_child).cfn_options
        options.update_replace_policy, options.deletion_policy = CfnDeletionPolicy.RETAIN, CfnDeletionPolicy.DELETE
        task.add_container(
            self.name.capitalize(),
            image=packaging.image(self.name, self._stage),
            environment=dict(variables),
            logging=ecs.LogDrivers.aws_logs(stream_prefix=self.name, log_group=self.log_group),
            port_mappings=[ecs.PortMapping(container_port=PORT)],
            stop_timeout=DRAINING,
            readonly_root_filesystem=True,
        )
        return task

    def _service(self, task: ecs.FargateTaskDefinition) -> ecs.FargateService:
        cluster = ecs.Cluster(self, "Cluster", vpc=self.vpc)
        acknowledge(cluster, "Metrics of ECS, the balancer and the service suffice, and cost nothing each.", "ECS4")
        return ecs.FargateService(
            self,
            "Service",
            cluster=cluster,
            task_definition=task,
            desired_count=self._described.least_tasks,
            assign_public_ip=True,
            vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PUBLIC),
            min_healthy_percent=100,
            circuit_breaker=ecs.DeploymentCircuitBreaker(rollback=True),
        )

    def _balancer(self) -> balancing.ApplicationLoadBalancer:
        group = ec2.SecurityGroup(self, "BalancerGroup", vpc=self.vpc, description="What the CDN sends.")
        group.add_ingress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(80), "The CDN, by its VPC origin")
        acknowledge(group, "It is in subnets without a route to the internet. Only a VPC origin reaches it.", "EC23")
        balancer = balancing.ApplicationLoadBalancer(
            self,
            "Balancer",
            vpc=self.vpc,
            internet_facing=False,
            security_group=group,
            vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED),
            idle_timeout=IDLE,
            drop_invalid_header_fields=True,
        )
        acknowledge(
            balancer,
            "Its log would contain IP addresses of people. The service logs what matters without them.",
            "ELB2",
        )
        return balancer

    def _listen(self) -> balancing.ApplicationTargetGroup:
        # TLS ends at the CDN. From there the traffic stays in AWS's network and this one.
        listener = self.balancer.add_listener("Http", port=80, protocol=balancing.ApplicationProtocol.HTTP, open=False)
        return listener.add_targets(
            "Tasks",
            port=PORT,
            protocol=balancing.ApplicationProtocol.HTTP,
            targets=[self.service],
            deregistration_delay=DRAINING,
            load_balancing_algorithm_type=balancing.TargetGroupLoadBalancingAlgorithmType.LEAST_OUTSTANDING_REQUESTS,
            health_check=balancing.HealthCheck(
                path=self._described.health, interval=Duration.seconds(10), healthy_threshold_count=2
            ),
        )

    def _go_back_on_errors(self) -> None:
        """Have ECS return to the tasks before when new ones answer 5xx. Tasks that do not start are its own concern."""
        alarm = cloudwatch.Alarm(
            self,
            "DeploymentFailed",
            # By a fixed name, since the alarm and the service would otherwise wait for each other.
            alarm_name=f"opencode-cloud-{self._stage.name}-{self.name}-deployment",
            alarm_description=described("New tasks answer 5xx while they are deployed: ECS goes back.", RUNBOOK),
            metric=self.balancer.metrics.http_code_target(
                balancing.HttpCodeTarget.TARGET_5XX_COUNT, period=Duration.minutes(1)
            ),
            threshold=MOST_ERRORS,
            evaluation_periods=2,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        resource = cast("cloudwatch.CfnAlarm", alarm.node.default_child)
        self.service.enable_deployment_alarms([str(resource.alarm_name)], behavior=ecs.AlarmBehavior.ROLLBACK_ON_ALARM)
        self.service.node.add_dependency(alarm)

    def _grow(self) -> None:
        described = self._described
        scaling = self.service.auto_scale_task_count(
            min_capacity=described.least_tasks, max_capacity=described.most_tasks
        )
        scaling.scale_on_cpu_utilization("Processor", target_utilization_percent=60)
        scaling.scale_on_request_count(
            "Requests", requests_per_target=described.requests_per_task, target_group=self.targets
        )

"""The database of the console plane on AWS, and the network of the database and its functions."""

# jsii's classes do not match their own Protocols by pyright's rules: they name parameters differently.
# pyright: reportArgumentType=false

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from aws_cdk import ArnFormat, CfnOutput, Duration, Fn, RemovalPolicy
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_rds as rds
from constructs import Construct

from infra.constructs import egress
from infra.constructs.function import Function, Network, retention
from infra.constructs.nag import acknowledge
from infra.constructs.references import hold, published, weakly
from infra.constructs.zones import ZonedStack
from infra.stage import ZONES, Stage

ENGINE = rds.DatabaseClusterEngine.aurora_mysql(version=rds.AuroraMysqlEngineVersion.VER_3_10_3)
"""MySQL 8.0; pausing needs Aurora MySQL 3.08 or newer."""

NAME = "opencode_cloud"
USER = "console"
OWNER = "owner"
PARAMETERS = {
    "character_set_server": "utf8mb4",
    "require_secure_transport": "ON",
    "time_zone": "UTC",
    # A connection that a function keeps for its next call would keep the database awake for hours.
    "wait_timeout": "180",
}
CIDR = "10.74.0.0/20"


@dataclass(frozen=True)
class DatabaseAccess:
    """The access of functions to a stage's database."""

    environment: Mapping[str, str]
    """Environment of functions that read and write rows."""
    owner_environment: Mapping[str, str]
    """Additional environment of the migrating function."""
    network: Network | None = None
    connect_arns: list[str] = field(default_factory=list[str])
    owner_secret_arn: str | None = None
    cluster: rds.DatabaseCluster | None = None
    """The cluster on AWS, for its metrics."""
    cluster_id: str = ""
    """An id that a new cluster does not share with the one that it replaces."""
    cluster_name: str = ""
    egress_failures: cloudwatch.Metric | None = None
    """Above zero while functions beside the database cannot reach the internet."""

    def allow(self, function: Function) -> None:
        """Let `function` connect as the user of the console plane, by an IAM token."""
        if self.connect_arns:
            function.allow("rds-db:connect", on=self.connect_arns)

    def allow_owner(self, function: Function) -> None:
        """Let `function` read the password of the owner of the schema."""
        if self.owner_secret_arn:
            function.allow("secretsmanager:GetSecretValue", on=[self.owner_secret_arn])


def cluster_name(stage: Stage) -> str:
    """Return the name of the stage's cluster, which is also its identifier."""
    return f"opencode-cloud-{stage.name}"


def beside_the_emulator(stage: Stage) -> DatabaseAccess:
    """Return the access to this machine's MariaDB: by password, over the loopback interface."""
    settings = stage.database
    return DatabaseAccess(
        environment={
            "DATABASE_HOST": "127.0.0.1",
            "DATABASE_PORT": str(settings.port),
            "DATABASE_NAME": NAME,
            "DATABASE_USER": USER,
            "DATABASE_AUTH": "password",
            "DATABASE_PASSWORD": settings.password,
        },
        owner_environment={"DATABASE_OWNER": OWNER, "DATABASE_OWNER_PASSWORD": settings.owner_password},
    )


class DatabaseStack(ZonedStack):
    """VPC, Aurora MySQL Serverless v2, and RDS Proxy if the stage sets it."""

    def __init__(self, scope: Construct, name: str, *, stage: Stage, **options: Any) -> None:
        super().__init__(scope, name, stage=stage, **options)
        self._stage = stage
        self._settings = stage.database
        self.vpc = self._vpc()
        self._functions = self._security_group("Functions", "Functions that use the database.", outbound=True)
        self._servers = self._security_group("Servers", "The database: only its functions.")
        self._servers.add_ingress_rule(self._functions, ec2.Port.tcp(3306), "Functions")
        self.cluster = self._cluster()
        self.proxy = self._proxy() if self._settings.proxy else None
        self.access = self._access()
        CfnOutput(self, "DatabaseHost", value=self.access.environment["DATABASE_HOST"])
        CfnOutput(self, "DatabaseOwnerSecretArn", value=self.access.owner_secret_arn or "")

    def _vpc(self) -> ec2.Vpc:
        nat = self._nat()
        vpc = ec2.Vpc(
            self,
            "Network",
            ip_addresses=ec2.IpAddresses.cidr(CIDR),
            ip_protocol=ec2.IpProtocol.IPV4_ONLY if nat else ec2.IpProtocol.DUAL_STACK,
            max_azs=ZONES,
            nat_gateways=1 if nat else 0,
            nat_gateway_provider=nat,
            restrict_default_security_group=False,
            subnet_configuration=[
                ec2.SubnetConfiguration(
                    name="Public", subnet_type=ec2.SubnetType.PUBLIC, cidr_mask=24, map_public_ip_on_launch=False
                ),
                ec2.SubnetConfiguration(name="Functions", subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS, cidr_mask=23),
                ec2.SubnetConfiguration(name="Data", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED, cidr_mask=24),
            ],
            gateway_endpoints={
                "DynamoDb": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.DYNAMODB),
                "S3": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.S3),
            },
        )
        acknowledge(vpc, "Only the database accepts connections in it, and only from its functions.", "VPC7")
        if isinstance(nat, ec2.NatInstanceProviderV2):
            inside = ec2.Peer.ipv4(CIDR)
            nat.security_group.add_ingress_rule(inside, ec2.Port.all_traffic(), "Traffic to forward")
            egress.watch_over(self, nat.gateway_instances)
            because = "It forwards packets and stores nothing. EC2 moves or restarts it when it fails its checks."
            acknowledge(vpc, because, "EC26", "EC28", "EC29")
        self.egress_failures = self._egress_failures(vpc, nat)
        return vpc

    def _nat(self) -> ec2.NatProvider | None:
        match self._stage.egress:
            case "nat-gateway":
                return ec2.NatProvider.gateway()
            case "nat-instance":
                return egress.nat_instance(CIDR)
            case "ipv6":
                return None

    def _egress_failures(self, vpc: ec2.Vpc, nat: ec2.NatProvider | None) -> cloudwatch.Metric | None:
        """Return the metric that is above zero while functions cannot reach the internet, if there is one."""
        if isinstance(nat, ec2.NatInstanceProviderV2):
            (instance,) = nat.gateway_instances
            return egress.instance_check(instance.instance_id)
        if nat:
            (gateway,) = [it for it in vpc.node.find_all() if isinstance(it, ec2.CfnNatGateway)]
            return egress.gateway_is_full(gateway.ref)
        return None

    def _security_group(self, name: str, description: str, *, outbound: bool = False) -> ec2.SecurityGroup:
        return ec2.SecurityGroup(
            self, name, vpc=self.vpc, description=description, allow_all_outbound=outbound, disable_inline_rules=True
        )

    def _cluster(self) -> rds.DatabaseCluster:
        stage, settings = self._stage, self._settings
        pausing = settings.min_acu == 0
        name = cluster_name(stage)
        # Aurora would create the log itself, without an end, and leave it behind.
        log = logs.LogGroup(
            self,
            "ErrorLog",
            log_group_name=f"/aws/rds/cluster/{name}/error",
            retention=retention(stage),
            removal_policy=RemovalPolicy.DESTROY,
        )
        cluster = rds.DatabaseCluster(
            self,
            "Cluster",
            # A fixed name also prevents a replacement: two clusters cannot have it.
            cluster_identifier=name,
            engine=ENGINE,
            writer=self._instance("Writer"),
            readers=[self._instance(f"Reader{number}") for number in range(1, settings.readers + 1)],
            serverless_v2_min_capacity=settings.min_acu,
            serverless_v2_max_capacity=settings.max_acu,
            serverless_v2_auto_pause_duration=Duration.seconds(settings.pause_after_seconds) if pausing else None,
            credentials=rds.Credentials.from_generated_secret(OWNER),
            default_database_name=NAME,
            iam_authentication=True,
            storage_encrypted=True,
            storage_encryption_key=kms.Key.from_key_arn(self, "OwnKey", settings.kms_key_arn)
            if settings.kms_key_arn
            else None,
            parameters={
                "require_secure_transport": "ON",
                "time_zone": "UTC",
                "character_set_server": "utf8mb4",
                "wait_timeout": "180",
            },
            cloudwatch_logs_exports=["error"],
            cloudwatch_logs_retention=None,
            backup=rds.BackupProps(retention=Duration.days(settings.backup_days), preferred_window="03:00-04:00"),
            copy_tags_to_snapshot=True,
            deletion_protection=stage.retain_data,
            removal_policy=RemovalPolicy.SNAPSHOT if stage.retain_data else RemovalPolicy.DESTROY,
            security_groups=[self._servers],
            vpc=self.vpc,
            vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED),
        )
        cluster.node.add_dependency(log)
        hold(cluster)
        acknowledge(
            cluster, "Backups restore to any second, so a backtrack of the whole cluster is unnecessary.", "RDS14"
        )
        acknowledge(cluster, "Security groups protect the database. Another port number would not.", "RDS11")
        acknowledge(cluster, "Stages that keep their data are protected. Others are disposable.", "RDS10")
        acknowledge(cluster, "The general, slow and audit logs would contain IP addresses of people.", "RDS16")
        acknowledge(cluster, "Only the migrating function uses it. The others connect by IAM tokens.", "SMG4")
        return cluster

    def _instance(self, name: str) -> rds.IClusterInstance:
        if name == "Writer":
            return rds.ClusterInstance.serverless_v2(name, auto_minor_version_upgrade=True)
        # A reader of the writer's size has a warm cache, so it can take over.
        return rds.ClusterInstance.serverless_v2(name, scale_with_writer=True, auto_minor_version_upgrade=True)

    def _proxy(self) -> rds.DatabaseProxy:
        group = self._security_group("Proxies", "RDS Proxy: only functions that use the database.", outbound=True)
        group.add_ingress_rule(self._functions, ec2.Port.tcp(3306), "Functions")
        self._servers.add_ingress_rule(group, ec2.Port.tcp(3306), "RDS Proxy")
        role = iam.Role(self, "ProxyRole", assumed_by=iam.ServicePrincipal("rds.amazonaws.com"))
        role.add_to_policy(iam.PolicyStatement(actions=["rds-db:connect"], resources=[self._connect_arn(None)]))
        proxy = rds.DatabaseProxy(
            self,
            "Proxy",
            proxy_target=rds.ProxyTarget.from_cluster(self.cluster),
            default_auth_scheme=rds.DefaultAuthScheme.IAM_AUTH,
            iam_auth=True,
            role=role,
            require_tls=True,
            security_groups=[group],
            vpc=self.vpc,
            vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED),
        )
        # The CDK tags the target group, and CloudFormation's schema of it has no tags.
        targets = cast("rds.CfnDBProxyTargetGroup", proxy.node.find_child("ProxyTargetGroup"))
        targets.add_property_deletion_override("Tags")
        return proxy

    def _access(self) -> DatabaseAccess:
        endpoint = self.cluster.cluster_endpoint
        secret = self.cluster.secret
        if secret is None:
            raise ValueError("the cluster has no generated secret")
        owner_secret = secret.secret_arn
        host = self.proxy.endpoint if self.proxy else endpoint.hostname
        return DatabaseAccess(
            environment={
                "DATABASE_HOST": host,
                "DATABASE_PORT": "3306",
                "DATABASE_NAME": NAME,
                "DATABASE_USER": USER,
                "DATABASE_AUTH": "iam",
            },
            # Not through the proxy, which accepts only IAM users.
            owner_environment={"DATABASE_OWNER_HOST": endpoint.hostname, "DATABASE_OWNER_SECRET": owner_secret},
            network=Network(self.vpc, self._functions, ipv6=self._stage.egress == "ipv6"),
            connect_arns=[self._connect_arn(self._proxy_id(self.proxy) if self.proxy else None)],
            owner_secret_arn=owner_secret,
            cluster=self.cluster,
            cluster_id=weakly(self.cluster.cluster_resource_identifier),
            cluster_name=weakly(self.cluster.cluster_identifier),
            egress_failures=self.egress_failures,
        )

    def _proxy_id(self, proxy: rds.DatabaseProxy) -> str:
        return published(self, "ProxyId", Fn.select(6, Fn.split(":", proxy.db_proxy_arn)))

    def _connect_arn(self, proxy_id: str | None) -> str:
        """Return the ARN of the console plane's user in IAM: that of the proxy, if there is one."""
        # Weakly, since with a proxy no other stack needs the cluster's identifier.
        resource = proxy_id or weakly(self.cluster.cluster_resource_identifier)
        return self.format_arn(
            service="rds-db",
            resource="dbuser",
            resource_name=f"{resource}/{USER}",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )

"""Daily backups of all data in a locked vault, which outlive tables, bucket and cluster (docs/decisions/058)."""

# jsii's classes do not match their own Protocols by pyright's rules: they name parameters differently.
# pyright: reportArgumentType=false

from collections.abc import Sequence
from typing import Any

from aws_cdk import ArnFormat, CfnOutput, Duration, RemovalPolicy, Stack
from aws_cdk import aws_backup as backup
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from infra.constructs.alarms import Alarms, Signal
from infra.constructs.nag import acknowledge
from infra.constructs.references import let_go
from infra.stacks.data import DataStack
from infra.stacks.database import cluster_name
from infra.stage import Stage

HOUR = 5
"""The hour of the day in UTC: after the nightly reconciliation, and after Aurora's own backup."""

STARTS_WITHIN = Duration.hours(1)
ENDS_WITHIN = Duration.hours(8)
DAY = Duration.days(1)
ROLES = ("AWSBackupServiceRolePolicyForBackup", "AWSBackupServiceRolePolicyForS3Backup")
"""AWS's own policies for making backups. The second one is without the path `service-role/`."""


class BackupStack(Stack):
    """A vault, and the plan that fills it. Nothing in it is needed to serve anybody."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        stage: Stage,
        data: DataStack,
        alarms: Alarms | None,
        **options: Any,
    ) -> None:
        super().__init__(scope, name, **options)
        self._stage = stage
        self._settings = stage.backup
        self.vault = self._vault()
        self._role = self._backup_role()
        # The projection `access` is rebuilt from the database, and sockets are gone when a backup is restored.
        tables = [data.shares, data.sessions, data.budgets, data.usage]
        buckets = [data.bucket, data.site]
        managed = [it.table_arn for it in tables] + [it.bucket_arn for it in buckets]
        # By its name, which never changes: an ARN with a weak reference in it cannot be computed.
        cluster = self.format_arn(
            service="rds",
            resource="cluster",
            resource_name=cluster_name(stage),
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        self._plan("Daily", managed, copied=bool(self._settings.copy_to))
        self._plan("Database", [cluster], copied=stage.copies_the_cluster)
        if alarms:
            alarms.add(self._missing(len(managed) + 1), self)
        CfnOutput(self, "BackupVaultName", value=self.vault.backup_vault_name)

    def _vault(self) -> backup.BackupVault:
        settings = self._settings
        vault = backup.BackupVault(
            self,
            "Vault",
            # Always a key of our own, since another account cannot use AWS's, and a vault never changes its key.
            encryption_key=self._key(),
            lock_configuration=backup.LockConfiguration(
                min_retention=Duration.days(settings.days),
                changeable_for=Duration.days(settings.final_after_days) if settings.final_after_days else None,
            ),
            removal_policy=RemovalPolicy.RETAIN,
        )
        let_go(vault)
        return vault

    def _key(self) -> kms.Key:
        key = kms.Key(
            self,
            "VaultKey",
            description="Opencode Cloud: encrypts backups",
            enable_key_rotation=True,
            removal_policy=RemovalPolicy.RETAIN,
        )
        let_go(key)
        if self._settings.copy_account not in ("", self._stage.account):
            key.add_to_resource_policy(
                iam.PolicyStatement(
                    sid="Copies",
                    actions=["kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey*"],
                    principals=[iam.AccountPrincipal(self._settings.copy_account)],
                    resources=["*"],
                )
            )
        return key

    def _backup_role(self) -> iam.Role:
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("backup.amazonaws.com"))
        for name, path in zip(ROLES, ("service-role/", ""), strict=True):
            role.add_managed_policy(iam.ManagedPolicy.from_aws_managed_policy_name(f"{path}{name}"))
            policy = f"Policy::arn:<AWS::Partition>:iam::aws:policy/{path}{name}"
            acknowledge(role, "AWS Backup requires the rights of this AWS-managed policy.", f"IAM4[{policy}]")
        return role

    def _plan(self, name: str, arns: Sequence[str], *, copied: bool) -> None:
        """Create a plan that backs up `arns` once a day, and copies each backup if `copied`."""
        days = Duration.days(self._settings.days)
        plan = backup.BackupPlan(
            self,
            name,
            backup_plan_name=f"opencode-cloud-{self._stage.name}-{name.lower()}",
            backup_vault=self.vault,
            backup_plan_rules=[
                backup.BackupPlanRule(
                    rule_name=name.lower(),
                    schedule_expression=events.Schedule.cron(hour=str(HOUR), minute="0"),
                    start_window=STARTS_WITHIN,
                    completion_window=ENDS_WITHIN,
                    delete_after=days,
                    copy_actions=[self._copy(name)] if copied else None,
                )
            ],
        )
        plan.add_selection(
            "All",
            role=self._role,
            disable_default_backup_policy=True,
            resources=[backup.BackupResource.from_arn(arn) for arn in arns],
        )

    def _copy(self, name: str) -> backup.BackupPlanCopyActionProps:
        vault = backup.BackupVault.from_backup_vault_arn(self, f"{name}Copies", self._settings.copy_to)
        days = Duration.days(self._settings.days)
        return backup.BackupPlanCopyActionProps(destination_backup_vault=vault, delete_after=days)

    def _missing(self, expected: int) -> Signal:
        """Return the alarm of a day on which fewer than `expected` backups were completed."""
        completed = cloudwatch.Metric(
            namespace="AWS/Backup",
            metric_name="NumberOfBackupJobsCompleted",
            dimensions_map={"BackupVaultName": self.vault.backup_vault_name},
            statistic="Sum",
            period=DAY,
        )
        missing = cloudwatch.MathExpression(
            expression=f"{expected} - completed",
            using_metrics={"completed": completed},
            label="missing backups",
            period=DAY,
        )
        meaning = f"Fewer than {expected} backups were completed within a day."
        return Signal("BackupsMissing", missing, 0, meaning, silence=1)

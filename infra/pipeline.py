"""`make pipeline REPOSITORY=<owner>/<name>`: roles by which GitHub Actions deploys stages, without keys.

Its own app with one stack for an account. Each role belongs to one stage, and only jobs in the GitHub environment of
the same name can take it. Variables: REPOSITORY, STAGES (`dev production sandbox`), PROVIDER_ARN (of a provider for
GitHub that the account has already).
"""

# jsii's classes do not match their own Protocols by pyright's rules: they name parameters differently.
# pyright: reportArgumentType=false

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import App, CfnOutput, Duration, Environment, Stack, Validations
from aws_cdk import aws_iam as iam
from cdk_nag import AwsSolutionsChecks
from constructs import Construct

from infra.app import CDK_JSON
from infra.constructs.nag import acknowledge_wildcards

ISSUER = "token.actions.githubusercontent.com"
AUDIENCE = "sts.amazonaws.com"
STAGES = ("dev", "production", "sandbox")
DISPOSABLE = "sandbox"
"""The stage that the nightly workflow deploys, updates and destroys."""

REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
SESSION = Duration.hours(4)
"""A deployment with a snapshot of the database takes an hour at most, and a night in the sandbox has three."""

READS = (
    "acm:DescribeCertificate",
    "lambda:GetAccountSettings",
    "rds:DescribeDBClusterSnapshots",
    "route53:GetHostedZone",
    "ses:GetAccount",
    "ses:GetEmailIdentity",
)
"""Reads of `make preflight` and `make deploy` that name no stage, or only resources of the account."""


class PipelineStack(Stack):
    """GitHub's identity provider, and one role for each stage."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        repository: str,
        stages: Sequence[str],
        provider_arn: str = "",
        **options: Any,
    ) -> None:
        super().__init__(scope, name, **options)
        self._repository = repository
        self._provider_arn = provider_arn or self._provider()
        for stage in stages:
            role = self._role(stage)
            CfnOutput(self, f"{stage.capitalize()}RoleArn", value=role.role_arn)

    def _provider(self) -> str:
        provider = iam.CfnOIDCProvider(self, "GitHub", url=f"https://{ISSUER}", client_id_list=[AUDIENCE])
        return provider.attr_arn

    def _role(self, stage: str) -> iam.Role:
        subject = f"repo:{self._repository}:environment:{stage}"
        role = iam.Role(
            self,
            f"{stage.capitalize()}Role",
            description=f"GitHub Actions of {self._repository}, environment {stage}",
            assumed_by=iam.WebIdentityPrincipal(
                self._provider_arn,
                {"StringEquals": {f"{ISSUER}:aud": AUDIENCE, f"{ISSUER}:sub": subject}},
            ),
            max_session_duration=SESSION,
        )
        for statement in self._statements(stage):
            role.add_to_policy(statement)
        because = "Stacks, functions, alarms and logs of the stage have generated names behind the stage's own prefix."
        wildcards = [arn for arn in self._named(stage).values() if "*" in arn]
        acknowledge_wildcards(role, because, "*", *wildcards)
        return role

    def _statements(self, stage: str) -> list[iam.PolicyStatement]:
        named = self._named(stage)
        granted: dict[str, tuple[Sequence[str], Sequence[str]]] = {
            # The roles of the CDK's bootstrap decide about the resources of a deployment.
            "Bootstrap": (["sts:AssumeRole"], [named["bootstrap"]]),
            "Reads": (READS, ["*"]),
            "Version": (["ssm:GetParameter"], [named["version"]]),
            "Stacks": (
                ["cloudformation:DescribeStacks", "cloudformation:GetTemplate", "cloudformation:SetStackPolicy"],
                [named["stacks"]],
            ),
            "Snapshots": (["rds:CreateDBClusterSnapshot"], [named["cluster"], named["snapshots"]]),
            "Versions": (
                ["lambda:DeleteFunction", "lambda:GetAlias", "lambda:ListVersionsByFunction", "lambda:UpdateAlias"],
                [named["functions"]],
            ),
            "Services": (["ecs:DescribeServices", "ecs:UpdateService"], [named["services"]]),
            # These two take no resource.
            "Revisions": (["ecs:DeregisterTaskDefinition", "ecs:ListTaskDefinitions"], ["*"]),
            "Alarms": (
                ["cloudwatch:DescribeAlarmHistory", "cloudwatch:DescribeAlarms", "cloudwatch:SetAlarmState"],
                [named["alarms"]],
            ),
        }
        if stage == DISPOSABLE:
            granted["Destroyed"] = (["logs:DescribeLogGroups", "tag:GetResources"], ["*"])
            granted["Logs"] = (["logs:DeleteLogGroup"], [named["logs"]])
        return [
            iam.PolicyStatement(sid=sid, actions=list(actions), resources=list(resources))
            for sid, (actions, resources) in granted.items()
        ]

    def _named(self, stage: str) -> dict[str, str]:
        prefix = f"opencode-cloud-{stage}-"
        region, account = self.region, self.account
        begin = f"arn:{self.partition}"
        return {
            "bootstrap": f"{begin}:iam::{account}:role/cdk-hnb659fds-*-role-{account}-{region}",
            "version": f"{begin}:ssm:{region}:{account}:parameter/cdk-bootstrap/hnb659fds/version",
            "stacks": f"{begin}:cloudformation:{region}:{account}:stack/{prefix}*",
            "cluster": f"{begin}:rds:{region}:{account}:cluster:opencode-cloud-{stage}",
            "snapshots": f"{begin}:rds:{region}:{account}:cluster-snapshot:{prefix}*",
            "functions": f"{begin}:lambda:{region}:{account}:function:{prefix}*",
            "services": f"{begin}:ecs:{region}:{account}:service/{prefix}*",
            "alarms": f"{begin}:cloudwatch:{region}:{account}:alarm:{prefix}*",
            "logs": f"{begin}:logs:{region}:{account}:log-group:/aws/lambda/{prefix}*",
        }


def build(environ: Mapping[str, str] = os.environ, *, outdir: str | None = None) -> App:
    """Return the app with the stack that the variables describe. End the program if they are wrong."""
    repository = environ.get("REPOSITORY", "")
    if not REPOSITORY.fullmatch(repository):
        sys.exit("Set REPOSITORY to the repository on GitHub, such as REPOSITORY=example/opencode-cloud.")
    app = App(context=json.loads(CDK_JSON.read_text())["context"], outdir=outdir, analytics_reporting=False)
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    PipelineStack(
        app,
        "opencode-cloud-pipeline",
        repository=repository,
        stages=environ.get("STAGES", "").split() or STAGES,
        provider_arn=environ.get("PROVIDER_ARN", ""),
        env=Environment(account=environ.get("CDK_DEFAULT_ACCOUNT"), region=environ.get("CDK_DEFAULT_REGION")),
    )
    return app


if __name__ == "__main__":
    build().synth()

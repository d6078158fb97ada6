"""Slow shifts of a function's alias to a new version: CodeDeploy goes back when the new version fails."""

# jsii's classes do not match their own Protocols by pyright's rules: they name parameters differently.
# pyright: reportArgumentType=false

from aws_cdk import Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.constructs.nag import acknowledge
from infra.constructs.runbooks import described

MINUTE = Duration.minutes(1)
MOST_ERRORS = 2
"""Failed invocations in a minute during a shift, beyond which the alias goes back."""

RUNBOOK = "DeploymentFails"
POLICY = "service-role/AWSCodeDeployRoleForLambdaLimited"


def shift_slowly(scope: Construct, alias: lambda_.Alias) -> None:
    """Give a new version a tenth of the invocations for five minutes, and all of them if it does not fail meanwhile."""
    errors = cloudwatch.Alarm(
        scope,
        "CanaryFailed",
        alarm_description=described("A new version fails while it is deployed: the alias goes back.", RUNBOOK),
        metric=alias.metric_errors(period=MINUTE),
        threshold=MOST_ERRORS,
        evaluation_periods=1,
        comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
        treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
    )
    codedeploy.LambdaDeploymentGroup(
        scope,
        "Canary",
        application=_application(Stack.of(scope)),
        alias=alias,
        alarms=[errors],
        deployment_config=codedeploy.LambdaDeploymentConfig.CANARY_10_PERCENT_5_MINUTES,
        role=_role(Stack.of(scope)),
    )


def _application(stack: Stack) -> codedeploy.LambdaApplication:
    """Return the stack's application, which is made with its first deployment group."""
    found = stack.node.try_find_child("Canaries")
    return found if isinstance(found, codedeploy.LambdaApplication) else codedeploy.LambdaApplication(stack, "Canaries")


def _role(stack: Stack) -> iam.Role:
    """Return the role of the stack's shifts, which is made with its first deployment group."""
    found = stack.node.try_find_child("CanaryRole")
    if isinstance(found, iam.Role):
        return found
    role = iam.Role(stack, "CanaryRole", assumed_by=iam.ServicePrincipal("codedeploy.amazonaws.com"))
    role.add_managed_policy(iam.ManagedPolicy.from_aws_managed_policy_name(POLICY))
    named = f"Policy::arn:<AWS::Partition>:iam::aws:policy/{POLICY}"
    acknowledge(role, "CodeDeploy requires the rights of this AWS-managed policy.", f"IAM4[{named}]")
    return role

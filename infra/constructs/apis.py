"""The two APIs of API Gateway, each with one stage, throttled, with access logs."""

# jsii's classes do not match their own Protocols by pyright's rules: they name parameters differently.
# pyright: reportArgumentType=false

import json
import re
from collections.abc import Sequence
from typing import cast

from aws_cdk import RemovalPolicy, Stack, Tags
from aws_cdk import aws_apigateway as rest
from aws_cdk import aws_apigatewayv2 as gateway
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.constructs.function import NAMESPACE, retention
from infra.constructs.nag import acknowledge
from infra.service_settings import Throttle
from infra.stage import Stage

WEBSOCKET_STAGE = "v1"
PINNED_ID_TAG = "ms-custom-id"
"""A tag that sets the id of an API in MiniStack, the local emulator."""
HTTP_LOG = {
    "service": "share",
    "requestId": "$context.requestId",
    "time": "$context.requestTimeEpoch",
    "method": "$context.httpMethod",
    "route": "$context.routeKey",
    "status": "$context.status",
    "latency": "$context.responseLatency",
    "integrationLatency": "$context.integrationLatency",
    "integrationError": "$context.integrationErrorMessage",
    "responseLength": "$context.responseLength",
}
WEBSOCKET_LOG = {
    "service": "live",
    "requestId": "$context.requestId",
    "time": "$context.requestTimeEpoch",
    "event": "$context.eventType",
    "route": "$context.routeKey",
    "status": "$context.status",
    "connection": "$context.connectionId",
    "integrationLatency": "$context.integrationLatency",
    "integrationError": "$context.integration.error",
}


class HttpGateway(Construct):
    """The HTTP API. One function serves all paths without a route of their own. Functions answer CORS themselves."""

    def __init__(self, scope: Construct, name: str, *, stage: Stage, api_id: str, target: lambda_.IFunction) -> None:
        super().__init__(scope, name)
        self.api = gateway.HttpApi(
            self,
            "Api",
            api_name=f"opencode-cloud-{stage.name}",
            create_default_stage=False,
            default_integration=integrations.HttpLambdaIntegration("Integration", target),
        )
        pin(self.api, stage, api_id)
        acknowledge(
            self.api, "Clients hold no credentials: secrets and ids travel in bodies and are checked there.", "APIG4"
        )
        self.stage = gateway.HttpStage(
            self,
            "Stage",
            http_api=self.api,
            stage_name="$default",
            auto_deploy=True,
            throttle=_throttle(stage.http_throttle),
        )
        self.access_log = AccessLog(self, stage, self.stage, HTTP_LOG)
        # Bodies over the gateway's limit never reach a function, so the function cannot count them.
        self.access_log.add_metric_filter(
            "BodyTooLarge",
            metric_namespace=NAMESPACE,
            metric_name="BodyTooLargeCount",
            filter_pattern=logs.FilterPattern.string_value("$.status", "=", "413"),
            dimensions={"service": "$.service"},
        )


def route(scope: Construct, http: HttpGateway, target: lambda_.IFunction, paths: Sequence[str]) -> None:
    """Let `target` serve `paths` of the API with all methods. It answers unknown methods itself."""
    routes = Construct(scope, "Routes")
    acknowledge(
        routes, "Functions look up each token's session, so a token of an ended session is refused at once.", "APIG4"
    )
    integration = integrations.HttpLambdaIntegration("Integration", target, scope_permission_to_route=False)
    for path in paths:
        name = "".join(word.capitalize() for word in re.findall(r"\w+", path)) or "Home"
        gateway.HttpRoute(
            routes,
            name,
            http_api=http.api,
            integration=integration,
            route_key=gateway.HttpRouteKey.with_(path, gateway.HttpMethod.ANY),
        )


class WebSocketGateway(Construct):
    """The WebSocket API. Routes are added later, because the function behind them needs the API's endpoint."""

    def __init__(self, scope: Construct, name: str, *, stage: Stage, api_id: str) -> None:
        super().__init__(scope, name)
        self.api = gateway.WebSocketApi(self, "Api", api_name=f"opencode-cloud-{stage.name}-live")
        pin(self.api, stage, api_id)
        acknowledge(self.api, "Anyone with a share's link may watch it: the link is the capability.", "APIG4")
        self.stage = gateway.WebSocketStage(
            self,
            "Stage",
            web_socket_api=self.api,
            stage_name=WEBSOCKET_STAGE,
            auto_deploy=True,
            throttle=_throttle(stage.websocket_throttle),
        )
        self.access_log = AccessLog(self, stage, self.stage, WEBSOCKET_LOG)
        if stage.api_gateway_role:
            self.stage.node.add_dependency(_logging_account(self))
        # The emulator does not support route responses, and returns answers without them.
        self._answers = not stage.local
        base = f"{stage.emulator}/_aws/execute-api/{self.api.api_id}" if stage.local else None
        self.endpoint = f"{base}/{WEBSOCKET_STAGE}" if base else self.stage.callback_url
        """The URL for posts of functions to connections: https, with the stage."""
        self.url = self.endpoint.replace("http:", "ws:", 1) if base else self.stage.url
        """The URL of sockets: wss, with the stage."""

    def route(self, target: lambda_.IFunction) -> None:
        """Send connects, disconnects and every frame to `target`. Its answer to a frame is sent to the client."""
        for key in ("$connect", "$disconnect", "$default"):
            integration = integrations.WebSocketLambdaIntegration(f"{key[1:].capitalize()}Integration", target)
            answers = self._answers and key == "$default"
            self.api.add_route(key, integration=integration, return_response=answers)

    def connections(self, method: str, api_id: str = "") -> str:
        """Return the ARN of `method` (POST sends, DELETE ends) on all connections.

        `api_id` is the API's id as another stack writes it.
        """
        resource = f"{api_id or self.api.api_id}/{WEBSOCKET_STAGE}/{method}/@connections/*"
        return Stack.of(self).format_arn(service="execute-api", resource=resource)


class AccessLog(logs.LogGroup):
    """A log with one JSON line per request, without path, query and address, because links are secrets."""

    def __init__(self, scope: Construct, stage: Stage, api_stage: Construct, fields: dict[str, str]) -> None:
        super().__init__(
            scope,
            "AccessLog",
            # AWS grants itself the delivery to names that begin so. A policy that lists each log is soon too long.
            log_group_name=f"/aws/vendedlogs/opencode-cloud-{stage.name}/{fields['service']}",
            retention=retention(stage),
            removal_policy=RemovalPolicy.DESTROY,
        )
        resource = cast("gateway.CfnStage", api_stage.node.default_child)
        resource.access_log_settings = gateway.CfnStage.AccessLogSettingsProperty(
            destination_arn=self.log_group_arn, format=json.dumps(fields)
        )


def pin(api: Construct, stage: Stage, api_id: str) -> None:
    """Give `api` a known id on the emulator, so that the front door knows its address beforehand."""
    if stage.local:
        Tags.of(api).add(PINNED_ID_TAG, api_id)


def _throttle(throttle: Throttle) -> gateway.ThrottleSettings:
    return gateway.ThrottleSettings(rate_limit=throttle.rate, burst_limit=throttle.burst)


def _logging_account(scope: Construct) -> rest.CfnAccount:
    """Let API Gateway write access logs of WebSocket APIs. The permission belongs to the account, not to the stack."""
    role = iam.Role(
        scope,
        "LoggingRole",
        assumed_by=iam.ServicePrincipal("apigateway.amazonaws.com"),
        managed_policies=[
            iam.ManagedPolicy.from_aws_managed_policy_name("service-role/AmazonAPIGatewayPushToCloudWatchLogs")
        ],
    )
    policy = "Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
    acknowledge(role, "API Gateway requires exactly the rights of this AWS-managed policy.", f"IAM4[{policy}]")
    role.apply_removal_policy(RemovalPolicy.RETAIN)
    account = rest.CfnAccount(scope, "Account", cloud_watch_role_arn=role.role_arn)
    account.apply_removal_policy(RemovalPolicy.RETAIN)
    return account
